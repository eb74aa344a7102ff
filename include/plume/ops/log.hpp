#pragma once
// log: y = ln x.   dx = dy / x

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo log_info{.name = "log", .formula = "y = ln x", .device = true};

namespace definition {
template <Floating T>
Tensor<T> log(const Tensor<T>& x) {
  return each<T>([](double v) { return std::log(v); }, x.shape(), x);
}
}  // namespace definition

/// Natural logarithm; -infinity at 0, NaN below.
template <Floating T>
Tensor<T> log(const Tensor<T>& x) {
  return detail::unary(
      "log", UnaryOp::log, x, [](auto v) { return math::log(v); }, 1);
}

/// dx from dy and the input x.
template <Floating T>
Tensor<T> log_backward(const Tensor<T>& dy, const Tensor<T>& x) {
  return detail::unary_backward(
      "log_backward", UnaryOp::log, dy, x, [](auto g, auto v) { return g / v; }, 1);
}

template <Floating T>
Var<T> log(const Var<T>& x) {
  Tensor<T> y = log(x.value());
  return record("log", y, inputs(x), [x = Saved(x.value())](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += log_backward(dy, *x);
  });
}

}  // namespace plume
