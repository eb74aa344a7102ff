#pragma once
// silu: y = x sigmoid(x).   dx = dy (s + x s (1 - s)),  s = sigmoid(x)

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo silu_info{.name = "silu", .formula = "y = x sigmoid(x)", .device = true};

namespace definition {
template <Floating T>
Tensor<T> silu(const Tensor<T>& x) {
  return each<T>([](double v) { return v / (1 + std::exp(-v)); }, x.shape(), x);
}
}  // namespace definition

/// x sigmoid(x), element by element (also called swish).
template <Floating T>
Tensor<T> silu(const Tensor<T>& x) {
  return detail::unary(
      "silu", UnaryOp::silu, x, [](auto v) { return v * math::sigmoid(v); }, 1);
}

/// dx from dy and the input x.
template <Floating T>
Tensor<T> silu_backward(const Tensor<T>& dy, const Tensor<T>& x) {
  return detail::unary_backward(
      "silu_backward", UnaryOp::silu, dy, x,
      [](auto g, auto v) {
        const auto s = math::sigmoid(v);
        return g * (s + v * s * (1 - s));
      },
      1);
}

template <Floating T>
Var<T> silu(const Var<T>& x) {
  Tensor<T> y = silu(x.value());
  return record("silu", y, inputs(x), [x = Saved(x.value())](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += silu_backward(dy, *x);
  });
}

}  // namespace plume
