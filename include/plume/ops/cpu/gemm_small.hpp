#pragma once
// Products of few rows, as in decoding, where every element of B is used once or twice: B is read
// where it lies, and the speed is that of the memory.
//
//   columns of B consecutive (B = W^T with W[N,K] in rows, what Linear stores): dot products
//   rows of B consecutive: rows of C grow by multiples of rows of B

#include "plume/core/dtype.hpp"
#include "plume/core/parallel.hpp"
#include "plume/core/scratch.hpp"
#include "plume/core/vector.hpp"
#include "plume/ops/cpu/gemm_blocked.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {
namespace detail {

// Rows of A that share one reading of a column of B: 4 times 4 sums in 32 registers, 2 times 4 in 16.
inline constexpr index_t dot_rows = vector_bytes == 64 ? 4 : 2;
inline constexpr index_t dot_cols = 4;

/// Where packing B costs more than it brings: measured. The sums across vectors want a long k.
inline bool prefer_dots(index_t m, index_t k) noexcept {
  return m == 1 || (m <= 16 && m <= k / 64);
}
inline constexpr index_t rows_max = 8;

/// sums[r * dot_cols + j] = sum over k of a[r][k] b_j[k], r < Rows: as many partial sums as a vector
/// has elements, added pairwise, then the rest of k in order.
template <index_t Rows, class R, class TB>
void dot_tile(index_t depth, const R* a, index_t a_stride, const TB* b0, const TB* b1, const TB* b2,
              const TB* b3, R* sums) noexcept {
  Vector<R> s[static_cast<std::size_t>(Rows)][dot_cols] = {};
  index_t k = 0;
  for (; k + vector_size<R> <= depth; k += vector_size<R>) {
    const Vector<R> v0 = load_as<R>(b0 + k), v1 = load_as<R>(b1 + k);
    const Vector<R> v2 = load_as<R>(b2 + k), v3 = load_as<R>(b3 + k);
#pragma GCC unroll 4
    for (index_t r = 0; r < Rows; ++r) {
      const Vector<R> x = load(a + r * a_stride + k);
      s[r][0] += x * v0;
      s[r][1] += x * v1;
      s[r][2] += x * v2;
      s[r][3] += x * v3;
    }
  }
#pragma GCC unroll 4
  for (index_t r = 0; r < Rows; ++r) {
    R* out = sums + r * dot_cols;
    sum_each<R>(s[r][0], s[r][1], s[r][2], s[r][3], out);
    for (index_t t = k; t < depth; ++t) {
      const R x = a[r * a_stride + t];
      out[0] += x * static_cast<R>(b0[t]);
      out[1] += x * static_cast<R>(b1[t]);
      out[2] += x * static_cast<R>(b2[t]);
      out[3] += x * static_cast<R>(b3[t]);
    }
  }
}

/// The product for b.row_stride == 1.
template <class R, class TA, class TB, class TC>
void gemm_dots(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
               R beta, Matrix<TC> c) {
  // A in rows of R, with rows of zeros up to a multiple of dot_rows.
  const ScratchFrame frame;
  const index_t rows = m == 1 ? 1 : parts(m, dot_rows) * dot_rows;
  R* x = frame.array<R>(rows * k);
  for (index_t i = 0; i < rows; ++i) {
    for (index_t s = 0; s < k; ++s) x[i * k + s] = i < m ? static_cast<R>(*a.at(i, s).data) : R(0);
  }
  const index_t cost_ns = k * (m + static_cast<index_t>(sizeof(TB))) / 32;
  parallel_for(n, cost_ns, [=](index_t begin, index_t end) {
    R sums[static_cast<std::size_t>(dot_rows * dot_cols)];
    for (index_t j = begin; j < end; j += dot_cols) {
      const index_t last = end - 1 - j, cols = least(dot_cols, end - j);
      const TB* column = b.at(0, j).data;
      const TB* b1 = column + least(1, last) * b.col_stride;  // past the end: the last one again
      const TB* b2 = column + least(2, last) * b.col_stride;
      const TB* b3 = column + least(3, last) * b.col_stride;
      if (m == 1) {
        dot_tile<1>(k, x, k, column, b1, b2, b3, sums);
        update_c(1, cols, alpha, sums, dot_cols, beta, c.at(0, j));
        continue;
      }
      for (index_t i = 0; i < m; i += dot_rows) {
        dot_tile<dot_rows>(k, x + i * k, k, column, b1, b2, b3, sums);
        update_c(least(dot_rows, m - i), cols, alpha, sums, dot_cols, beta, c.at(i, j));
      }
    }
  });
}

/// The product for b.col_stride == 1.
template <class R, class TA, class TB, class TC>
void gemm_rows(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
               R beta, Matrix<TC> c) {
  constexpr index_t V = vector_size<R>, cols_max = 1024;
  const ScratchFrame frame;
  R* x = frame.array<R>(m * k);
  for (index_t i = 0; i < m; ++i) {
    for (index_t s = 0; s < k; ++s) x[i * k + s] = static_cast<R>(*a.at(i, s).data);
  }
  // Long pieces of the rows of B for the memory, short enough to occupy the threads.
  const index_t wanted = even_part(parts(n, 4 * available_threads()), cols_max, 4 * V);
  const index_t task_cols = n * k < 65536 ? n : wanted;
  parallel_tasks(parts(n, task_cols), [=](index_t task) {
    const index_t first = task * task_cols, cols = least(task_cols, n - first);
    const ScratchFrame mine;
    const index_t stride = parts(cols, V) * V;
    R* sum = mine.array<R>(m * stride);
    for (index_t i = 0; i < m * stride; ++i) sum[i] = R(0);
    const TB* row = b.at(0, first).data;
    index_t s = 0;
    for (; s + 4 <= k; s += 4, row += 4 * b.row_stride) {
      const TB* row1 = row + b.row_stride;
      const TB* row2 = row1 + b.row_stride;
      const TB* row3 = row2 + b.row_stride;
      index_t j = 0;
      for (; j + V <= cols; j += V) {
        const Vector<R> v0 = load_as<R>(row + j), v1 = load_as<R>(row1 + j);
        const Vector<R> v2 = load_as<R>(row2 + j), v3 = load_as<R>(row3 + j);
        for (index_t i = 0; i < m; ++i) {
          const R* w = x + i * k + s;
          Vector<R> acc = load(sum + i * stride + j);
          acc += w[0] * v0;
          acc += w[1] * v1;
          acc += w[2] * v2;
          acc += w[3] * v3;
          store(sum + i * stride + j, acc);
        }
      }
      for (; j < cols; ++j) {
        for (index_t i = 0; i < m; ++i) {
          const R* w = x + i * k + s;
          R acc = sum[i * stride + j];
          acc += w[0] * static_cast<R>(row[j]);
          acc += w[1] * static_cast<R>(row1[j]);
          acc += w[2] * static_cast<R>(row2[j]);
          acc += w[3] * static_cast<R>(row3[j]);
          sum[i * stride + j] = acc;
        }
      }
    }
    for (; s < k; ++s, row += b.row_stride) {
      for (index_t i = 0; i < m; ++i) {
        const R w = x[i * k + s];
        for (index_t j = 0; j < cols; ++j) sum[i * stride + j] += w * static_cast<R>(row[j]);
      }
    }
    update_c(m, cols, alpha, sum, stride, beta, c.at(0, first));
  });
}

}  // namespace detail
}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
