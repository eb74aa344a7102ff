#pragma once
// gelu: y = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, the exact form (Hendrycks and Gimpel, arXiv 1606.08415).
//   dx = dy (Phi(x) + x phi(x)),  phi(x) = e^(-x^2/2) / sqrt(2 pi)

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo gelu_info{
    .name = "gelu", .formula = "y = x (1 + erf(x / sqrt 2)) / 2", .device = true};

namespace definition {
template <Floating T>
Tensor<T> gelu(const Tensor<T>& x) {
  return each<T>([](double v) { return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); }, x.shape(),
                 x);
}
}  // namespace definition

/// Gaussian error linear unit with erf (not the tanh approximation).
template <Floating T>
Tensor<T> gelu(const Tensor<T>& x) {
  using A = accumulate_t<T>;
  return detail::unary(
      "gelu", UnaryOp::gelu, x,
      [](auto v) { return v * (A(0.5) + A(0.5) * math::erf(v * A(0.70710678118654752440))); }, 1);
}

/// dx from dy and the input x.
template <Floating T>
Tensor<T> gelu_backward(const Tensor<T>& dy, const Tensor<T>& x) {
  using A = accumulate_t<T>;
  return detail::unary_backward(
      "gelu_backward", UnaryOp::gelu, dy, x,
      [](auto g, auto v) {
        const auto cdf = A(0.5) + A(0.5) * math::erf(v * A(0.70710678118654752440));
        return g * (cdf + v * A(0.39894228040143267794) * math::exp_below(A(-0.5) * v * v));
      },
      1);
}

template <Floating T>
Var<T> gelu(const Var<T>& x) {
  Tensor<T> y = gelu(x.value());
  return record("gelu", y, inputs(x), [x = Saved(x.value())](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += gelu_backward(dy, *x);
  });
}

}  // namespace plume
