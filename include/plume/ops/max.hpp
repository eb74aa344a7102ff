#pragma once
// max over axes: y = max_i x[.., i, ..].   dx = dy / k at each of the k places where x = y, else 0.
// NaN wins over every number.

#include <limits>

#include "plume/ops/rows.hpp"
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
  const Tensor<T> y = detail::reduce_rows(
      x, reduction, [](const T* row, index_t n) { return detail::max_row<A, true>(row, n); });
  return keep_dims ? y.reshape(reduction.kept_ones) : y;
}

/// dx; `y` is the maximum with or without the reduced axes.
template <Floating T>
Tensor<T> max_backward(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& y,
                       const Dims& axes) {
  const Reduction reduction("max_backward", x.shape(), axes);
  using A = accumulate_t<T>;
  detail::require_cpu("max_backward", x);
  const Tensor<T> rows = (reduction.trailing ? x : x.permute(reduction.order)).contiguous();
  const Tensor<T> most = y.reshape(reduction.kept).contiguous();
  const Tensor<T> g = dy.reshape(reduction.kept).contiguous();
  Tensor<T> dx(rows.shape());
  const index_t n = reduction.count;
  const T *px = rows.data(), *py = most.data(), *pg = g.data();
  T* const pdx = dx.data();
  const bool streaming = kernel::streams<T>(dx.numel());
  parallel_for(g.numel(), n + 1, [=](index_t begin, index_t end) {
    kernel::write_rows(
        pdx, begin, end, n, streaming,
        [=](index_t r) {
          const T* row = px + r * n;
          const A m = static_cast<A>(py[r]);
          const A places = detail::sum_row<A>(row, n, [m](A v) { return v == m ? A{1} : A{0}; });
          const A share = static_cast<A>(pg[r]) / places;
          const A rest = places == 0 ? std::numeric_limits<A>::quiet_NaN() : A{0};  // m is NaN
          return [=](T* to, index_t first, index_t last) {
            PLUME_SIMD
            for (index_t i = first; i < last; ++i) {
              to[i - first] = static_cast<T>(static_cast<A>(row[i]) == m ? share : rest);
            }
          };
        },
        px);
  });
  if (reduction.trailing) return dx;
  Dims back = reduction.order;
  for (int k = 0; k < back.rank(); ++k) back[static_cast<int>(reduction.order[k])] = k;
  return dx.permute(back);
}

template <Floating T>
Var<T> max(const Var<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  Tensor<T> y = max(x.value(), axes, keep_dims);
  return record("max", y, inputs(x),
                [x = Saved(x.value()), y = Saved(y), axes](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += max_backward(dy, *x, *y, axes);
                });
}

}  // namespace plume
