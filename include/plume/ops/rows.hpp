#pragma once
// Loops over rows: what softmax, log_softmax and the norms share. A row is the run of elements along one
// axis; rows run in parallel, each is worked on while it is in cache.

#include <array>
#include <limits>

#include "plume/ops/reduce.hpp"

namespace plume::detail {

/// sum of f(a[i], b[i]), i < n.
template <class A, class T, class F>
A sum_row(const T* a, const T* b, index_t n, F f) {
  return sum_terms<A>(n, [=](index_t i) { return f(static_cast<A>(a[i]), static_cast<A>(b[i])); });
}

/// The largest of x[0..n), -infinity for none. NaN is passed over, or wins where `nan_wins`.
template <class A, bool nan_wins = false, class T>
A max_row(const T* x, index_t n) {
  constexpr index_t lanes = 64;
  A most[lanes];
  A nans[lanes] = {};  // how many
  for (A& m : most) m = -std::numeric_limits<A>::infinity();
  const auto take = [&](A v, index_t j) {
    most[j] = v > most[j] ? v : most[j];
    if constexpr (nan_wins) nans[j] += v != v ? A{1} : A{0};
  };
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    PLUME_SIMD
    for (index_t j = 0; j < lanes; ++j) take(static_cast<A>(x[i + j]), j);
  }
  for (index_t j = 0; i + j < n; ++j) take(static_cast<A>(x[i + j]), j);
  for (index_t half = lanes / 2; half > 0; half /= 2) {
    for (index_t j = 0; j < half; ++j) {
      most[j] = most[j + half] > most[j] ? most[j + half] : most[j];
      nans[j] += nans[j + half];
    }
  }
  return nans[0] > A{0} ? std::numeric_limits<A>::quiet_NaN() : most[0];
}

/// The tensor with `axis` last, row after row in memory: a copy unless it lies so already.
template <Scalar T>
Tensor<T> rows_along(const Tensor<T>& x, int axis) {
  return x.transpose(axis, -1).contiguous();
}

/// A tensor of the shape of `a` from its rows along `axis`: row(a, n, room) returns fill(to, begin, end), which
/// writes elements [begin, end) of the result's row. room: n numbers to work with. cost: nanoseconds per element.
template <Floating T, class Row>
Tensor<T> map_rows(const Tensor<T>& a, int axis, index_t cost, Row row) {
  const Tensor<T> ra = rows_along(a, axis);
  Tensor<T> y(ra.shape());
  const index_t n = ra.size(-1);
  const T* pa = ra.data();
  T* py = y.data();
  const bool streaming = kernel::streams<T>(y.numel());
  parallel_for(n == 0 ? 0 : ra.numel() / n, cost * n, [=](index_t begin, index_t end) {
    const ScratchFrame frame;
    auto* const room = frame.array<accumulate_t<T>>(n);
    kernel::write_rows(
        py, begin, end, n, streaming, [=](index_t r) { return row(pa + r * n, n, room); }, pa);
  });
  return y.transpose(axis, -1);
}

/// The same from two tensors of one shape: row(a, b, n).
template <Floating T, class Row>
Tensor<T> map_rows(const Tensor<T>& a, const Tensor<T>& b, int axis, index_t cost, Row row) {
  const Tensor<T> ra = rows_along(a, axis);
  const Tensor<T> rb = rows_along(b, axis);
  Tensor<T> y(ra.shape());
  const index_t n = ra.size(-1);
  const T* pa = ra.data();
  const T* pb = rb.data();
  T* py = y.data();
  const bool streaming = kernel::streams<T>(y.numel());
  parallel_for(n == 0 ? 0 : ra.numel() / n, cost * n, [=](index_t begin, index_t end) {
    kernel::write_rows(
        py, begin, end, n, streaming, [=](index_t r) { return row(pa + r * n, pb + r * n, n); }, pa,
        pb);
  });
  return y.transpose(axis, -1);
}

/// row(n, sums) for every row n < N of y [N, D]. It returns fill(to, begin, end), which writes elements
/// [begin, end) of the row (to is null if y is) and adds to the same elements of sums[k], D accumulators each.
/// out[k] [D] becomes the total of sums[k] (null: not wanted; all null: sums[k] is null too).
/// Blocks of rows add up privately, then the blocks are summed in order: the same bits for every thread
/// count. cost: nanoseconds per row. operands: what it reads, row 0 of each.
template <Floating T, std::size_t K, class Row, class... X>
void rows_with_sums(index_t N, index_t D, index_t cost, T* y, const std::array<T*, K>& out, Row row,
                    const X*... operands) {
  using A = accumulate_t<T>;
  const index_t block = std::max<index_t>(16, (N + 63) / 64);
  const index_t blocks = (N + block - 1) / block;
  bool wanted = false;
  for (const T* o : out) wanted = wanted || o != nullptr;
  Tensor<A> partial = wanted ? zeros<A>(Shape{static_cast<index_t>(K), blocks, D}) : Tensor<A>{};
  A* const p = partial.data();
  const bool streaming = y != nullptr && kernel::streams<T>(N * D);
  parallel_for(blocks, block * cost, [=](index_t first, index_t last) {
    for (index_t k = first; k < last; ++k) {
      std::array<A*, K> sums{};
      for (std::size_t s = 0; wanted && s < K; ++s) {
        sums[s] = p + (static_cast<index_t>(s) * blocks + k) * D;
      }
      const index_t end = std::min(N, (k + 1) * block);
      if (y == nullptr) {
        for (index_t n = k * block; n < end; ++n) row(n, sums)(y, 0, D);
      } else {
        kernel::write_rows(
            y, k * block, end, D, streaming, [&](index_t n) { return row(n, sums); }, operands...);
      }
    }
  });
  for (std::size_t s = 0; s < K; ++s) {
    if (out[s] != nullptr) sum_columns(p + static_cast<index_t>(s) * blocks * D, out[s], blocks, D);
  }
}

}  // namespace plume::detail
