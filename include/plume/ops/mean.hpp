#pragma once
// mean over axes: y = (1/n) sum_i x[.., i, ..].   dx = dy / n, stretched over the reduced axes.
// The mean of nothing is 0/0 = NaN.

#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo mean_info{.name = "mean", .formula = "y = mean of x over axes"};

namespace definition {
template <Floating T>
Tensor<T> mean(const Tensor<T>& x, const Dims& axes = {}) {
  const Reduction reduction("mean", x.shape(), axes);
  return definition::scale(definition::sum(x, axes), 1.0 / static_cast<double>(reduction.count));
}
}  // namespace definition

/// Mean over `axes` (none: all of them, to a scalar). keep_dims leaves them with size 1.
template <Floating T>
Tensor<T> mean(const Tensor<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  detail::require_defined("mean", x);
  const Reduction reduction("mean", x.shape(), axes);
  return scale(sum(x, axes, keep_dims), 1.0 / static_cast<double>(reduction.count));
}

template <Floating T>
Tensor<T> mean_backward(const Tensor<T>& dy, const Shape& shape, const Dims& axes) {
  const Reduction reduction("mean_backward", shape, axes);
  return sum_backward(scale(dy, 1.0 / static_cast<double>(reduction.count)), shape, axes);
}

template <Floating T>
Var<T> mean(const Var<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  return record("mean", mean(x.value(), axes, keep_dims), inputs(x),
                [shape = x.shape(), axes](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += mean_backward(dy, shape, axes);
                });
}

}  // namespace plume
