#include "plume/ops/linear_cross_entropy.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

/// Every third place is ignored.
template <class I = index_t>
Tensor<I> some_targets(const Shape& shape, index_t V, index_t ignore_index = -100) {
  Tensor<I> t(shape);
  for (index_t i = 0; i < t.numel(); ++i) {
    t.data()[i] = static_cast<I>(i % 3 == 1 ? ignore_index : i * i % V);
  }
  return t;
}

OP_TEST("linear_cross_entropy") {
  const auto check = [&](const Shape& x, index_t V, const auto& targets,
                         CrossEntropyOptions options = {}) {
    op.check(
        {random(x), random({V, x.back()}, 1)},
        [=](const auto& in) { return linear_cross_entropy(in[0], in[1], targets, options); },
        [=](const auto& in) {
          return definition::linear_cross_entropy(in[0], in[1], targets, options);
        },
        {.broadcast = false});  // equal rows of w: dx would be a sum that cancels to nothing
  };
  check({5, 3}, 7, some_targets({5}, 7));
  check({2, 3, 4}, 5, some_targets<std::int32_t>({2, 3}, 5), {.reduction = LossReduction::sum});
  check({6}, 33, zeros<index_t>({}));
  check({4, 1}, 1, some_targets({4}, 1));
  check({6, 5}, 31, some_targets({6}, 31, 3), {.ignore_index = 3});
  check({3, 0}, 4, some_targets({3}, 4));  // every logit is 0
  check({0, 3}, 4, Tensor<index_t>(Shape{0}), {.reduction = LossReduction::sum});
  check({3, 2}, 4, full<index_t>({3}, -100), {.reduction = LossReduction::sum});
  // More rows than go through the buffer at once.
  check({1700, 2}, 5, some_targets({1700}, 5));

  // Replaced rows: some are targets.
  const auto replaced = [&](index_t N, index_t D, index_t V, const std::vector<std::int64_t>& ids) {
    const auto targets = some_targets({N}, V);
    op.check(
        {random({N, D}), random({V, D}, 1), random({static_cast<index_t>(ids.size()), D}, 2)},
        [=](const auto& in) { return linear_cross_entropy(in[0], in[1], in[2], ids, targets); },
        [=](const auto& in) {
          return definition::linear_cross_entropy(in[0], in[1], in[2], ids, targets);
        },
        {.broadcast = false});
  };
  replaced(5, 3, 7, {0, 4});
  replaced(6, 4, 9, {8, 1, 3});
  replaced(1700, 2, 5, {4});

  const auto t = some_targets({4}, 11);
  const auto f = [t](const auto& x) { return linear_cross_entropy(x[0], x[1], t); };
  const auto definition = [t](const auto& x) {
    return definition::linear_cross_entropy(x[0], x[1], t);
  };
  op.check_forward_in<bfloat16>({random({4, 37}), random({11, 37}, 1)}, f, definition,
                                forward_float);
  op.check_forward_in<half>({random({4, 37}), random({11, 37}, 1)}, f, definition, forward_float);

  const Tensor<double> x = ones<double>({2, 3});
  const Tensor<double> w = ones<double>({4, 3});
  const Tensor<index_t> targets = zeros<index_t>({2});
  op.refuses("inner sizes that differ", [&] {
    linear_cross_entropy(x, ones<double>({4, 2}), targets);
  });
  op.refuses("a weight of rank 1", [&] { linear_cross_entropy(x, ones<double>({3}), targets); });
  op.refuses("one target too many", [&] { linear_cross_entropy(x, w, zeros<index_t>({3})); });
  op.refuses("a target of V", [&] { linear_cross_entropy(x, w, full<index_t>({2}, 4)); });
  op.refuses("rows of another width", [&] {
    linear_cross_entropy(trainable(x), constant(w), constant(ones<double>({1, 2})), {0}, targets);
  });
  op.refuses("a row replaced twice", [&] {
    linear_cross_entropy(trainable(x), constant(w), constant(ones<double>({2, 3})), {1, 1},
                         targets);
  });
  op.refuses("a row of V", [&] {
    linear_cross_entropy(trainable(x), constant(w), constant(ones<double>({1, 3})), {4}, targets);
  });
  op.refuses("gradients of separate losses", [&] {
    linear_cross_entropy(trainable(x), constant(w), targets, {.reduction = LossReduction::none});
  });
}

