#include "plume/ops/exp.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("exp") {
  const auto f = [](const auto& x) { return exp(x[0]); };
  const auto definition = [](const auto& x) { return definition::exp(x[0]); };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 5}, Shape{2, 1, 33}}) {
    op.check({random(shape)}, f, definition);
  }
  op.check({random({2, 4099})}, f, definition);
  op.check_forward_in<bfloat16>({random({3, 37})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37})}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [] { exp(Tensor<double>{}); });
  op.refuses("gradient of another shape", [&] { exp_backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { exp_backward(Tensor<double>{}, x); });
  op.refuses("nothing saved", [&] { exp_backward(x, Tensor<double>{}); });
}

TEST_CASE("exp: infinities, NaN and large numbers") {
  const double inf = HUGE_VAL;
  const Tensor<float> x({6}, {0.0F, 100.0F, -100.0F, static_cast<float>(inf),
                              static_cast<float>(-inf), std::nanf("")});
  const Tensor<float> y = exp(x);
  CHECK(y(0) == doctest::Approx(1));
  CHECK(std::isinf(y(1)));
  CHECK(std::abs(y(2)) < 1e-30);
  CHECK(std::isinf(y(3)));
  CHECK(std::isnan(y(5)));
}

}  // namespace
