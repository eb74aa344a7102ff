#include "plume/nn/gated_cross_attention.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/ops/sum.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::nn;
using test::same_bits;

namespace {

constexpr index_t T = 9, M = 3, L = 2, d = 6, D = 5;

struct Model : Module {
  GatedCrossAttention<double> block{
      *this, "block", {.text_width = d, .visual_width = D, .heads = {2, 3}, .multiple = 2}};
  explicit Model(double gate = 0.7) {
    initialize(*this, 5);
    block.attn_gate.set_value(full<double>({1}, gate));
    block.ff_gate.set_value(full<double>({1}, -gate));
  }
};

struct Sample {
  Tensor<double> x, media;
  Tensor<std::int64_t> times;
  Sample() {
    Generator g(3);
    x = normal<double>({1, T, d}, g);
    media = normal<double>({1, M, L, D}, g);
    times = Tensor<std::int64_t>({1, T}, {0, 0, 1, 1, 1, 2, 2, 3, 3});
  }
};

Tensor<double> run(const Model& model, const Sample& s) {
  return model.block(constant(s.x), model.block.prepare(constant(s.media)), s.times)
      .value()
      .clone();
}

TEST_CASE("gated cross-attention: with gates at 0 it is the identity, to the bit") {
  const Model model(0);
  const Sample s;
  CHECK(same_bits(run(model, s), s.x));
}

TEST_CASE("gated cross-attention: perturbing image k moves exactly the tokens of image k") {
  const Model model;
  Sample s;
  const Tensor<double> before = run(model, s);
  for (index_t image = 0; image < M; ++image) {
    Sample changed;
    changed.media.select(1, image).fill(0.25);
    const Tensor<double> after = run(model, changed);
    for (index_t t = 0; t < T; ++t) {
      INFO("image ", image, ", token ", t);
      const bool moved = !same_bits(before.select(1, t), after.select(1, t));
      CHECK(moved == (s.times(0, t) == image + 1));
    }
  }
}

TEST_CASE(
    "gated cross-attention: text before the first image gets nothing from attention, but the "
    "feed-forward acts") {
  const Model model;
  const Sample s;
  const Var<double> attended =
      model.block.attn(constant(s.x), model.block.prepare(constant(s.media)), s.times);
  for (index_t t = 0; t < 2; ++t) {
    for (index_t i = 0; i < d; ++i) CHECK(attended.value()(0, t, i) == 0);
  }
  CHECK_FALSE(same_bits(run(model, s).select(1, 0), s.x.select(1, 0)));
}

TEST_CASE("gated cross-attention: more <image> tokens than images see the mean over all of them") {
  const Model model;
  Sample s;
  s.times = full<std::int64_t>({1, T}, M + 1);
  const auto media = model.block.prepare(constant(s.media));
  const Tensor<double> y = model.block.attn(constant(s.x), media, s.times).value();
  // Uniform weights do not depend on the query, so every token gets the same.
  for (index_t t = 1; t < T; ++t) {
    CHECK(test::compare(y.select(1, t), y.select(1, 0), {1e-13, 1e-13}).ok);
  }
  CHECK(sum(mul(y, y)).item() > 0);
}

TEST_CASE("gated cross-attention: the gradient reaches an image only from its own tokens") {
  const Model model;
  const Sample s;
  const auto media = trainable(s.media.clone());
  const auto y = model.block.attn(constant(s.x), model.block.prepare(media), s.times);
  Tensor<double> cotangent = zeros<double>(y.shape());
  cotangent.slice(1, 5, 7).fill(1);  // the tokens of the second image
  backward(y, cotangent);
  const auto magnitude = [&](index_t m) {
    const Tensor<double> g = media.grad().select(1, m);
    return sum(mul(g, g)).item();
  };
  CHECK(magnitude(0) == 0);
  CHECK(magnitude(1) > 0);
  CHECK(magnitude(2) == 0);
}

TEST_CASE("text times count the images up to and including each place") {
  const Tensor<std::int64_t> ids({2, 5}, {7, 9, 7, 7, 9, 9, 9, 7, 9, 7});
  const Tensor<std::int64_t> times = text_times(ids, 9);
  CHECK(same_bits(times, Tensor<std::int64_t>({2, 5}, {0, 1, 1, 1, 2, 1, 2, 2, 3, 3})));
  CHECK(draw_mask(times.select(0, 0), 2, MediaMask::immediate) == "..\n#.\n#.\n#.\n.#\n");
  CHECK(draw_mask(times.select(0, 0), 2, MediaMask::all_previous) == "..\n#.\n#.\n#.\n##\n");
}

}  // namespace
