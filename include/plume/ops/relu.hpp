#pragma once
// relu: y = max(x, 0).   dx = dy where x > 0, else 0

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo relu_info{.name = "relu", .formula = "y = max(x, 0)", .device = true};

namespace definition {
template <Floating T>
Tensor<T> relu(const Tensor<T>& x) {
  return each<T>([](double v) { return v > 0 ? v : v * 0; }, x.shape(), x);
}
}  // namespace definition

/// max(x, 0), element by element; NaN stays NaN.
template <Floating T>
Tensor<T> relu(const Tensor<T>& x) {
  return detail::unary(
      "relu", UnaryOp::relu, x, [](auto v) { return v > 0 ? v : v * 0; }, 1);
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> relu_backward(const Tensor<T>& dy, const Tensor<T>& y) {
  return detail::unary_backward(
      "relu_backward", UnaryOp::relu, dy, y, [](auto g, auto t) { return t > 0 ? g : g * 0; }, 1);
}

template <Floating T>
Var<T> relu(const Var<T>& x) {
  Tensor<T> y = relu(x.value());
  return record("relu", y, inputs(x), [y = Saved(y)](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += relu_backward(dy, *y);
  });
}

}  // namespace plume
