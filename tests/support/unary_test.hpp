#pragma once
// What is tested alike of every element-wise op of one input: f(x) of a tensor or a variable, backward(dy, saved).

#include "op_test.hpp"

namespace plume::test {

/// The body of its OP_TEST.
template <class F, class Definition, class Backward>
void check_unary(OpTest& op, const F& f, const Definition& definition, const Backward& backward) {
  const auto call = [&](const auto& x) { return f(x[0]); };
  const auto define = [&](const auto& x) { return definition(x[0]); };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 5}, Shape{2, 1, 33}}) {
    op.check({random(shape)}, call, define);
  }
  op.check({random({2, 4099})}, call, define);
  op.check_forward_in<bfloat16>({random({3, 37})}, call, define, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37})}, call, define, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [&] { f(Tensor<double>{}); });
  op.refuses("gradient of another shape", [&] { backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { backward(Tensor<double>{}, x); });
  op.refuses("nothing saved", [&] { backward(x, Tensor<double>{}); });
}

/// f of 0, 100, -100, inf, -inf and NaN, the last of which must stay one.
template <class F>
Tensor<float> at_extremes(const F& f) {
  const float inf = HUGE_VALF;
  const Tensor<float> x({6}, {0.0F, 100.0F, -100.0F, inf, -inf, std::nanf("")});
  const Tensor<float> y = f(x);
  CHECK(std::isnan(y(5)));
  return y;
}

}  // namespace plume::test
