#include "plume/ops/attention.hpp"

#include "plume/ops/attention_unfused.hpp"
#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

// Sequence b keeps the keys from b on: left padding, nothing at all where b reaches S.
Tensor<bool> left_padded(index_t B, index_t S, index_t step) {
  Tensor<bool> mask(Shape{B, S});
  for (index_t b = 0; b < B; ++b) {
    for (index_t s = 0; s < S; ++s) mask(b, s) = s >= b * step;
  }
  return mask;
}

// Holes as well as padding.
Tensor<bool> scattered(index_t B, index_t S) {
  Tensor<bool> mask(Shape{B, S});
  Generator generator(7);
  for (index_t i = 0; i < mask.numel(); ++i) mask.data()[i] = generator.below(3) != 0;
  return mask;
}

Tensor<float> slopes(index_t H) {
  Tensor<float> m(Shape{H});
  for (index_t h = 0; h < H; ++h) m(h) = std::exp2(-8.0F * static_cast<float>(h + 1) / 16.0F);
  return m;
}

struct Lengths {
  index_t T, S;
};

Inputs inputs_of(index_t B, index_t H, index_t T, index_t S, index_t hd) {
  return {random({B, H, T, hd}), random({B, H, S, hd}, 1), random({B, H, S, hd}, 2)};
}

void check(OpTest& op, const Inputs& in, const AttentionOptions& options,
           CheckOptions how = {.gradient_in_float = {2e-5, 2e-5}}) {
  op.check(
      in, [&](const auto& x) { return attention(x[0], x[1], x[2], options); },
      [&](const auto& x) { return definition::attention(x[0], x[1], x[2], options); }, how);
}

OP_TEST("attention") {
  const CheckOptions once{.broadcast = false, .strides = false, .gradient_in_float = {2e-5, 2e-5}};
  // Head sizes around the widths of vectors and tiles; few queries go another way than many.
  for (const index_t T : {5, 11}) {
    for (const index_t hd : {1, 3, 16, 33, 64, 80}) {
      check(op, inputs_of(1, 2, T, 7, hd), {.causal = true},
            {.broadcast = hd == 3, .strides = hd < 4});
    }
  }
  check(op, inputs_of(1, 2, 3, 4, 0), {});
  // Lengths: none, one, odd, a block of queries and a tile of keys more or less one.
  for (const bool causal : {false, true}) {
    const AttentionOptions options{.causal = causal};
    check(op, inputs_of(2, 2, 4, 4, 3), options);
    for (const Lengths& n : {Lengths{0, 5},
                             {5, 0},
                             {0, 0},
                             {1, 1},
                             {1, 9},
                             {9, 1},
                             {15, 15},
                             {17, 33},
                             {33, 17},
                             {32, 31}}) {
      INFO("T ", n.T, ", S ", n.S);
      check(op, inputs_of(1, 2, n.T, n.S, 4), options, once);
    }
    const index_t tile = kernel::key_block<float>;
    for (const index_t S : {tile - 1, tile, tile + 1}) {
      for (const index_t T : {3, 9}) check(op, inputs_of(1, 1, T, S, 2), options, once);
    }
  }
  // Masks and ALiBi, alone and together; a sequence without any key.
  for (const index_t T : {5, 11}) {
    check(op, inputs_of(3, 2, T, 6, 4), {.key_mask = left_padded(3, 6, 3)});
    check(op, inputs_of(3, 2, T, T, 4), {.causal = true, .key_mask = left_padded(3, T, 2)});
    check(op, inputs_of(2, 2, T, 9, 4), {.key_mask = scattered(9, 2).transpose(0, 1)});
    check(op, inputs_of(2, 3, T, 7, 4), {.causal = true, .alibi_slopes = slopes(3)});
    check(op, inputs_of(2, 3, T, 40, 5),
          {.causal = true,
           .key_mask = left_padded(2, 40, 11),
           .alibi_slopes = slopes(3),
           .scale = 0.3},
          once);
  }
  check(op, inputs_of(2, 1, 40, 40, 5),
        {.causal = true, .key_mask = scattered(2, 40), .alibi_slopes = slopes(1)}, once);
  check(op, inputs_of(1, 1, 4, 4, 4), {.scale = 0.0});
  check(op, inputs_of(1, 1, 4, 4, 4), {.scale = -1.5});

  const auto f = [](const auto& x) { return attention(x[0], x[1], x[2], {.causal = true}); };
  const auto definition = [](const auto& x) {
    return definition::attention(x[0], x[1], x[2], {.causal = true});
  };
  for (const index_t T : {3, 9}) {
    op.check_forward_in<bfloat16>(inputs_of(1, 2, T, 9, 20), f, definition, forward_bfloat16);
    op.check_forward_in<half>(inputs_of(1, 2, T, 9, 20), f, definition, forward_half);
  }

  const Tensor<double> q = ones<double>({2, 3, 4, 5}), k = ones<double>({2, 3, 6, 5});
  op.refuses("q of rank 3", [&] { attention(q.select(0, 0), k, k); });
  op.refuses("k of another head count", [&] { attention(q, k.slice(1, 0, 2), k); });
  op.refuses("k of another head size", [&] { attention(q, k.slice(3, 0, 4), k); });
  op.refuses("v of another length", [&] { attention(q, k, k.slice(2, 0, 5)); });
  op.refuses("a mask for the queries", [&] {
    attention(q, k, k, {.key_mask = ones<bool>({2, 4})});
  });
  op.refuses("slopes of another head count",
             [&] { attention(q, k, k, {.alibi_slopes = ones<float>({4})}); });
  op.refuses("an infinite scale", [&] { attention(q, k, k, {.scale = HUGE_VAL}); });
  op.refuses("a gradient of another shape", [&] {
    attention_backward(k, q, k, k, q, ones<double>({2, 3, 4}), {}, true, true, true);
  });
  op.refuses("lse of another shape", [&] {
    attention_backward(q, q, k, k, q, ones<double>({2, 3}), {}, true, true, true);
  });
}

