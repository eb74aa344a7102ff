#pragma once
// broadcast_to: x seen as a larger shape; sizes are aligned at the back, axes of size 1 and axes that are not
// there repeat.   dx = dy, summed over what repeats
//
// A view: nothing is copied. Arithmetic broadcasts by itself; this is for latents and the like that become one
// per sample. On tensors: Tensor::broadcast_to.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo broadcast_to_info{.name = "broadcast_to",
                                          .formula = "y = x repeated along axes of size 1"};

namespace definition {
template <Floating T>
Tensor<T> broadcast_to(const Tensor<T>& x, const Shape& shape) {
  return seen(x, shape, [&](const Dims& at) {
    Dims source = x.shape();
    const int lead = at.rank() - x.rank();
    for (int k = 0; k < x.rank(); ++k) source[k] = x.shape()[k] == 1 ? 0 : at[k + lead];
    return source;
  });
}
}  // namespace definition

template <Floating T>
Var<T> broadcast_to(const Var<T>& x, const Shape& shape) {
  detail::require_defined("broadcast_to", x.value());
  return record("broadcast_to", x.value().broadcast_to(shape), inputs(x),
                [](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += sum_to(dy, dx.shape());
                });
}

}  // namespace plume
