#pragma once
// exp: y = e^x.   dx = dy y

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo exp_info{.name = "exp", .formula = "y = e^x", .device = true};

namespace definition {
template <Floating T>
Tensor<T> exp(const Tensor<T>& x) {
  return each<T>([](double v) { return std::exp(v); }, x.shape(), x);
}
}  // namespace definition

/// e^x, element by element.
template <Floating T>
Tensor<T> exp(const Tensor<T>& x) {
  return detail::unary(
      "exp", UnaryOp::exp, x, [](auto v) { return math::exp(v); }, 1);
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> exp_backward(const Tensor<T>& dy, const Tensor<T>& y) {
  return detail::unary_backward(
      "exp_backward", UnaryOp::exp, dy, y, [](auto g, auto t) { return g * t; }, 1);
}

template <Floating T>
Var<T> exp(const Var<T>& x) {
  Tensor<T> y = exp(x.value());
  return record("exp", y, inputs(x), [y = Saved(y)](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += exp_backward(dy, *y);
  });
}

}  // namespace plume