template <Floating T>
Tensor<T> projected(index_t B, index_t N, index_t H, index_t hd, std::uint64_t salt) {
  return random({B, N, H, hd}, salt).cast<float>().cast<T>().permute({0, 2, 1, 3});
}

// Several blocks of queries and tiles of keys: against the op that stores all scores.
TEST_CASE("attention: long sequences agree with the unfused op, forward and backward") {
  struct Case {
    index_t B, H, T, S, hd;
    bool causal;
  };
  for (const Case& c : {Case{1, 2, 450, 450, 64, true}, Case{2, 1, 100, 389, 80, false},
                        Case{1, 1, 33, 600, 128, true}, Case{2, 9, 65, 193, 8, true},
                        Case{1, 3, 389, 70, 33, false}}) {
    INFO("T ", c.T, ", S ", c.S, ", hd ", c.hd);
    const auto q = projected<double>(c.B, c.T, c.H, c.hd, 1);
    const auto k = projected<double>(c.B, c.S, c.H, c.hd, 2);
    const auto v = projected<double>(c.B, c.S, c.H, c.hd, 3);
    const auto dy = projected<double>(c.B, c.T, c.H, c.hd, 4);
    AttentionOptions options{.causal = c.causal, .key_mask = left_padded(c.B, c.S, 37)};
    if (c.causal) options.alibi_slopes = slopes(c.H);
    Tensor<double> p, lse;
    const auto expected = unfused::attention(q, k, v, options, &p);
    const auto expected_g = unfused::attention_backward(dy, q, k, v, p, options);
    const auto y = attention(q, k, v, options, &lse);
    CHECK(compare(y, expected, forward_double).message == "");
    const auto g = attention_backward(dy, q, k, v, y, lse, options, true, true, true);
    CHECK(compare(g.dq, expected_g.dq, {1e-11, 1e-12}).message == "");
    CHECK(compare(g.dk, expected_g.dk, {1e-11, 1e-12}).message == "");
    CHECK(compare(g.dv, expected_g.dv, {1e-11, 1e-12}).message == "");

    const auto qf = q.cast<float>(), kf = k.cast<float>(), vf = v.cast<float>();
    Tensor<float> lse_f;
    const auto yf = attention(qf, kf, vf, options, &lse_f);
    CHECK(compare(yf, expected, {5e-6, 2e-6}).message == "");
    const auto run = [&] {
      return attention_backward(dy.cast<float>(), qf, kf, vf, yf, lse_f, options, true, true, true);
    };
    const auto gf = run();
    CHECK(compare(gf.dq, expected_g.dq, {2e-5, 5e-6}).message == "");
    CHECK(compare(gf.dk, expected_g.dk, {2e-5, 5e-6}).message == "");
    CHECK(compare(gf.dv, expected_g.dv, {2e-5, 5e-6}).message == "");
    for (const int threads : {1, 3, 4}) {
      set_thread_count(threads);
      CHECK(same_bits(attention(qf, kf, vf, options), yf));
      const auto again = run();
      CHECK(same_bits(again.dq, gf.dq));
      CHECK(same_bits(again.dk, gf.dk));
      CHECK(same_bits(again.dv, gf.dv));
    }
    set_thread_count(0);
  }
}

