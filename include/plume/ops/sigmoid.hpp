#pragma once
// sigmoid: y = 1 / (1 + e^-x).   dx = dy y (1 - y)

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo sigmoid_info{
    .name = "sigmoid", .formula = "y = 1 / (1 + e^-x)", .device = true};

namespace definition {
template <Floating T>
Tensor<T> sigmoid(const Tensor<T>& x) {
  return each<T>([](double v) { return 1 / (1 + std::exp(-v)); }, x.shape(), x);
}
}  // namespace definition

/// Logistic function, element by element.
template <Floating T>
Tensor<T> sigmoid(const Tensor<T>& x) {
  return detail::unary(
      "sigmoid", UnaryOp::sigmoid, x, [](auto v) { return math::sigmoid(v); }, 1);
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> sigmoid_backward(const Tensor<T>& dy, const Tensor<T>& y) {
  return detail::unary_backward(
      "sigmoid_backward", UnaryOp::sigmoid, dy, y, [](auto g, auto t) { return g * t * (1 - t); },
      1);
}

template <Floating T>
Var<T> sigmoid(const Var<T>& x) {
  Tensor<T> y = sigmoid(x.value());
  return record("sigmoid", y, inputs(x), [y = Saved(y)](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += sigmoid_backward(dy, *y);
  });
}

}  // namespace plume
