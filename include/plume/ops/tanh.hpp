#pragma once
// tanh: y = (e^x - e^-x) / (e^x + e^-x).   dx = dy (1 - y^2)

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo tanh_info{.name = "tanh", .formula = "y = tanh x", .device = true};

namespace definition {
template <Floating T>
Tensor<T> tanh(const Tensor<T>& x) {
  return each<T>([](double v) { return std::tanh(v); }, x.shape(), x);
}
}  // namespace definition

/// Hyperbolic tangent, element by element.
template <Floating T>
Tensor<T> tanh(const Tensor<T>& x) {
  return detail::unary(
      "tanh", UnaryOp::tanh, x, [](auto v) { return math::tanh(v); }, 1);
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> tanh_backward(const Tensor<T>& dy, const Tensor<T>& y) {
  return detail::unary_backward(
      "tanh_backward", UnaryOp::tanh, dy, y, [](auto g, auto t) { return g * (1 - t * t); }, 1);
}

template <Floating T>
Var<T> tanh(const Var<T>& x) {
  Tensor<T> y = tanh(x.value());
  return record("tanh", y, inputs(x), [y = Saved(y)](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += tanh_backward(dy, *y);
  });
}

}  // namespace plume
