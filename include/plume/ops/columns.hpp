#pragma once
// Sums down the columns of a matrix: what a bias's gradient is, and what sums over leading axes are.

#include <algorithm>

#include "plume/core/tensor.hpp"

namespace plume {

/// y[c] = sum over rows of x[r, c]; x is (rows, columns), contiguous, on the device.
template <class T>
inline DeviceKernel<void(const T* x, T* y, index_t rows, index_t columns)> sum_rows_cuda{
    "sum_rows"};

namespace detail {

/// total[c] = sum over r of x[r, c], c < n; four rows at a time, so that totals are touched less often.
template <class A, class From>
void add_up_rows(const From* x, index_t rows, index_t row_stride, index_t n, A* total) {
  for (index_t j = 0; j < n; ++j) total[j] = 0;
  index_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const From* x0 = x + r * row_stride;
    const From* x1 = x0 + row_stride;
    const From* x2 = x1 + row_stride;
    const From* x3 = x2 + row_stride;
    PLUME_SIMD
    for (index_t j = 0; j < n; ++j) {
      total[j] += (static_cast<A>(x0[j]) + static_cast<A>(x1[j])) +
                  (static_cast<A>(x2[j]) + static_cast<A>(x3[j]));
    }
  }
  for (; r < rows; ++r) {
    const From* row = x + r * row_stride;
    PLUME_SIMD
    for (index_t j = 0; j < n; ++j) total[j] += static_cast<A>(row[j]);
  }
}

/// out[c] = sum over r of x[r, c]. Blocks of rows are read in the order in which they lie, in strips that
/// leave their totals in cache; then the blocks are added up in order.
template <Floating From, Floating T>
void sum_columns(const From* x, T* out, index_t rows, index_t columns) {
  using A = accumulate_t<T>;
  constexpr index_t strip = 2048;
  const index_t block = std::max<index_t>(16, (rows + 63) / 64);
  const index_t blocks = std::max<index_t>(1, (rows + block - 1) / block);
  const index_t strips = (columns + strip - 1) / strip;
  const ScratchFrame frame;
  A* const partial = frame.array<A>(blocks * columns);
  const index_t cost = std::min(block, rows) * std::min(strip, columns) / 4;
  parallel_for(strips * blocks, cost, [=](index_t first, index_t last) {
    for (index_t task = first; task < last; ++task) {
      const index_t k = task / strips, begin = task % strips * strip;
      add_up_rows(x + k * block * columns + begin, std::min(block, rows - k * block), columns,
                  std::min(strip, columns - begin), partial + k * columns + begin);
    }
  });
  parallel_for(strips, blocks * std::min(strip, columns) / 4, [=](index_t first, index_t last) {
    for (index_t s = first; s < last; ++s) {
      const index_t begin = s * strip, n = std::min(strip, columns - begin);
      A total[strip];
      add_up_rows(partial + begin, blocks, columns, n, total);
      for (index_t j = 0; j < n; ++j) out[begin + j] = static_cast<T>(total[j]);
    }
  });
}

}  // namespace detail

}  // namespace plume
