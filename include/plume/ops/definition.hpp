#pragma once
// The plain loops behind the definitions: one element at a time through indices. Element-wise ops compute in
// double with the functions of the standard library; views say which element they show.

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

/// y[at] = x[from(at)] for every index `at` of `shape`.
template <Floating T, class From>
Tensor<T> seen(const Tensor<T>& x, const Shape& shape, From from) {
  Tensor<T> y(shape);
  for (index_t i = 0; i < y.numel(); ++i) {
    Dims at = shape;
    index_t rest = i;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    const Dims source = from(at);
    index_t offset = 0;
    for (int axis = 0; axis < x.rank(); ++axis) offset += source[axis] * x.strides()[axis];
    y.data()[i] = x.data()[offset];
  }
  return y;
}

}  // namespace plume::definition
