#pragma once
// The matrix product by blocks, as in BLIS (Van Zee and van de Geijn, ACM TOMS 41:3, 2015), in two forms.
//
//   wide   All of A is packed once. Threads claim strips of columns of C; for each the columns of B are packed by the
//          thread that needs them, into its second cache, and nobody waits for anybody.
//   tall   For an A too large for that, or a C of few columns: a block of B (k_block x n_block) and a block of A
//          (m_block x k_block) are packed by all threads, which then claim rectangles of C.
//
// Either way a panel of A stays in the first cache while the panels of B pass by from the second.
//
// Determinism: an element is the sum over the blocks of k, in order, of one chain of multiply-adds
// each. Blocks of k depend on k alone; threads only divide the tiles.

#include <type_traits>

#include "plume/core/dtype.hpp"
#include "plume/core/parallel.hpp"
#include "plume/core/scratch.hpp"
#include "plume/core/vector.hpp"
#include "plume/ops/cpu/gemm_kernel.hpp"
#include "plume/ops/cpu/gemm_pack.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

/// Element (i, j) of a matrix is data[i * row_stride + j * col_stride].
template <class T>
struct Matrix {
  T* data;
  index_t row_stride;
  index_t col_stride = 1;

  Matrix transposed() const noexcept { return {data, col_stride, row_stride}; }
  /// The matrix whose first element is (i, j).
  Matrix at(index_t i, index_t j) const noexcept {
    return {data + i * row_stride + j * col_stride, row_stride, col_stride};
  }
};

