#include "plume/ops/product_operands.hpp"

#include <functional>

#include "plume/autograd/recompute.hpp"
#include "plume/nn/hold_frozen.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/linear_cross_entropy.hpp"
#include "plume/ops/media_attention.hpp"
#include "plume/ops/patch_embedding.hpp"
#include "plume/ops/sum.hpp"
#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

using F32 = Tensor<float>;
using Floats = std::vector<F32>;
using Product = std::function<Var<float>(const std::vector<Var<float>>&)>;

F32 values(const Shape& shape, std::uint64_t seed) { return random(shape, seed).cast<float>(); }
F32 rounded(const F32& x) { return x.cast<bfloat16>().cast<float>(); }

/// The result, and the gradient of every input.
Floats run(const Product& f, const Floats& at, const F32& dy, Precision precision) {
  std::vector<Var<float>> in;
  for (const F32& x : at) in.push_back(trainable(x.clone()));
  Var<float> y;
  {
    const PrecisionScope scope(precision);
    y = f(in);
  }
  backward(y, dy.clone());  // outside the scope
  Floats out{y.value()};
  for (const Var<float>& x : in) out.push_back(x.grad());
  return out;
}

struct Case {
  const char* name;
  Product f;
  Floats at;
  Shape result;
  std::size_t sums = 9;  ///< the input that is added, not multiplied
};

std::vector<Case> cases() {
  return {
      {"linear",
       [](const auto& x) { return linear(x[0], x[1], x[2]); },
       {values({2, 5, 37}, 1), values({19, 37}, 2), values({19}, 3)},
       {2, 5, 19},
       2},
      {"matmul",
       [](const auto& x) { return matmul(x[0], x[1]); },
       {values({3, 7, 33}, 1), values({33, 21}, 2)},
       {3, 7, 21}},
      {"patch_embedding",
       [](const auto& x) { return patch_embedding(x[0], x[1], x[2]); },
       {values({2, 3, 8, 8}, 1), values({6, 3, 4, 4}, 2), values({6}, 3)},
       {2, 4, 6},
       2},
  };
}

TEST_CASE("amp_bf16: results and gradients are those of rounded operands, bit for bit") {
  for (const Case& c : cases()) {
    INFO(c.name);
    const F32 dy = values(c.result, 7);
    Floats exact;
    for (std::size_t i = 0; i < c.at.size(); ++i)
      exact.push_back(i == c.sums ? c.at[i] : rounded(c.at[i]));
    const Floats amp = run(c.f, c.at, dy, Precision::amp_bf16);
    const Floats expected = run(c.f, exact, rounded(dy), Precision::fp32);
    CHECK(same_bits(amp[0], rounded(expected[0])));
    CHECK_FALSE(same_bits(amp[0], expected[0]));
    for (std::size_t i = 0; i < c.at.size(); ++i) {
      INFO("input ", i);
      if (i != c.sums) CHECK(same_bits(amp[i + 1], expected[i + 1]));
    }
    // A bias is no operand: its gradient is the sum of dy itself.
    if (c.sums < c.at.size()) {
      const Floats plain = run(c.f, c.at, dy, Precision::fp32);
      CHECK(same_bits(amp[c.sums + 1], plain[c.sums + 1]));
    }
  }
}

TEST_CASE("amp_bf16: attention, with probabilities in fp32 and y as it went out") {
  const F32 q = values({2, 3, 5, 8}, 1), k = values({2, 3, 9, 8}, 2), v = values({2, 3, 9, 8}, 3);
  const F32 dy = values({2, 3, 5, 8}, 4);
  const AttentionOptions options{.causal = true};
  const Floats amp = run([&](const auto& x) { return attention(x[0], x[1], x[2], options); },
                         {q, k, v}, dy, Precision::amp_bf16);
  F32 lse;
  const F32 y = rounded(attention(rounded(q), rounded(k), rounded(v), options, &lse));
  const auto g = attention_backward(rounded(dy), rounded(q), rounded(k), rounded(v), y, lse,
                                    options, true, true, true);
  CHECK(same_bits(amp[0], y));
  CHECK(same_bits(amp[1], g.dq));
  CHECK(same_bits(amp[2], g.dk));
  CHECK(same_bits(amp[3], g.dv));
}

