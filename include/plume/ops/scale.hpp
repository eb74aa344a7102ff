#pragma once
// scale: y = alpha x for a number alpha.   dx = alpha dy

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo scale_info{.name = "scale", .formula = "y = alpha x", .device = true};

namespace definition {
template <Floating T>
Tensor<T> scale(const Tensor<T>& x, double alpha) {
  return each<T>([alpha](double v) { return alpha * v; }, x.shape(), x);
}
}  // namespace definition

/// alpha x. Linear, so it is its own backward.
template <Floating T>
Tensor<T> scale(const Tensor<T>& x, double alpha) {
  using A = accumulate_t<T>;
  const A factor = static_cast<A>(alpha);
  return detail::unary(
      "scale", UnaryOp::scale, x, [factor](auto v) { return factor * v; }, 1, alpha);
}

template <Floating T>
Var<T> scale(const Var<T>& x, double alpha) {
  return record("scale", scale(x.value(), alpha), inputs(x),
                [alpha](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += scale(dy, alpha);
                });
}

}  // namespace plume
