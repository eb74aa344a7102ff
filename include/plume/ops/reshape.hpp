#pragma once
// reshape: the elements of x in row-major order under another shape of as many.   dx = dy under the old shape
//
// A view where the strides of x allow it, else a copy. On tensors: Tensor::reshape.

#include "plume/autograd/var.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo reshape_info{.name = "reshape",
                                     .formula = "y = x under another shape, in row-major order"};

namespace definition {
template <Floating T>
Tensor<T> reshape(const Tensor<T>& x, const Shape& shape) {
  const Tensor<T> flat = x.clone();
  Tensor<T> y(shape);
  for (index_t i = 0; i < y.numel(); ++i) y.data()[i] = flat.data()[i];
  return y;
}
}  // namespace definition

/// One size may be -1 and is then worked out.
template <Floating T>
Var<T> reshape(const Var<T>& x, const Dims& sizes) {
  detail::require_defined("reshape", x.value());
  return record("reshape", x.value().reshape(sizes), inputs(x),
                [](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += dy.reshape(dx.shape());
                });
}

}  // namespace plume
