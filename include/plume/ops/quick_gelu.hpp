#pragma once
// quick_gelu: y = x sigmoid(1.702 x), the activation of OpenAI's CLIP.
//   dx = dy (s + 1.702 x s (1 - s)),  s = sigmoid(1.702 x)

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo quick_gelu_info{
    .name = "quick_gelu", .formula = "y = x sigmoid(1.702 x)", .device = true};

namespace definition {
template <Floating T>
Tensor<T> quick_gelu(const Tensor<T>& x) {
  return each<T>([](double v) { return v / (1 + std::exp(-1.702 * v)); }, x.shape(), x);
}
}  // namespace definition

/// x sigmoid(1.702 x), element by element.
template <Floating T>
Tensor<T> quick_gelu(const Tensor<T>& x) {
  using A = accumulate_t<T>;
  return detail::unary(
      "quick_gelu", UnaryOp::quick_gelu, x, [](auto v) { return v * math::sigmoid(A(1.702) * v); },
      1);
}

/// dx from dy and the input x.
template <Floating T>
Tensor<T> quick_gelu_backward(const Tensor<T>& dy, const Tensor<T>& x) {
  using A = accumulate_t<T>;
  return detail::unary_backward(
      "quick_gelu_backward", UnaryOp::quick_gelu, dy, x,
      [](auto g, auto v) {
        const auto s = math::sigmoid(A(1.702) * v);
        return g * (s + A(1.702) * v * s * (1 - s));
      },
      1);
}

template <Floating T>
Var<T> quick_gelu(const Var<T>& x) {
  Tensor<T> y = quick_gelu(x.value());
  return record("quick_gelu", y, inputs(x),
                [x = Saved(x.value())](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += quick_gelu_backward(dy, *x);
                });
}

}  // namespace plume