TEST_CASE("amp_bf16: attention to media") {
  const F32 q = values({1, 2, 5, 8}, 1), k = values({1, 2, 2, 3, 8}, 2),
            v = values({1, 2, 2, 3, 8}, 3), dy = values({1, 2, 5, 8}, 4);
  const Tensor<std::int64_t> image({1, 5}, {-1, 0, 0, 1, 1});
  const Floats amp = run([&](const auto& x) { return media_attention(x[0], x[1], x[2], image); },
                         {q, k, v}, dy, Precision::amp_bf16);
  MediaAttentionSaved<float> saved;
  const F32 y = rounded(media_attention(rounded(q), rounded(k), rounded(v), image, {}, &saved));
  const auto g = media_attention_backward(rounded(dy), rounded(q), rounded(k), rounded(v), y, image,
                                          saved, {}, true, true, true);
  CHECK(same_bits(amp[0], y));
  CHECK(same_bits(amp[1], g.dq));
  CHECK(same_bits(amp[2], g.dk));
  CHECK(same_bits(amp[3], g.dv));
}

TEST_CASE("amp_bf16: the loss of a rounded output matrix stays fp32") {
  const F32 x = values({4, 6}, 1), w = values({11, 6}, 2), r = values({2, 6}, 3);
  const Tensor<std::int64_t> targets({4}, {3, -100, 10, 0});
  const std::vector<std::int64_t> ids{3, 7};
  const auto same = [&](const Product& f, const Floats& at) {
    Floats exact;
    for (const F32& t : at) exact.push_back(rounded(t));
    const F32 one = ones<float>({});
    const Floats amp = run(f, at, one, Precision::amp_bf16);
    const Floats expected = run(f, exact, one, Precision::fp32);
    for (std::size_t i = 0; i < amp.size(); ++i) CHECK(same_bits(amp[i], expected[i]));
    CHECK_FALSE(same_bits(amp[0], rounded(amp[0])));
  };
  same([&](const auto& in) { return linear_cross_entropy(in[0], in[1], targets); }, {x, w});
  same([&](const auto& in) { return linear_cross_entropy(in[0], in[1], in[2], ids, targets); },
       {x, w, r});
}

TEST_CASE("amp_bf16: a frozen matrix held in bfloat16 gives what a float one does") {
  struct Layer : nn::Module {
    nn::Linear<float> layer{*this, "layer", 37, 19};
    Layer() {
      initialize(*this, 5);
      nn::freeze(*this);
    }
  } held, plain;
  nn::hold_frozen_in_bf16(held);
  const F32 dy = values({3, 19}, 2);
  const Floats a = run([&](const auto& x) { return held.layer(x[0]); }, {values({3, 37}, 1)}, dy,
                       Precision::amp_bf16);
  const Floats b = run([&](const auto& x) { return plain.layer(x[0]); }, {values({3, 37}, 1)}, dy,
                       Precision::amp_bf16);
  for (std::size_t i = 0; i < 2; ++i) {
    const Comparison same = compare(a[i], b[i], i == 0 ? forward_bfloat16 : gradient_float);
    CHECK_MESSAGE(same.ok, same.message);
  }
  CHECK(same_bits(a[0], rounded(a[0])));
}

TEST_CASE("amp_bf16: gradients are those of the product at the rounded place") {
  // Rounding passes gradients as they are. The product in double is what grad_check checks.
  for (const Case& c : cases()) {
    INFO(c.name);
    const F32 dy = rounded(values(c.result, 7));
    const Floats amp = run(c.f, c.at, dy, Precision::amp_bf16);
    std::vector<Var<double>> in;
    for (std::size_t i = 0; i < c.at.size(); ++i) {
      const F32 x = i == c.sums ? c.at[i] : rounded(c.at[i]);
      in.push_back(trainable(x.cast<double>()));
    }
    const Var<double> y = std::string_view(c.name) == "matmul" ? matmul(in[0], in[1])
                          : std::string_view(c.name) == "linear"
                              ? linear(in[0], in[1], in[2])
                              : patch_embedding(in[0], in[1], in[2]);
    backward(y, dy.cast<double>());
    for (std::size_t i = 0; i < in.size(); ++i) {
      const Comparison same = compare(amp[i + 1], in[i].grad(), gradient_float);
      CHECK_MESSAGE(same.ok, "input ", i, ": ", same.message);
    }
  }
}

