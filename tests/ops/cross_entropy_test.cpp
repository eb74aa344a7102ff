#include "plume/ops/cross_entropy.hpp"

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

OP_TEST("cross_entropy") {
  const auto check = [&](const Tensor<double>& logits, const auto& targets,
                         CrossEntropyOptions options = {}, CheckOptions how = {}) {
    op.check(
        {logits}, [=](const auto& x) { return cross_entropy(x[0], targets, options); },
        [=](const auto& x) { return definition::cross_entropy(x[0], targets, options); }, how);
  };
  const LossReduction all[] = {LossReduction::mean, LossReduction::sum, LossReduction::none};
  for (const LossReduction reduction : all) {
    const CrossEntropyOptions options{.reduction = reduction};
    check(random({5, 7}), some_targets({5}, 7), options);
    check(random({2, 3, 4}), some_targets<std::int32_t>({2, 3}, 4), options);
    check(random({33}), zeros<index_t>({}), options);
  }
  check(random({4, 1}), some_targets({4}, 1));  // one class: the loss is 0
  check(random({6, 31}), some_targets({6}, 31, 3), {.ignore_index = 3});
  check(random({0, 3}), Tensor<index_t>(Shape{0}), {.reduction = LossReduction::sum});
  check(random({3, 5000}), some_targets({3}, 5000));  // past a run of the one-pass sum
  check(random({3, 4}), full<index_t>({3}, -100), {.reduction = LossReduction::sum});

  // Logits far apart: e^x overflows, and the largest comes last.
  Tensor<double> far = random({3, 2100});
  for (index_t i = 0; i < far.numel(); ++i)
    far.data()[i] += 200 * static_cast<double>(i % 2100 / 700);
  check(far, some_targets({3}, 2100));

  const auto t = some_targets({4}, 37);
  const auto f = [t](const auto& x) { return cross_entropy(x[0], t); };
  const auto definition = [t](const auto& x) { return definition::cross_entropy(x[0], t); };
  op.check_forward_in<bfloat16>({random({4, 37})}, f, definition, forward_float);
  op.check_forward_in<half>({random({4, 37})}, f, definition, forward_float);

  const Tensor<double> x = ones<double>({2, 3});
  const auto with = [&](std::initializer_list<index_t> list) {
    cross_entropy(x, Tensor<index_t>({static_cast<index_t>(list.size())}, list));
  };
  op.refuses("a target of V", [&] { with({0, 3}); });
  op.refuses("a negative target", [&] { with({-1, 0}); });
  op.refuses("one target too many", [&] { with({0, 0, 0}); });
  op.refuses("scalar logits", [&] { cross_entropy(scalar(1.0), zeros<index_t>({})); });
  op.refuses("targets of no classes", [&] {
    cross_entropy(ones<double>({1, 0}), zeros<index_t>({1}));
  });
  op.refuses("a gradient of another shape", [&] {
    cross_entropy_backward(ones<double>({2}), x, zeros<index_t>({2}), CrossEntropySaved<double>{});
  });
}

TEST_CASE("cross_entropy: the message names the target, the classes and the place") {
  const Tensor<index_t> targets({2, 2}, {0, -100, -100, 5});
  CHECK_THROWS_WITH_AS(cross_entropy(ones<float>({2, 2, 3}), targets),
                       "[cross_entropy] expected targets in [0, 3), got 5 at [1, 1]", ValueError);
}

TEST_CASE("cross_entropy: the mean over nothing is NaN, its gradient 0") {
  const auto x = trainable(ones<float>({2, 3}));
  const auto loss = cross_entropy(x, full<index_t>({2}, -100));
  CHECK(std::isnan(loss.value().item()));
  backward(loss);
  CHECK(same_bits(x.grad(), zeros<float>({2, 3})));
}

TEST_CASE("cross_entropy: NaN is not lost, infinities mean what they say") {
  const float nan = std::nanf(""), inf = HUGE_VALF;
  const auto loss = [](std::initializer_list<float> logits) {
    return cross_entropy(Tensor<float>({1, 3}, logits), zeros<index_t>({1})).item();
  };
  CHECK(std::isnan(loss({0, nan, 1})));
  CHECK(std::isnan(loss({nan, -inf, -inf})));
  CHECK(std::isnan(loss({-inf, -inf, -inf})));
  CHECK(loss({-inf, 0, 0}) == inf);
  CHECK(loss({0, -inf, -inf}) == 0);
  // NaN among the first run, numbers in the next.
  Tensor<float> long_row = zeros<float>({1, 5000});
  long_row.slice(1, 0, 2048).fill(nan);
  CHECK(std::isnan(cross_entropy(long_row, full<index_t>({1}, 4000)).item()));
}

TEST_CASE("cross_entropy: the mean of many places keeps every digit of float") {
  // log V exactly, a million terms: a running sum in float would be off by 1e-3.
  const index_t N = 1 << 20;
  const Tensor<float> logits = zeros<float>({N, 2});
  const float loss = cross_entropy(logits, zeros<std::int32_t>({N})).item();
  CHECK(std::abs(loss - 0.6931471806F) <= 1e-7F);
}

TEST_CASE("cross_entropy: logits without the last position are not copied") {
  const Tensor<float> logits = ones<float>({4, 9, 1000});
  const auto targets = some_targets({4, 8}, 1000);
  cpu_memory().reset_peak();
  const std::size_t before = cpu_memory().stats().total.current;
  (void)cross_entropy(logits.slice(1, 0, 8), targets);
  CHECK(cpu_memory().stats().total.peak - before < std::size_t{8192});
}

}  // namespace
