#include "plume/nn/gated_cross_attention.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/autograd/grad_check.hpp"
#include "plume/ops/sum.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::nn;
using test::same_bits;

namespace {

constexpr index_t T = 9, M = 3, L = 2, d = 6, D = 5;

struct Model : Module {
  GatedCrossAttention<double> block;
  explicit Model(double gate = 0.7, MediaMask mask = MediaMask::immediate)
      : block(*this, "block",
              {.text_width = d, .visual_width = D, .heads = {2, 3}, .multiple = 2, .mask = mask}) {
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

TEST_CASE("gated cross-attention: perturbing image k moves exactly the tokens the mask names") {
  for (const MediaMask mask : {MediaMask::immediate, MediaMask::all_previous}) {
    const Model model(0.7, mask);
    const Sample s;
    const Tensor<double> before = run(model, s);
    for (index_t image = 0; image < M; ++image) {
      Sample changed;
      changed.media.select(1, image).fill(0.25);
      const Tensor<double> after = run(model, changed);
      for (index_t t = 0; t < T; ++t) {
        INFO("mask ", static_cast<int>(mask), ", image ", image, ", token ", t);
        const bool moved = !same_bits(before.select(1, t), after.select(1, t));
        CHECK(moved == (look(mask, s.times(0, t), image + 1, M) != Look::away));
      }
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

TEST_CASE("gated cross-attention: all_previous is attention under a mask, by the book") {
  const Model model(0.7, MediaMask::all_previous);
  const MaskedCrossAttention<double>& attn = model.block.attn;
  Generator g(8);
  const Tensor<double> x = normal<double>({2, 5, d}, g);
  const Var<double> media = trainable(normal<double>({2, M, L, D}, g));
  // Sequences of different times; the last has more <image> tokens than images.
  const Tensor<std::int64_t> times({2, 5}, {0, 0, 1, 2, 2, 1, 3, 3, 4, 5});

  Tensor<double> q = split_heads(attn.to_q(attn.norm(constant(x))), attn.heads).value().clone();
  const auto kv = attn.keys_and_values(media);
  const Shape flat{2, attn.heads.heads, M * L, attn.heads.head_width};
  for (index_t b = 0; b < 2; ++b) {
    for (index_t t = 0; t < 5; ++t) {
      // Every key masked alike is every score alike.
      if (times(b, t) == 0) q.select(0, b).select(1, t).fill(0);
    }
  }
  const Tensor<double> attended = definition::attend(
      q, kv.keys.value().reshape(flat), kv.values.value().reshape(flat),
      1 / std::sqrt(static_cast<double>(attn.heads.head_width)),
      [&](index_t b, index_t t, index_t s) { return times(b, t) == 0 || s / L < times(b, t); },
      [](index_t, index_t, index_t) { return 0.0; });
  const Tensor<double> expected = attn.to_out(merge_heads(constant(attended))).value();
  CHECK(test::compare(attn(constant(x), kv, times).value(), expected, {1e-13, 1e-13}).ok);

  const auto gradient = grad_check(
      [&](const Vars& in) { return Vars{attn(in[0], attn.keys_and_values(in[1]), times)}; },
      {x, media.value()});
  INFO(gradient.where);
  CHECK(gradient.passed(1e-7));

  const auto none = attn.keys_and_values(constant(zeros<double>({2, 0, L, D})));
  CHECK(same_bits(attn(constant(x), none, times).value(), zeros<double>(x.shape())));
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
}

}  // namespace
