#pragma once
// What the reductions share: which axes go, what shape stays, and the loops.

#include <vector>

#include "plume/ops/columns.hpp"
#include "plume/ops/map.hpp"

namespace plume {

/// A reduction of one shape over some axes.
struct Reduction {
  Shape kept;            ///< the result's shape without keep_dims
  Shape kept_ones;       ///< the same with reduced axes of size 1
  Dims order;            ///< kept axes, then reduced ones
  index_t count = 1;     ///< elements that go into one result
  bool trailing = true;  ///< the reduced axes are the last ones
  bool leading = true;   ///< the reduced axes are the first ones

  /// `axes` empty: all of them. Throws ShapeError for an axis out of range or named twice.
  Reduction(std::string_view op, const Shape& shape, const Dims& axes) {
    unsigned reduced = axes.empty() ? ~0U : 0U;
    for (const index_t a : axes) {
      const unsigned bit = 1U << normalize_axis(op, a, shape.rank());
      if ((reduced & bit) != 0) fail<ShapeError>(op, "each axis once", axes);
      reduced |= bit;
    }
    Dims kept_sizes;
    Dims ones = shape;
    Dims last;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if ((reduced >> axis & 1U) != 0) {
        count *= shape[axis];
        ones[axis] = 1;
        last.push_back(axis);
        leading = leading && kept_sizes.empty();
      } else {
        trailing = trailing && last.empty();
        kept_sizes.push_back(shape[axis]);
        order.push_back(axis);
      }
    }
    for (const index_t axis : last) order.push_back(axis);
    kept = Shape(kept_sizes);
    kept_ones = Shape(ones);
  }
};

namespace detail {

/// sum of term(i), i < n: runs of 1024 in A, added up in double, so that the error does not grow with n. Many
/// sums side by side, so that an addition need not wait for the one before.
template <class A, class F>
A sum_terms(index_t n, F term) {
  constexpr index_t lanes = 64;
  double total = 0;
  for (index_t begin = 0; begin < n; begin += 1024) {
    const index_t end = std::min<index_t>(n, begin + 1024);
    A sums[lanes] = {};
    index_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      PLUME_SIMD
      for (index_t j = 0; j < lanes; ++j) sums[j] += term(i + j);
    }
    for (index_t half = lanes / 2; half > 0; half /= 2) {
      for (index_t j = 0; j < half; ++j) sums[j] += sums[j + half];
    }
    A rest = 0;
    PLUME_SIMD_SUM(rest)
    for (index_t k = i; k < end; ++k) rest += term(k);
    total += static_cast<double>(sums[0] + rest);
  }
  return static_cast<A>(total);
}

/// sum of f(x[i]), i < n.
template <class A, class T, class F>
A sum_row(const T* x, index_t n, F f) {
  return sum_terms<A>(n, [=](index_t i) { return f(static_cast<A>(x[i])); });
}

/// out[r] = row(x + r * n, n) for the rows of x brought into the order kept, reduced.
template <Floating T, class Row>
Tensor<T> reduce_rows(const Tensor<T>& x, const Reduction& reduction, Row row) {
  const Tensor<T> rows = (reduction.trailing ? x : x.permute(reduction.order)).contiguous();
  Tensor<T> out(reduction.kept);
  const T* px = rows.data();
  T* py = out.data();
  const index_t n = reduction.count;
  parallel_for(out.numel(), n + 1, [=](index_t begin, index_t end) {
    for (index_t r = begin; r < end; ++r) py[r] = static_cast<T>(row(px + r * n, n));
  });
  return out;
}

}  // namespace detail

}  // namespace plume
