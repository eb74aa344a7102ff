#pragma once
// max over axes: y = max_i x[.., i, ..].   dx = dy / k at each of the k places where x = y, else 0.
// NaN wins over every number.

#include <limits>

#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo max_info{.name = "max", .formula = "y = max of x over axes"};

namespace definition {
template <Floating T>
Tensor<T> max(const Tensor<T>& x, const Dims& axes = {}) {
  const Reduction reduction("max", x.shape(), axes);
  const Tensor<T> rows = x.permute(reduction.order).clone();
  Tensor<T> y(reduction.kept);
  for (index_t i = 0; i < rows.numel(); ++i) {
    T& most = y.data()[i / reduction.count];
    const T v = rows.data()[i];
    if (i % reduction.count == 0 || v > most || v != v) most = v;
  }
  return y;
}
}  // namespace definition

/// Maximum over `axes` (none: all of them, to a scalar). Throws ShapeError for a maximum of nothing.
template <Floating T>
Tensor<T> max(const Tensor<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  const Reduction reduction("max", x.shape(), axes);
  detail::require_cpu("max", x);
  if (reduction.count == 0) fail<ShapeError>("max", "at least one element to reduce", x.shape());
  using A = accumulate_t<T>;
  const Tensor<T> y = detail::reduce_rows(x, reduction, [](const T* row, index_t n) {
    A most = static_cast<A>(row[0]);
    for (index_t i = 0; i < n; ++i) {
      const A v = static_cast<A>(row[i]);
      most = (v > most || v != v) && most == most ? v : most;
    }
    return most;
  });
  return keep_dims ? y.reshape(reduction.kept_ones) : y;
}

/// dx; `y` is the maximum with or without the reduced axes.
template <Floating T>
Tensor<T> max_backward(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& y,
                       const Dims& axes) {
  const Reduction reduction("max_backward", x.shape(), axes);
  const Tensor<T> is_max = map("max_backward", x, y.reshape(reduction.kept_ones),
                               [](auto v, auto most) { return decltype(v)(v == most ? 1 : 0); });
  const Tensor<T> share =
      map("max_backward", dy.reshape(reduction.kept_ones), sum(is_max, axes, true),
          [](auto g, auto count) { return g / count; });
  return map("max_backward", is_max, share, [](auto one, auto g) { return one * g; });
}

template <Floating T>
Var<T> max(const Var<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  Tensor<T> y = max(x.value(), axes, keep_dims);
  return record("max", y, inputs(x), [x = x.value(), y, axes](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += max_backward(dy, x, y, axes);
  });
}

}  // namespace plume
