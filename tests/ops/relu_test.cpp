#include "plume/ops/relu.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

// Central differences are wrong across the kink at 0.
Tensor<double> away_from_zero(const Shape& shape) {
  Tensor<double> x = random(shape);
  for (index_t i = 0; i < x.numel(); ++i) x.data()[i] += x.data()[i] < 0 ? -0.1 : 0.1;
  return x;
}

OP_TEST("relu") {
  const auto f = [](const auto& x) { return relu(x[0]); };
  const auto definition = [](const auto& x) { return definition::relu(x[0]); };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 5}, Shape{2, 1, 33}}) {
    op.check({away_from_zero(shape)}, f, definition);
  }
  op.check({away_from_zero({2, 4099})}, f, definition);
  op.check_forward_in<bfloat16>({away_from_zero({3, 37})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({away_from_zero({3, 37})}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [] { relu(Tensor<double>{}); });
  op.refuses("gradient of another shape", [&] { relu_backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { relu_backward(Tensor<double>{}, x); });
  op.refuses("nothing saved", [&] { relu_backward(x, Tensor<double>{}); });
}

TEST_CASE("relu: zero, infinities and NaN") {
  const Tensor<float> y = relu(Tensor<float>({4}, {0.0F, -3.0F, HUGE_VALF, std::nanf("")}));
  CHECK(y(0) == 0);
  CHECK(y(1) == 0);
  CHECK(std::isinf(y(2)));
  CHECK(std::isnan(y(3)));
}

}  // namespace