TEST_CASE("linear_cross_entropy: separate losses without gradients") {
  const Tensor<float> x = random({2, 5, 3}).cast<float>();
  const Tensor<float> w = random({7, 3}, 1).cast<float>();
  const auto t = some_targets({2, 5}, 7);
  const CrossEntropyOptions each{.reduction = LossReduction::none};
  CHECK(compare(linear_cross_entropy(x, w, t, each), cross_entropy(linear(x, w), t, each),
                forward_float));
}

TEST_CASE("linear_cross_entropy: one row of x and of w for all places") {
  const Tensor<float> x = random({1, 3}).cast<float>().broadcast_to({6, 3});
  const Tensor<float> w = random({1, 3}, 1).cast<float>().broadcast_to({5, 3});
  const auto t = some_targets({6}, 5);
  CHECK(compare(linear_cross_entropy(x, w, t), scalar(std::log(5.0)), forward_float));
  LinearCrossEntropyGrads<float> strided, plain;
  (void)linear_cross_entropy(x, w, t, {}, &strided);
  (void)linear_cross_entropy(x.clone(), w.clone(), t, {}, &plain);
  CHECK(compare(strided.dw, plain.dw, gradient_float));
}

TEST_CASE("linear_cross_entropy: ignored rows are not read, and get a gradient of 0") {
  Tensor<float> x = random({6, 3}).cast<float>();
  const auto t = some_targets({6}, 5);
  x.select(0, 1).fill(std::nanf(""));
  x.select(0, 4).fill(std::nanf(""));
  const auto xv = trainable(x);
  const auto wv = trainable(random({5, 3}, 1).cast<float>());
  const auto loss = linear_cross_entropy(xv, wv, t);
  backward(loss);
  CHECK(std::isfinite(loss.value().item()));
  CHECK(plume::detail::all_finite(xv.grad()));
  CHECK(plume::detail::all_finite(wv.grad()));
  CHECK(same_bits(xv.grad().select(0, 4), zeros<float>({3})));
}

TEST_CASE("linear_cross_entropy: the mean over nothing is NaN, its gradients 0") {
  const auto x = trainable(ones<float>({2, 3}));
  const auto w = trainable(ones<float>({4, 3}));
  const auto loss = linear_cross_entropy(x, w, full<index_t>({2}, -100));
  CHECK(std::isnan(loss.value().item()));
  backward(loss);
  CHECK(same_bits(x.grad(), zeros<float>({2, 3})));
  CHECK(same_bits(w.grad(), zeros<float>({4, 3})));
}

TEST_CASE("linear_cross_entropy: a loss that is scaled afterwards") {
  const Tensor<double> x = random({4, 3});
  const Tensor<double> w = random({5, 3}, 1);
  const auto t = some_targets({4}, 5);
  const auto gradient = [&](double weight) {
    const auto xv = trainable(x);
    const auto loss = scale(linear_cross_entropy(xv, constant(w), t), weight);
    backward(loss, {.retain_graph = true});
    backward(loss);  // what is kept survives the first
    return xv.grad();
  };
  CHECK(compare(gradient(0.2), scale(gradient(1.0), 0.2), forward_double));
}

TEST_CASE(
    "linear_cross_entropy: the logits are never held, a frozen head keeps nothing of their size") {
  const index_t N = 4096, V = 8192, D = 8;
  const std::size_t logits = static_cast<std::size_t>(N * V) * sizeof(float);
  const Tensor<float> x = random({N, D}).cast<float>();
  const auto w = constant(random({V, D}, 1).cast<float>());
  const auto t = some_targets<std::int32_t>({N}, V);
  const auto in_use = [] { return cpu_memory().stats().total; };
  const auto xv = trainable(x);
  cpu_memory().reset_peak();
  const std::size_t before = in_use().current;
  const auto loss = linear_cross_entropy(xv, w, t);
  CHECK(in_use().peak - before < logits / 10);
  // Kept: dx, and a few bytes.
  CHECK(in_use().current - before < static_cast<std::size_t>(N * D) * sizeof(float) + 4096);
  {
    const NoGrad scope;
    const std::size_t now = in_use().current;
    const auto eval = linear_cross_entropy(xv, w, t);
    CHECK(in_use().current - now < 4096);
  }
}

}  // namespace