namespace detail {

template <class R>
inline constexpr index_t k_block = 2048 / static_cast<index_t>(sizeof(R));
// The rest are multiples of every tile_rows or tile_cols.
inline constexpr index_t m_block = 2880, n_block = 4096;
inline constexpr index_t m_task = 120, n_task = 192;
/// Elements of A that are packed as a whole: read once for each strip of C, from whatever cache holds them.
inline constexpr index_t whole_a = index_t{1} << 21;

constexpr index_t least(index_t a, index_t b) noexcept { return a < b ? a : b; }
constexpr index_t most(index_t a, index_t b) noexcept { return a > b ? a : b; }
constexpr index_t parts(index_t n, index_t size) noexcept { return (n + size - 1) / size; }
/// n in parts of nearly equal size, a multiple of `unit`, that is at most `limit` (one, too).
constexpr index_t even_part(index_t n, index_t limit, index_t unit) noexcept {
  return parts(parts(n, parts(n, limit)), unit) * unit;
}

/// C = alpha * tile + beta * C for the `rows` x `cols` part of the tile that exists.
template <class R, class T>
void update_c(index_t rows, index_t cols, R alpha, const R* tile, index_t tile_stride, R beta,
              Matrix<T> c) noexcept {
  if constexpr (std::is_same_v<R, T>) {
    if (cols == tile_cols<R> && c.col_stride == 1) {
      for (index_t i = 0; i < rows; ++i) {
        T* out = c.data + i * c.row_stride;
        for (index_t j = 0; j < tile_cols<R>; j += vector_size<R>) {
          Vector<R> v = alpha * load(tile + i * tile_stride + j);
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
      R v = alpha * tile[i * tile_stride + j];
      if (beta != R(0)) v += beta * static_cast<R>(*out);
      *out = static_cast<T>(v);
    }
  }
}

/// C = alpha A B + beta C of two packed blocks of `depth` steps.
template <class R, class T>
void multiply_blocks(index_t rows, index_t cols, index_t depth, R alpha, const R* a, const R* b,
                     R beta, Matrix<T> c) noexcept {
  constexpr index_t MR = tile_rows<R>, NR = tile_cols<R>;
  alignas(64) R tile[static_cast<std::size_t>(MR * NR)];
  for (index_t i = 0; i < rows; i += MR) {
    const index_t tile_height = least(MR, rows - i);
    for (index_t j = 0; j < cols; j += NR) {
      const Matrix<T> out = c.at(i, j);
      for (index_t r = 0; r < tile_height;
           ++r) {  // the rows of C arrive while the tile is computed
        const T* row = out.data + r * c.row_stride;
        __builtin_prefetch(row, 1);
        __builtin_prefetch(row + 64 / sizeof(T), 1);
      }
      multiply_panels(tile_height, depth, a + i * depth, b + j * depth, NR, tile);
      update_c(tile_height, least(NR, cols - j), alpha, tile, NR, beta, out);
    }
  }
}

/// Panels [begin, end) of A, or of B, of a block of `depth` steps from step k on.
template <class R, class T>
void pack_panels_a(index_t begin, index_t end, index_t rows, index_t k, index_t depth,
                   Matrix<const T> a, R* packed) noexcept {
  constexpr index_t MR = tile_rows<R>;
  const index_t last = least(end * MR, rows);
  const auto from = a.at(begin * MR, k);
  pack_a(last - begin * MR, depth, from.data, from.row_stride, from.col_stride,
         packed + begin * MR * depth);
}
template <class R, class T>
void pack_panels_b(index_t begin, index_t end, index_t cols, index_t k, index_t depth,
                   Matrix<const T> b, R* packed) noexcept {
  constexpr index_t NR = tile_cols<R>;
  const index_t last = least(end * NR, cols);
  const auto from = b.at(k, begin * NR);
  pack_b(last - begin * NR, depth, from.data, from.row_stride, from.col_stride,
         packed + begin * NR * depth);
}

template <class R, class TA, class TB, class TC>
void gemm_wide(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
               R beta, Matrix<TC> c, index_t task_cols) {
  constexpr index_t MR = tile_rows<R>;
  const ScratchFrame frame;
  const index_t depth_max = even_part(k, k_block<R>, 16);
  const index_t panels = parts(m, MR), m_packed = panels * MR;
  R* packed_a = frame.array<R>(m_packed * k);
  parallel_for(panels, k * MR / 3, [=](index_t begin, index_t end) {
    for (index_t p = 0; p < k; p += depth_max)
      pack_panels_a(begin, end, m, p, least(depth_max, k - p), a, packed_a + p * m_packed);
  });
  parallel_tasks(parts(n, task_cols), [=](index_t task) {
    const ScratchFrame mine;
    R* packed_b = mine.array<R>(task_cols * least(depth_max, k));
    const index_t j = task * task_cols, cols = least(task_cols, n - j);
    for (index_t p = 0; p < k; p += depth_max) {
      const index_t depth = least(depth_max, k - p);
      pack_b(cols, depth, b.at(p, j).data, b.row_stride, b.col_stride, packed_b);
      multiply_blocks(m, cols, depth, alpha, packed_a + p * m_packed, packed_b,
                      p == 0 ? beta : R(1), c.at(0, j));
    }
  });
}

template <class R, class TA, class TB, class TC>
void gemm_tall(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
               R beta, Matrix<TC> c, index_t task_rows, index_t task_cols) {
  constexpr index_t MR = tile_rows<R>, NR = tile_cols<R>;
  const ScratchFrame frame;
  const index_t depth_max = even_part(k, k_block<R>, 16);
  R* packed_a = frame.array<R>(packed_size<MR>(least(m, m_block), depth_max));
  R* packed_b = frame.array<R>(packed_size<NR>(least(n, n_block), depth_max));

  for (index_t jc = 0; jc < n; jc += n_block) {
    const index_t cols = least(n_block, n - jc);
    for (index_t p = 0; p < k; p += depth_max) {
      const index_t depth = least(depth_max, k - p);
      const R beta_now = p == 0 ? beta : R(1);
      for (index_t ic = 0; ic < m; ic += m_block) {
        const index_t rows = least(m_block, m - ic);
        const index_t b_panels = ic == 0 ? parts(cols, NR) : 0;
        parallel_for(b_panels + parts(rows, MR), depth * NR / 2, [=](index_t begin, index_t end) {
          const index_t b_end = least(end, b_panels);
          if (begin < b_end) pack_panels_b(begin, b_end, cols, p, depth, b.at(0, jc), packed_b);
          if (end > b_panels) {
            const index_t first = begin > b_panels ? begin - b_panels : 0;
            pack_panels_a(first, end - b_panels, rows, p, depth, a.at(ic, 0), packed_a);
          }
        });
        // Consecutive tasks share their part of B.
        const index_t row_tasks = parts(rows, task_rows);
        parallel_tasks(row_tasks * parts(cols, task_cols), [=](index_t task) {
          const index_t i = task % row_tasks * task_rows, j = task / row_tasks * task_cols;
          multiply_blocks(least(task_rows, rows - i), least(task_cols, cols - j), depth, alpha,
                          packed_a + i * depth, packed_b + j * depth, beta_now,
                          c.at(ic + i, jc + j));
        });
      }
    }
  }
}

// R accumulates. C of a 16-bit type is right only for k <= k_block, when it is rounded once.
template <class R, class TA, class TB, class TC>
void gemm_blocked(index_t m, index_t n, index_t k, R alpha, Matrix<const TA> a, Matrix<const TB> b,
                  R beta, Matrix<TC> c) {
  // Several tasks for each thread, or a single one where a fork costs more than it brings. The
  // division changes no bit of the result.
  constexpr index_t NR = tile_cols<R>, MR = tile_rows<R>;
  const index_t work_ns = m * n / 64 * k;
  const index_t threads = work_ns < 2 * plume::detail::chunk_ns ? 1 : available_threads();
  const index_t wanted = threads == 1 ? 1 : 4 * threads;
  if (parts(m, MR) * MR * k <= whole_a && (m <= m_task || parts(n, NR) >= wanted)) {
    const index_t strips = parts(most(parts(n, n_task), wanted), threads) * threads;
    return gemm_wide(m, n, k, alpha, a, b, beta, c, parts(parts(n, strips), NR) * NR);
  }
  index_t task_rows = even_part(m, m_task, MR), task_cols = n_task;
  while (parts(m, task_rows) * parts(n, task_cols) < wanted &&
         (task_cols > NR || task_rows > 2 * MR)) {
    if (task_cols > NR) {
      task_cols = parts(task_cols / 2, NR) * NR;
    } else {
      task_rows = parts(task_rows / 2, MR) * MR;
    }
  }
  gemm_tall(m, n, k, alpha, a, b, beta, c, task_rows, task_cols);
}

}  // namespace detail

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