TEST_CASE("attention: a token at a time, as when decoding, gives the rows of the whole") {
  const index_t T = 21, hd = 80;
  const auto q = projected<float>(2, T, 3, hd, 1), k = projected<float>(2, T, 3, hd, 2);
  const auto v = projected<float>(2, T, 3, hd, 3);
  AttentionOptions options{
      .causal = true, .key_mask = left_padded(2, T, 4), .alibi_slopes = slopes(3)};
  Tensor<float> lse;
  const auto whole = attention(q, k, v, options, &lse);
  for (const index_t step : {1, 3, 8}) {
    for (index_t t = 0; t < T; t += step) {
      const index_t end = std::min(T, t + step);
      AttentionOptions so_far = options;
      so_far.key_mask = options.key_mask.slice(1, 0, end);
      Tensor<float> sums;
      const auto y =
          attention(q.slice(2, t, end), k.slice(2, 0, end), v.slice(2, 0, end), so_far, &sums);
      CHECK(compare(y, whole.slice(2, t, end), forward_float).message == "");
      for (index_t i = t; i < end; ++i) {
        CHECK(std::abs(sums(0, 1, i - t) - lse(0, 1, i)) <= 1e-5F);
        CHECK(std::isinf(sums(1, 1, i - t)) == (i < 4));
      }
    }
  }
}

TEST_CASE("attention: the result lies as [B, T, H, hd]") {
  const auto q = random({2, 3, 5, 4});
  const auto y = attention(q, q, q);
  CHECK(y.transpose(1, 2).is_contiguous());
  CHECK(y.permute({0, 2, 1, 3}).reshape({2, 5, 12}).shares_storage(y));
}

TEST_CASE("attention: each gradient alone is the same, and a frozen input gets none") {
  const Inputs in = inputs_of(2, 2, 37, 41, 6);
  const AttentionOptions options{.causal = true};
  const Tensor<double> dy = random(in[0].shape(), 9);
  const auto gradients = [&](bool q, bool k, bool v) {
    const Vars x{Var<double>(in[0], q), Var<double>(in[1], k), Var<double>(in[2], v)};
    const Var<double> y = attention(x[0], x[1], x[2], options);
    REQUIRE(y.requires_grad() == (q || k || v));
    if (y.requires_grad()) backward(y, dy);
    return std::vector{x[0].grad(), x[1].grad(), x[2].grad()};
  };
  const auto all = gradients(true, true, true);
  for (int which = 0; which < 8; ++which) {
    const bool wanted[] = {(which & 1) != 0, (which & 2) != 0, (which & 4) != 0};
    const auto some = gradients(wanted[0], wanted[1], wanted[2]);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(some[i].defined() == wanted[i]);
      if (wanted[i]) CHECK(same_bits(some[i], all[i]));
    }
  }
}

TEST_CASE("attention: queries without a key give exact zeros and no gradient") {
  const index_t B = 3, H = 2, T = 40, S = 36, hd = 5;
  const Inputs in = inputs_of(B, H, T, S, hd);
  // Sequence 2 has no key; under the causal mask the first T - S queries see none either.
  const AttentionOptions options{.causal = true, .key_mask = left_padded(B, S, S / 2)};
  const Vars x{trainable(in[0]), trainable(in[1]), trainable(in[2])};
  const Var<double> y = attention(x[0], x[1], x[2], options);
  backward(y, random(y.shape(), 9));
  const auto sees_none = [&](index_t b, index_t t) { return t + S - T < b * (S / 2) || b == 2; };
  for (index_t b = 0; b < B; ++b) {
    for (index_t h = 0; h < H; ++h) {
      for (index_t t = 0; t < T; ++t) {
        for (index_t c = 0; c < hd; ++c) {
          REQUIRE((y.value()(b, h, t, c) == 0) == sees_none(b, t));
          REQUIRE(std::isfinite(x[0].grad()(b, h, t, c)));
          if (sees_none(b, t)) REQUIRE(x[0].grad()(b, h, t, c) == 0);
        }
      }
      for (index_t s = 0; s < S; ++s) {
        for (index_t c = 0; c < hd; ++c) {
          const bool seen = s >= b * (S / 2) && b < 2;
          REQUIRE((x[1].grad()(b, h, s, c) != 0) == seen);
          REQUIRE((x[2].grad()(b, h, s, c) != 0) == seen);
        }
      }
    }
  }
}