TEST_CASE("amp_bf16: activations are kept at half the memory, weights once") {
  const auto kept = [](Precision precision) {
    const PrecisionScope scope(precision);
    F32 x = values({256, 64}, 1), w = values({64, 64}, 2);
    const Var<float> vx(x, true), vw(w, true);
    const std::size_t before = cpu_memory().stats().total.current;
    const Var<float> y = linear(vx, vw);
    const std::size_t more = cpu_memory().stats().total.current - before;
    return more - 4 * static_cast<std::size_t>(y.value().numel());
  };
  const std::size_t graph = 4096;  // the node and its closure
  CHECK(kept(Precision::fp32) < graph);
  CHECK(kept(Precision::amp_bf16) < 2 * 256 * 64 + graph);
  CHECK(kept(Precision::amp_bf16) >= 2 * 256 * 64);

  // With nothing else to hold x: half of what fp32 keeps.
  const auto all = [](Precision precision) {
    const PrecisionScope scope(precision);
    const Var<float> w = trainable(values({64, 64}, 2));
    const std::size_t before = cpu_memory().stats().total.current;
    const Var<float> y = sum(linear(Var<float>(values({256, 64}, 1)), w));
    return cpu_memory().stats().total.current - before;
  };
  CHECK(all(Precision::fp32) >= 4 * 256 * 64);
  CHECK(all(Precision::amp_bf16) < 2 * 256 * 64 + graph);
}

TEST_CASE("amp_bf16: recompute computes as it did the first time") {
  const Product block = [](const auto& x) { return gelu(linear(gelu(linear(x[0], x[1])), x[1])); };
  const Product again = [&](const auto& x) {
    return recompute([&](const auto& a, const auto& b) { return block({a, b}); }, x[0], x[1]);
  };
  const Floats at{values({5, 16}, 1), values({16, 16}, 2)};
  const F32 dy = values({5, 16}, 3);
  for (const Precision precision : {Precision::fp32, Precision::amp_bf16}) {
    const Floats a = run(block, at, dy, precision), b = run(again, at, dy, precision);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(same_bits(a[i], b[i]));
  }
  CHECK_FALSE(same_bits(run(again, at, dy, Precision::fp32)[2],
                        run(again, at, dy, Precision::amp_bf16)[2]));
}

TEST_CASE("precision: scopes nest and end, other scalars are told apart") {
  CHECK(precision() == Precision::fp32);
  {
    const PrecisionScope amp(Precision::amp_bf16);
    CHECK(precision() == Precision::amp_bf16);
    {
      const PrecisionScope full(Precision::fp32);
      CHECK(precision() == Precision::fp32);
    }
    CHECK(precision() == Precision::amp_bf16);
    const Var<double> wide(ones<double>({2, 2}));
    CHECK_THROWS_WITH_AS(matmul(wide, wide),
                         "[matmul] expected float tensors under amp_bf16, got double", ValueError);
    const Var<bfloat16> narrow(ones<bfloat16>({2, 2}));
    CHECK(matmul(narrow, narrow).value()(0, 0) == 2.0F);
    // Not a number stays one, and so does infinity.
    const Var<float> odd(F32({1, 2}, {std::nanf(""), HUGE_VALF}));
    const F32 y = matmul(odd, Var<float>(F32({2, 2}, {1, 0, 0, 1}))).value();
    CHECK(std::isnan(y(0, 0)));
    CHECK(std::isinf(
        linear(Var<float>(F32({1}, {HUGE_VALF})), Var<float>(ones<float>({1, 1}))).value()(0)));
  }
  CHECK(precision() == Precision::fp32);
  CHECK(name(Precision::fp32) == "fp32");
  CHECK(name(Precision::amp_bf16) == "amp_bf16");
}

}  // namespace
