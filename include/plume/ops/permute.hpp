#pragma once
// permute: the axes of x in another order, y[at_0, at_1, ..] = x[..] with axis k of y being axis axes[k] of x.
// dx = dy permuted back
//
// A view: nothing is copied. On tensors: Tensor::permute and Tensor::transpose.

#include <utility>

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo permute_info{.name = "permute",
                                     .formula = "axis k of y = axis axes[k] of x"};

namespace definition {
template <Floating T>
Tensor<T> permute(const Tensor<T>& x, const Dims& axes) {
  Dims shape = x.shape();
  for (int k = 0; k < x.rank(); ++k) shape[k] = x.size(axes[k]);
  return seen(x, Shape(shape), [&](const Dims& at) {
    Dims source = at;
    for (int k = 0; k < at.rank(); ++k) source[static_cast<int>(axes[k])] = at[k];
    return source;
  });
}
}  // namespace definition

/// `axes`: a permutation of 0 .. rank-1; negative axes count from the back.
template <Floating T>
Var<T> permute(const Var<T>& x, const Dims& axes) {
  detail::require_defined("permute", x.value());
  Tensor<T> y = x.value().permute(axes);
  Dims back = axes;
  for (int k = 0; k < axes.rank(); ++k) back[normalize_axis("permute", axes[k], x.rank())] = k;
  return record("permute", std::move(y), inputs(x), [back](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += dy.permute(back);
  });
}

/// Axes a and b exchanged.
template <Floating T>
Var<T> transpose(const Var<T>& x, index_t a, index_t b) {
  Dims axes = x.shape();
  for (int k = 0; k < x.rank(); ++k) axes[k] = k;
  std::swap(axes[normalize_axis("permute", a, x.rank())],
            axes[normalize_axis("permute", b, x.rank())]);
  return permute(x, axes);
}

}  // namespace plume
