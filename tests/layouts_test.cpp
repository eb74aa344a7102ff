#include <doctest/doctest.h>

#include "plume/data/mixture.hpp"
#include "plume/nn/gated_cross_attention.hpp"
#include "plume/nn/token_embedding.hpp"
#include "plume/ops/registry.hpp"
#include "plume/train/step.hpp"
#include "tests/support/compare.hpp"

// Whole numbers and masks (ids, times, targets, positions) give the same through every layout: compact, a slice of a
// larger tensor, transposed, every other element.

using namespace plume;
using namespace plume::test;

namespace {

/// Views that show the elements of x [A, B].
template <Scalar T>
std::vector<Tensor<T>> layouts(const Tensor<T>& x) {
  const index_t A = x.size(0), B = x.size(1);
  Tensor<T> slice = zeros<T>({A + 2, B + 3});
  Tensor<T> turned = zeros<T>({B, A});
  Tensor<T> spread = zeros<T>({2 * A, 3 * B});
  std::vector<Tensor<T>> out{x, slice.slice(0, 1, A + 1).slice(1, 2, B + 2), turned.transpose(0, 1),
                             spread.slice(0, 0, 2 * A, 2).slice(1, 1, 3 * B, 3)};
  for (std::size_t i = 1; i < out.size(); ++i) {
    out[i].copy_from(x);
    CHECK_FALSE(out[i].is_contiguous());
  }
  return out;
}

/// f(view) has the same bits for every layout.
template <Scalar T, class F>
void check_layouts(const char* what, const Tensor<T>& x, F f) {
  const auto expected = f(x);
  for (const Tensor<T>& view : layouts(x))
    CHECK_MESSAGE(same_bits(f(view), expected), what, " through strides ", view.strides());
}

Tensor<std::int64_t> numbers(index_t below) {
  Tensor<std::int64_t> out({2, 5});
  for (index_t i = 0; i < 10; ++i) out.data()[i] = (3 * i + 1) % below;
  return out;
}

/// What f(x) gives with the gradient of x.
template <class F>
auto with_gradient(F f, const Tensor<double>& at) {
  return [=](const auto& view) {
    const Var<double> x = trainable(at);
    const Var<double> y = f(x, view);
    backward(sum(mul(y, y)));
    const Tensor<double> value = y.value().reshape({-1}), grad = x.grad().reshape({-1});
    Tensor<double> both(Shape{value.numel() + grad.numel()});
    both.slice(0, 0, value.numel()).copy_from(value);
    both.slice(0, value.numel(), both.numel()).copy_from(grad);
    return both;
  };
}

TEST_CASE("layouts: ids, targets and positions of ops") {
  Generator g(2);
  const auto n = [&](const Shape& shape) { return normal<double>(shape, g); };
  using V = Var<double>;
  using Ids = Tensor<std::int64_t>;
  check_layouts("embedding", numbers(7),
                with_gradient([](const V& x, const Ids& i) { return embedding(x, i); }, n({7, 3})));
  check_layouts("gather", numbers(5),
                with_gradient([](const V& x, const Ids& i) { return gather(x, 1, i); }, n({2, 5})));
  check_layouts(
      "cross_entropy", numbers(4),
      with_gradient([](const V& x, const Ids& i) { return cross_entropy(x, i); }, n({2, 5, 4})));
  const V w = constant(n({6, 3}));
  check_layouts(
      "linear_cross_entropy", numbers(6),
      with_gradient([&](const V& x, const Ids& i) { return linear_cross_entropy(x, w, i); },
                    n({2, 5, 3})));
  check_layouts(
      "rotary positions", numbers(9),
      with_gradient([](const V& x, const Ids& i) { return rotary(x, rotary_table(i, 4), 1); },
                    n({2, 5, 4})));
  const V media = constant(n({2, 1, 3, 2, 4}));
  check_layouts(
      "media_attention", numbers(3),
      with_gradient([&](const V& q, const Ids& i) { return media_attention(q, media, media, i); },
                    n({2, 1, 5, 4})));
  const V keys = constant(n({2, 1, 5, 4}));
  Tensor<bool> mask = full<bool>({2, 5}, true);
  mask(0, 0) = mask(1, 0) = mask(1, 1) = false;
  check_layouts("attention mask", mask,
                with_gradient(
                    [&](const V& q, const Tensor<bool>& m) {
                      return attention(q, keys, keys, {.key_mask = m});
                    },
                    n({2, 1, 5, 4})));
}

TEST_CASE("layouts: a rotary table that is itself a view") {
  Generator g(2);
  const Tensor<double> x = normal<double>({2, 5, 4}, g);
  const RotaryTable table = rotary_table(numbers(9), 4);
  const Tensor<double> expected = rotary(x, table, 1);
  RotaryTable view = table;
  for (Tensor<float>* t : {&view.cos, &view.sin}) {
    Tensor<float> large = zeros<float>({3, 7, t->size(2) + 1});
    Tensor<float> part = large.slice(0, 1, 3).slice(1, 1, 6).slice(2, 0, t->size(2));
    part.copy_from(*t);
    *t = part;
  }
  CHECK(same_bits(rotary(x, view, 1), expected));
}

TEST_CASE("layouts: text times, token tables, labels and pictures") {
  Generator g(2);
  check_layouts("text_times", numbers(3), [](const auto& ids) { return nn::text_times(ids, 1); });
  struct Owner : nn::Module {
  } owner;
  nn::TokenEmbedding<double> tokens(owner, "tokens", 7, 3);
  tokens.train_rows({2, 4});
  initialize(owner, 3);
  check_layouts("token_embedding", numbers(7),
                [&](const auto& ids) { return tokens(ids).value(); });
  const Var<double> hidden = constant(normal<double>({2, 5, 3}, g));
  check_layouts("token cross_entropy", numbers(7),
                [&](const auto& ids) { return tokens.cross_entropy(hidden, ids).value(); });
  for (const auto mask : {nn::MediaMask::immediate, nn::MediaMask::all_previous}) {
    Owner block_owner;
    nn::GatedCrossAttention<double> block(
        block_owner, "block",
        {.text_width = 4, .visual_width = 4, .heads = {1, 4}, .multiple = 1, .mask = mask});
    initialize(block_owner, 3);
    block.attn_gate.set_value(ones<double>({1}));
    const Var<double> x = constant(normal<double>({2, 5, 4}, g));
    const auto media = block.prepare(constant(normal<double>({2, 2, 2, 4}, g)));
    check_layouts("text times of a gated block", numbers(4),
                  [&](const auto& times) { return block(x, media, times).value(); });
  }
  train::Batch<double> batch;
  check_layouts("labels", numbers(9), [&](const auto& labels) {
    batch.labels = labels;
    return scalar(train::labelled(batch));
  });
  const data::Specials specials{.image = 8, .end_of_chunk = 7, .pad = 0};
  Tensor<float> pictures = normal<float>({2, 3, 4, 4}, g);
  const auto collated = [&](const Tensor<float>& images) {
    data::Sample sample;
    sample.ids = {8, 1, 7, 8, 2, 7};
    sample.images = images;
    const std::vector<data::Sample> samples{sample};
    return data::collate(samples, data::Stream::documents, specials, 2).images;
  };
  CHECK(same_bits(collated(pictures.transpose(2, 3).clone().transpose(2, 3)), collated(pictures)));
}

}  // namespace
