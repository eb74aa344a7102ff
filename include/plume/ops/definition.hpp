#pragma once
// The plain loop behind the definitions of element-wise ops: one element at a time through indices, in
// double, with the functions of the standard library.

#include "plume/core/tensor.hpp"

namespace plume::definition {

template <Floating T, class F, class... In>
Tensor<T> each(F f, const Shape& shape, const In&... in) {
  Tensor<T> y(shape);
  for (index_t i = 0; i < y.numel(); ++i) {
    const auto at = [&](const Tensor<T>& x) {
      const Strides strides = broadcast_strides(x.shape(), x.strides(), shape);
      index_t offset = 0;
      index_t rest = i;
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        offset += rest % shape[axis] * strides[axis];
        rest /= shape[axis];
      }
      return static_cast<double>(x.data()[offset]);
    };
    y.data()[i] = static_cast<T>(static_cast<accumulate_t<T>>(f(at(in)...)));
  }
  return y;
}

}  // namespace plume::definition
