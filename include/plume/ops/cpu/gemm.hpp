#pragma once
// C[M,N] = alpha A[M,K] B[K,N] + beta C[M,N] on raw pointers, with strides that express every
// transposition.
//
// The product is cut as in BLIS (Van Zee and van de Geijn, ACM TOMS 41:3, 2015): a block of K by a
// block of N of B and a block of M by K of A are packed into panels, then register tiles are
// computed panel by panel. Here both blocks are packed by all threads first, and the threads then
// claim rectangles of tiles.
//
// Determinism: an element is always computed as the sum over K blocks of k_block, in order, each
// one a chain of multiply-adds in order; threads only divide the tiles. When beta is 0, C is not
// read.

#include <type_traits>

#include "plume/core/dtype.hpp"
#include "plume/core/parallel.hpp"
#include "plume/core/scratch.hpp"
#include "plume/ops/cpu/gemm_kernel.hpp"
#include "plume/ops/cpu/gemm_pack.hpp"

namespace plume::cpu {

/// Element (i, j) of a matrix is data[i * row_stride + j * col_stride].
template <class T>
struct Matrix {
  T* data;
  index_t row_stride;
  index_t col_stride = 1;

  Matrix transposed() const noexcept { return {data, col_stride, row_stride}; }
  Matrix at(index_t i, index_t j) const noexcept {
    return {data + i * row_stride + j * col_stride, row_stride, col_stride};
  }
};

namespace detail {

// A block of B is k_block x n_block (in the last-level cache), a block of A m_block x k_block; a
// task is m_task x n_task of C, its part of A in the second-level cache.
inline constexpr index_t k_block = 256;
inline constexpr index_t n_block = 4096;
inline constexpr index_t m_block = 2880;  // multiples of every tile_rows and tile_cols
inline constexpr index_t m_task = 120;
inline constexpr index_t n_task = 512;

constexpr index_t round_up(index_t n, index_t unit) noexcept {
  return (n + unit - 1) / unit * unit;
}
constexpr index_t least(index_t a, index_t b) noexcept { return a < b ? a : b; }

/// C = alpha * tile + beta * C for the `rows` x `cols` part of the tile that exists.
template <class R, class T>
void update_c(index_t rows, index_t cols, R alpha, const R* tile, R beta, Matrix<T> c) noexcept {
  constexpr index_t W = tile_cols<R>;
  if constexpr (std::is_same_v<R, T>) {
    if (cols == W && c.col_stride == 1) {
      for (index_t i = 0; i < rows; ++i) {
        T* out = c.data + i * c.row_stride;
        for (index_t j = 0; j < W; j += vector_size<R>) {
          Vector<R> v = alpha * load(tile + i * W + j);
          if (beta != R(0)) v += beta * load(out + j);
          store(out + j, v);
        }
      }
      return;
    }
  }
  for (index_t i = 0; i < rows; ++i) {
    T* out = c.data + i * c.row_stride;
    for (index_t j = 0; j < cols; ++j, out += c.col_stride) {
      R v = alpha * tile[i * W + j];
      if (beta != R(0)) v += beta * static_cast<R>(*out);
      *out = static_cast<T>(v);
    }
  }
}

/// The tiles of one task. a and b are packed blocks of `depth` steps.
template <class R, class T>
void multiply_blocks(index_t rows, index_t cols, index_t depth, R alpha, const R* a, const R* b,
                     R beta, Matrix<T> c) noexcept {
  constexpr index_t MR = tile_rows<R>, NR = tile_cols<R>;
  alignas(64) R tile[static_cast<std::size_t>(MR * NR)];
  for (index_t j = 0; j < cols; j += NR) {
    for (index_t i = 0; i < rows; i += MR) {
      multiply_panels(depth, a + i * depth, b + j * depth, tile);
      update_c(least(MR, rows - i), least(NR, cols - j), alpha, tile, beta, c.at(i, j));
    }
  }
}

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

// R accumulates; C of a 16-bit type is only correct here when k <= k_block (one rounding).
template <class R, class TA, class TB, class TC>
void gemm_blocked(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
                  R beta, Matrix<TC> c) {
  constexpr index_t MR = tile_rows<R>, NR = tile_cols<R>;
  const ScratchFrame frame;
  const index_t depth_max = least(k, k_block);
  R* packed_a = frame.array<R>(packed_size<MR>(least(m, m_block), depth_max));
  R* packed_b = frame.array<R>(packed_size<NR>(least(n, n_block), depth_max));

  for (index_t jc = 0; jc < n; jc += n_block) {
    const index_t cols = least(n_block, n - jc);
    for (index_t pc = 0; pc < k; pc += k_block) {
      const index_t depth = least(k_block, k - pc);
      const R beta_now = pc == 0 ? beta : R(1);
      for (index_t ic = 0; ic < m; ic += m_block) {
        const index_t rows = least(m_block, m - ic);
        const index_t a_panels = (rows + MR - 1) / MR;
        const index_t b_panels = ic == 0 ? (cols + NR - 1) / NR : 0;
        parallel_for(a_panels + b_panels, depth * NR / 2, [=](index_t begin, index_t end) {
          for (index_t p = begin; p < end; ++p) {
            if (p < b_panels) {
              const index_t j = p * NR;
              const auto from = b.at(pc, jc + j);
              pack_panel<NR>(least(NR, cols - j), depth, from.data, from.col_stride,
                             from.row_stride, packed_b + j * depth);
            } else {
              const index_t i = (p - b_panels) * MR;
              const auto from = a.at(ic + i, pc);
              pack_panel<MR>(least(MR, rows - i), depth, from.data, from.row_stride,
                             from.col_stride, packed_a + i * depth);
            }
          }
        });
        const index_t row_tasks = (rows + m_task - 1) / m_task;
        const index_t col_tasks = (cols + n_task - 1) / n_task;
        parallel_tasks(row_tasks * col_tasks, [=](index_t task) {
          const index_t i = task / col_tasks * m_task;
          const index_t j = task % col_tasks * n_task;
          multiply_blocks(least(m_task, rows - i), least(n_task, cols - j), depth, alpha,
                          packed_a + i * depth, packed_b + j * depth, beta_now,
                          c.at(ic + i, jc + j));
        });
      }
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
  if (m <= 0 || n <= 0) return;
  if (k <= 0 || alpha == R(0)) return detail::scale_c(m, n, beta, c);
  if constexpr (std::is_same_v<R, TC>) {
    if (c.row_stride == 1 && c.col_stride != 1) {  // C^T = B^T A^T has rows to write
      return detail::gemm_blocked<R>(n, m, k, alpha, b.transposed(), a.transposed(), beta,
                                     c.transposed());
    }
  } else if (k > detail::k_block) {
    return detail::gemm_rounded_once<R>(m, n, k, alpha, a, b, beta, c);
  }
  detail::gemm_blocked<R>(m, n, k, alpha, a, b, beta, c);
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

}  // namespace plume::cpu
