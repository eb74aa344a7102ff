#pragma once
// C[M,N] = alpha A[M,K] B[K,N] + beta C[M,N] on raw pointers, with strides that express every
// transposition. The result is the same bits for every number of threads. Where beta is 0, C is not
// read.

#include <type_traits>

#include "plume/core/dtype.hpp"
#include "plume/core/parallel.hpp"
#include "plume/core/scratch.hpp"
#include "plume/ops/cpu/gemm_blocked.hpp"
#include "plume/ops/cpu/gemm_small.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

namespace detail {

/// C = beta * C, where beta = 0 writes zeros whatever C holds.
template <class R, class T>
void scale_c(index_t m, index_t n, R beta, Matrix<T> c) noexcept {
  if (beta == R(1)) return;
  for (index_t i = 0; i < m; ++i) {
    T* out = c.data + i * c.row_stride;
    for (index_t j = 0; j < n; ++j, out += c.col_stride) {
      *out = beta == R(0) ? T(0) : static_cast<T>(beta * static_cast<R>(*out));
    }
  }
}

// C of a 16-bit type and several blocks of k: the sum is kept in float until it is complete.
template <class R, class TA, class TB, class TC>
void gemm_rounded_once(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a,
                       Matrix<const TB> b, R beta, Matrix<TC> c) {
  constexpr index_t cols_max = 1024;
  const ScratchFrame frame;
  R* sum = frame.array<R>(least(m, m_block) * least(n, cols_max));
  for (index_t i = 0; i < m; i += m_block) {
    const index_t rows = least(m_block, m - i);
    for (index_t j = 0; j < n; j += cols_max) {
      const index_t cols = least(cols_max, n - j);
      gemm_blocked<R>(rows, cols, k, alpha, a.at(i, 0), b.at(0, j), R(0), Matrix<R>{sum, cols});
      parallel_for(rows, cols, [=](index_t begin, index_t end) {
        for (index_t r = begin; r < end; ++r) {
          TC* out = c.at(i + r, j).data;
          for (index_t s = 0; s < cols; ++s, out += c.col_stride) {
            R v = sum[r * cols + s];
            if (beta != R(0)) v += beta * static_cast<R>(*out);
            *out = static_cast<TC>(v);
          }
        }
      });
    }
  }
}

// The kernel for the shape. Few rows are cheap here, few columns are not.
template <class R, class TA, class TB, class TC>
void gemm_oriented(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
                   R beta, Matrix<TC> c) {
  if (b.row_stride == 1 && prefer_dots(m, k)) {
    gemm_dots(m, n, k, alpha, a, b, beta, c);
  } else if (b.col_stride == 1 && m <= rows_max) {
    gemm_rows(m, n, k, alpha, a, b, beta, c);
  } else if (!std::is_same_v<R, TC> && k > k_block<R>) {
    gemm_rounded_once(m, n, k, alpha, a, b, beta, c);
  } else {
    gemm_blocked(m, n, k, alpha, a, b, beta, c);
  }
}

}  // namespace detail

/// C = alpha A B + beta C. The operands may differ in type (float activations, bfloat16 weights),
/// not in what they accumulate in; 16-bit results are rounded once, at the end. C must not overlap
/// A or B.
template <class TC, class TA = TC, class TB = TC>
void gemm(index_t m, index_t n, index_t k, accumulate_t<TC> alpha, Matrix<const TA> a,
          Matrix<const TB> b, accumulate_t<TC> beta, Matrix<TC> c) {
  using R = accumulate_t<TC>;
  static_assert(std::is_same_v<R, accumulate_t<TA>> && std::is_same_v<R, accumulate_t<TB>>,
                "plume: double and the other scalars do not mix in one matrix product");
  if (m <= 0 || n <= 0 || DryRun::active()) return;
  if (k <= 0 || alpha == R(0)) return detail::scale_c(m, n, beta, c);
  // C^T = B^T A^T where C has few columns, or is itself the transpose of rows.
  const auto few = [](index_t here, index_t there) {
    return here <= tile_cols<R> / 2 && here < there;
  };
  const bool transpose = c.row_stride == 1 && c.col_stride != 1 ? !few(m, n) : few(n, m);
  if (transpose) {
    detail::gemm_oriented<R>(n, m, k, alpha, b.transposed(), a.transposed(), beta, c.transposed());
  } else {
    detail::gemm_oriented<R>(m, n, k, alpha, a, b, beta, c);
  }
}

/// `batch` products of the same shape; the data of operand X of product i is X.data + i * x_stride.
/// A stride of 0 shares an operand (not C). Many small products are divided among the threads
/// whole, others one after the other.
template <class TC, class TA = TC, class TB = TC>
void batched_gemm(index_t batch, index_t m, index_t n, index_t k, accumulate_t<TC> alpha,
                  Matrix<const TA> a, index_t a_stride, Matrix<const TB> b, index_t b_stride,
                  accumulate_t<TC> beta, Matrix<TC> c, index_t c_stride) {
  const auto product = [=](index_t i) {
    gemm<TC, TA, TB>(m, n, k, alpha, {a.data + i * a_stride, a.row_stride, a.col_stride},
                     {b.data + i * b_stride, b.row_stride, b.col_stride}, beta,
                     {c.data + i * c_stride, c.row_stride, c.col_stride});
  };
  const index_t cost_ns = m * n * (k + 8) / 32;
  if (batch > 1 && (cost_ns < 2 * plume::detail::chunk_ns || batch >= 4 * available_threads())) {
    parallel_for(batch, cost_ns, [&product](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) product(i);
    });
  } else {
    for (index_t i = 0; i < batch; ++i) product(i);
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
