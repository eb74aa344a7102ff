#include "plume/ops/softmax.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("softmax") {
  const auto f = [](const auto& x) { return softmax(x[0]); };
  const auto definition = [](const auto& x) { return definition::softmax(x[0]); };
  for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{4, 1}, Shape{0, 3}, Shape{3, 0},
                             Shape{2, 3, 17}, Shape{3, 63}, Shape{2, 64}, Shape{2, 65}}) {
    op.check({random(shape)}, f, definition);
  }
  op.check({random({3, 2053})}, f, definition);
  for (const index_t axis : {0, 1, -2, -3}) {
    op.check(
        {random({4, 3, 6})}, [axis](const auto& x) { return softmax(x[0], axis); },
        [axis](const auto& x) { return definition::softmax(x[0], axis); });
  }
  op.check({random_between({3, 20}, 90, 110)}, f, definition);  // exp(90) is no float
  // Most of them vanish. Where one probability is nearly 1, dy - <dy, y> is a small difference of numbers
  // near 1, so its relative error is large.
  op.check({random_between({3, 20}, -200, 0)}, f, definition, {.gradient_in_float = {1e-2, 1e-2}});
  op.check_forward_in<bfloat16>({random({3, 37})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37})}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [] { softmax(Tensor<double>{}); });
  op.refuses("a scalar", [] { softmax(scalar(1.0)); });
  op.refuses("an axis that is not there", [&] { softmax(x, 2); });
  op.refuses("gradient of another shape", [&] { softmax_backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { softmax_backward(Tensor<double>{}, x); });
}

TEST_CASE("softmax: what is masked out is exactly zero, also where everything is") {
  const float inf = HUGE_VALF;
  const Var<float> x =
      trainable(Tensor<float>({3, 3}, {0.0F, -inf, 0.0F, -inf, -inf, -inf, -inf, 5.0F, -inf}));
  const Var<float> y = softmax(x);
  const Tensor<float> expected({3, 3}, {0.5F, 0, 0.5F, 0, 0, 0, 0, 1, 0});
  CHECK(same_bits(y.value(), expected));
  backward(y, Tensor<float>({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const Tensor<float> dx({3, 3}, {-0.5F, 0, 0.5F, 0, 0, 0, 0, 0, 0});
  CHECK(compare(x.grad(), dx, {0, 0}));
}

TEST_CASE("softmax: NaN and +infinity reach the whole row, and no other") {
  const Tensor<float> x({3, 3}, {1, NAN, 2, 1, HUGE_VALF, 2, 1, 1, 1});
  const Tensor<float> y = softmax(x);
  for (index_t i = 0; i < 3; ++i) CHECK(std::isnan(y(0, i)));
  CHECK(std::isnan(y(1, 1)));
  CHECK(y(2, 0) == doctest::Approx(1.0 / 3));
}

}  // namespace
