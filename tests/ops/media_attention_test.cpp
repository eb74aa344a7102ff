#include "plume/ops/media_attention.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

Tensor<std::int32_t> images(const Shape& shape, std::initializer_list<std::int32_t> values) {
  return Tensor<std::int32_t>(shape, values);
}

// Text time as Flamingo counts it: `lead` tokens before the first image, then `run` tokens for each.
Tensor<std::int64_t> text_time(index_t B, index_t T, index_t lead, index_t run) {
  Tensor<std::int64_t> image(Shape{B, T});
  for (index_t b = 0; b < B; ++b) {
    for (index_t t = 0; t < T; ++t) image(b, t) = t < lead + b ? -1 : (t - lead - b) / run;
  }
  return image;
}

Inputs inputs_of(index_t B, index_t H, index_t T, index_t M, index_t L, index_t hd) {
  return {random({B, H, T, hd}), random({B, H, M, L, hd}, 1), random({B, H, M, L, hd}, 2)};
}

template <Index I>
void check(OpTest& op, const Inputs& in, const Tensor<I>& image, bool layouts = true,
           MediaAttentionOptions options = {}) {
  op.check(
      in, [&](const auto& x) { return media_attention(x[0], x[1], x[2], image, options); },
      [&](const auto& x) { return definition::media_attention(x[0], x[1], x[2], image, options); },
      {.broadcast = layouts, .strides = layouts, .gradient_in_float = {2e-5, 2e-5}});
}

OP_TEST("media_attention") {
  check(op, inputs_of(2, 2, 6, 2, 3, 4), images({2, 6}, {-1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1}));
  // Not monotone, with gaps, in one sequence only; images nobody belongs to.
  check(op, inputs_of(2, 2, 6, 4, 3, 4), images({2, 6}, {2, 0, -1, 2, 0, 2, 3, 3, 1, 1, -1, -1}));
  check(op, inputs_of(1, 2, 4, 3, 2, 5), images({1, 4}, {-1, -1, -1, -1}));
  for (const index_t hd : {1, 3, 16, 33, 64, 80}) {
    check(op, inputs_of(1, 2, 5, 2, 7, hd), images({1, 5}, {0, 0, 1, 1, 1}), hd == 3);
    check(op, inputs_of(1, 2, 14, 2, 7, hd), text_time(1, 14, 1, 10), hd == 3);
  }
  // Blocks of 31, 32, 33 and 65 tokens; one latent, a tile of them more or less one.
  for (const index_t run : {31, 32, 33, 65}) {
    check(op, inputs_of(1, 1, run + 3, 2, 5, 3), text_time(1, run + 3, 1, run), false);
  }
  const index_t tile = kernel::key_block<float>;
  for (const index_t L : {index_t{1}, tile - 1, tile, tile + 1}) {
    check(op, inputs_of(1, 1, 4, 2, L, 2), text_time(1, 4, 1, 2), false);
    check(op, inputs_of(1, 1, 14, 2, L, 2), text_time(1, 14, 1, 11), false);
  }
  check(op, inputs_of(1, 2, 0, 2, 3, 4), images({1, 0}, {}));
  check(op, inputs_of(1, 2, 2, 0, 3, 4), images({1, 2}, {-1, -1}));
  check(op, inputs_of(1, 2, 2, 1, 0, 4), images({1, 2}, {0, 0}));
  check(op, inputs_of(1, 2, 3, 2, 3, 4), images({1, 3}, {0, 1, 1}), true, {.scale = 0.2});

  const auto some = images({1, 5}, {-1, 1, 1, 0, 0});
  const auto f = [&](const auto& x) { return media_attention(x[0], x[1], x[2], some); };
  const auto definition = [&](const auto& x) {
    return definition::media_attention(x[0], x[1], x[2], some);
  };
  op.check_forward_in<bfloat16>(inputs_of(1, 2, 5, 2, 9, 20), f, definition, forward_bfloat16);
  op.check_forward_in<half>(inputs_of(1, 2, 5, 2, 9, 20), f, definition, forward_half);

  const Tensor<double> q = ones<double>({1, 2, 3, 4}), k = ones<double>({1, 2, 5, 6, 4});
  const auto image = images({1, 3}, {0, 1, 4});
  op.refuses("k without an image axis", [&] { media_attention(q, k.select(2, 0), k, image); });
  op.refuses("k of another head size", [&] { media_attention(q, k.slice(4, 0, 3), k, image); });
  op.refuses("v with fewer latents", [&] { media_attention(q, k, k.slice(3, 0, 5), image); });
  op.refuses("an index for each sequence", [&] { media_attention(q, k, k, images({1}, {0})); });
  op.refuses("an image beyond the last", [&] {
    media_attention(q, k, k, images({1, 3}, {0, 5, 1}));
  });
  op.refuses("an image below -1", [&] { media_attention(q, k, k, images({1, 3}, {0, 0, -2})); });
  op.refuses("an infinite scale", [&] { media_attention(q, k, k, image, {.scale = HUGE_VAL}); });
  op.refuses("a gradient of another shape", [&] {
    media_attention_backward(q.slice(2, 0, 2), q, k, k, q, image, {}, {}, true, true, true);
  });
}

