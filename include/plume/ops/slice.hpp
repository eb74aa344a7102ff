#pragma once
// slice: y shows the elements begin, begin + step, ... below end of one axis of x.   dx = dy there, 0 elsewhere
//
// A view: forward copies nothing. Backward adds dy into that part of the gradient of x, so that any number of
// slices of one x share one gradient buffer. On tensors: Tensor::slice.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo slice_info{.name = "slice",
                                   .formula = "y = x[.., begin:end:step, ..] along one axis"};

namespace definition {
template <Floating T>
Tensor<T> slice(const Tensor<T>& x, int axis, index_t begin, index_t end, index_t step = 1) {
  Dims shape = x.shape();
  shape[axis] = 0;
  for (index_t i = begin; i < end; i += step) ++shape[axis];
  return seen(x, Shape(shape), [=](Dims at) {
    at[axis] = begin + at[axis] * step;
    return at;
  });
}
}  // namespace definition

/// 0 <= begin <= end <= size, step >= 1.
template <Floating T>
Var<T> slice(const Var<T>& x, index_t axis, index_t begin, index_t end, index_t step = 1) {
  detail::require_defined("slice", x.value());
  return record("slice", x.value().slice(axis, begin, end, step), inputs(x),
                [axis, begin, end, step](const Tensor<T>& dy, GradSink<T> dx) {
                  const auto view = [=](const Tensor<T>& g) {
                    return g.slice(axis, begin, end, step);
                  };
                  if (dx) dx.part(view) += dy;
                });
}

}  // namespace plume