TEST_CASE("attention: left padding changes no row of a real token") {
  const index_t T = 45, pad = 19, hd = 16;
  const auto q = random({1, 2, T, hd}).cast<float>();
  const auto k = random({1, 2, T, hd}, 1).cast<float>(), v = random({1, 2, T, hd}, 2).cast<float>();
  Tensor<bool> mask = ones<bool>({1, T});
  mask.slice(1, 0, pad).fill(false);
  const AttentionOptions options{.causal = true, .alibi_slopes = slopes(2)};
  AttentionOptions padded = options;
  padded.key_mask = mask;
  const auto tail = [&](const Tensor<float>& x) { return x.slice(2, pad, T); };
  CHECK(compare(tail(attention(q, k, v, padded)), attention(tail(q), tail(k), tail(v), options),
                forward_float)
            .message == "");
}

TEST_CASE("attention: scores of any size stay finite, NaN shows") {
  Tensor<float> q = random({1, 1, 40, 8}).cast<float>();
  for (index_t i = 0; i < q.numel(); ++i) q.data()[i] *= 1e4F;
  const auto y = attention(q, q, q, {.causal = true});
  for (index_t i = 0; i < y.numel(); ++i) REQUIRE(std::isfinite(y.contiguous().data()[i]));
  q.data()[20 * 8] = std::nanf("");
  CHECK(std::isnan(attention(q, q, q)(0, 0, 0, 0)));
  const auto causal = attention(q, q, q, {.causal = true});
  CHECK(std::isnan(causal(0, 0, 20, 0)));
}

// What the kernels of this thread work in; the pool does not see it.
std::size_t scratch_bytes() {
  std::size_t bytes = 0;
  for (auto* block = plume::detail::scratch_stack().top; block != nullptr;
       block = block->previous) {
    bytes += block->capacity;
  }
  return bytes;
}

TEST_CASE("attention: memory at T = 1024 is below a third of the unfused op's") {
  const index_t T = 1024;
  set_thread_count(1);
  for (const index_t H : {1, 4}) {
    const auto q = projected<float>(1, T, H, 64, 1), k = projected<float>(1, T, H, 64, 2);
    const auto v = projected<float>(1, T, H, 64, 3), dy = projected<float>(1, T, H, 64, 4);
    const auto peak = [](const auto& f) {
      release_scratch();
      cpu_memory().reset_peak();
      const std::size_t before = cpu_memory().stats().total.current;
      f();
      return cpu_memory().stats().total.peak - before + scratch_bytes();
    };
    for (const bool causal : {false, true}) {
      const AttentionOptions options{.causal = causal};
      Tensor<float> lse, p, y;
      const std::size_t forward = peak([&] { y = attention(q, k, v, options, &lse); });
      const std::size_t backward =
          peak([&] { attention_backward(dy, q, k, v, y, lse, options, true, true, true); });
      const std::size_t forward_stored =
          peak([&] { y = unfused::attention(q, k, v, options, &p); });
      const std::size_t backward_stored =
          peak([&] { unfused::attention_backward(dy, q, k, v, p, options); }) +
          static_cast<std::size_t>(p.numel()) * sizeof(float);  // which forward left
      MESSAGE("peak KiB, H = ", H, ": forward ", forward / 1024, " (unfused ",
              forward_stored / 1024, "), backward ", backward / 1024, " (unfused ",
              backward_stored / 1024, ")");
      CHECK(3 * forward <= forward_stored);
      CHECK(3 * backward <= backward_stored);
    }
  }
  set_thread_count(0);
}

TEST_CASE("attention: keeps for backward what the wanted gradients need") {
  const Inputs in = inputs_of(1, 2, 20, 20, 4);
  for (int which = 1; which < 8; ++which) {
    const bool wants_q = (which & 1) != 0, wants_k = (which & 2) != 0, wants_v = (which & 4) != 0;
    const Var<double> q(in[0].clone(), wants_q), k(in[1].clone(), wants_k);
    const Var<double> v(in[2].clone(), wants_v);
    const Var<double> y = attention(q, k, v);
    CHECK(!q.value().unique());
    CHECK(!k.value().unique());
    CHECK(v.value().unique() == !(wants_q || wants_k));  // dv needs neither v nor y
    CHECK(y.value().unique() == !(wants_q || wants_k));
  }
}

}  // namespace