TEST_CASE("media_attention: the message names the token") {
  const Tensor<float> q = ones<float>({2, 1, 3, 4}), k = ones<float>({2, 1, 2, 5, 4});
  CHECK_THROWS_WITH_AS(
      media_attention(q, k, k, images({2, 3}, {0, 0, 0, 0, 2, 0})),
      "[media_attention] expected image indices in [-1, 2), got 2 for token 1 of sequence 1",
      ValueError);
}

TEST_CASE("media_attention: equals attention under a mask, image by image") {
  // With one image and every token in it, the mask lets everything through.
  const auto q = random({2, 3, 40, 16}), k = random({2, 3, 1, 70, 16}, 1);
  const auto v = random({2, 3, 1, 70, 16}, 2);
  CHECK(same_bits(media_attention(q, k, v, zeros<std::int32_t>({2, 40})),
                  attention(q, k.select(2, 0), v.select(2, 0))));
}

TEST_CASE("media_attention: what is computed does not grow with the number of images") {
  const index_t T = 60, L = 8;
  const auto image = text_time(2, T, 3, 20);
  const index_t belonging = (T - 3) + (T - 4);
  for (const index_t M : {3, 4, 30, 300}) {
    const MediaBlocks plan = media_blocks(image, M);
    CHECK(plan.blocks.size() == 6);
    CHECK(plan.scores(L) == belonging * L);
  }
  // Nor is anything of the other images read: NaN in them reaches no result.
  const Inputs in = inputs_of(2, 2, T, 5, L, 6);
  Inputs poisoned{in[0], in[1].clone(), in[2].clone()};
  for (std::size_t i = 1; i < 3; ++i) poisoned[i].slice(2, 3, 5).fill(std::nan(""));
  const auto run = [&](const Inputs& x) {
    const Vars vars{trainable(x[0]), trainable(x[1]), trainable(x[2])};
    const Var<double> y = media_attention(vars[0], vars[1], vars[2], image);
    backward(y, random(y.shape(), 9));
    return std::vector{y.value(), vars[0].grad(), vars[1].grad(), vars[2].grad()};
  };
  const auto clean = run(in), dirty = run(poisoned);
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(clean[i], dirty[i]));
}

TEST_CASE("media_attention: exact zeros where there is no image and where nobody looks") {
  const auto image = images({2, 5}, {-1, 3, -1, 1, 3, -1, -1, 0, 0, 0});
  const Inputs in = inputs_of(2, 2, 5, 4, 3, 6);
  const Vars x{trainable(in[0]), trainable(in[1]), trainable(in[2])};
  const Var<double> y = media_attention(x[0], x[1], x[2], image);
  backward(y, random(y.shape(), 9));
  for (index_t b = 0; b < 2; ++b) {
    for (index_t t = 0; t < 5; ++t) {
      REQUIRE((y.value()(b, 1, t, 2) == 0) == (image(b, t) < 0));
      REQUIRE((x[0].grad()(b, 1, t, 2) == 0) == (image(b, t) < 0));
    }
    for (index_t m = 0; m < 4; ++m) {
      const bool seen = b == 0 ? m == 1 || m == 3 : m == 0;
      REQUIRE((x[1].grad()(b, 1, m, 2, 3) != 0) == seen);
      REQUIRE((x[2].grad()(b, 1, m, 2, 3) != 0) == seen);
    }
  }
}

TEST_CASE("media_attention: each gradient alone is the same, for any order and thread count") {
  const Inputs in = inputs_of(2, 2, 70, 3, 20, 6);
  const Tensor<double> dy = random(in[0].shape(), 9);
  for (const bool monotone : {true, false}) {
    auto image = text_time(2, 70, 2, 30);
    if (!monotone) image(0, 60) = 0;
    const auto gradients = [&](bool q, bool k, bool v) {
      const Vars x{Var<double>(in[0], q), Var<double>(in[1], k), Var<double>(in[2], v)};
      const Var<double> y = media_attention(x[0], x[1], x[2], image);
      if (y.requires_grad()) backward(y, dy);
      return std::vector{y.value(), x[0].grad(), x[1].grad(), x[2].grad()};
    };
    set_thread_count(1);
    const auto all = gradients(true, true, true);
    set_thread_count(3);
    for (int which = 0; which < 8; ++which) {
      const bool wanted[] = {true, (which & 1) != 0, (which & 2) != 0, (which & 4) != 0};
      const auto some = gradients(wanted[1], wanted[2], wanted[3]);
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK(some[i].defined() == wanted[i]);
        if (wanted[i]) CHECK(same_bits(some[i], all[i]));
      }
    }
    set_thread_count(0);
  }
}

}  // namespace
