#pragma once
// sum_rows: column sums of a matrix, the gradient of whatever was broadcast along rows (a bias).
//
// Formula   y[c] = sum over r of x[r, c];  x (rows, columns) row major, y (columns).
// Bytes     x once; the rest is small. sizeof(T) * rows * columns.
// Flops     one addition per element: bound by memory.
//
// Two stages with a fixed order of additions, so the result is the same bits every time and on
// every GPU: a block sums a chunk of rows for 32 columns (8 warps take every 8th row, then their
// sums are added in warp order); the second stage adds the chunks the same way. No atomics.

#include "common.cuh"

namespace plume::kernels::inline PLUME_WORLD {

inline constexpr int sum_rows_warps = 8;

template <class In, class Out>
__global__ void __launch_bounds__(32 * sum_rows_warps)
    sum_rows_kernel(const In* x, Out* y, index_t rows, index_t columns, index_t chunk) {
  using A = accumulate_t<In>;
  PLUME_SHARED(A, sums, 32 * sum_rows_warps);
  const index_t tiles = (columns + 31) / 32;
  const index_t part = blockIdx.x / tiles;
  const index_t column = (blockIdx.x % tiles) * 32 + threadIdx.x % 32;
  const index_t end = (part + 1) * chunk < rows ? (part + 1) * chunk : rows;
  const bool inside = column < columns;
  A sum = 0;
  if (inside) {
    for (index_t row = part * chunk + threadIdx.x / 32; row < end; row += sum_rows_warps) {
      sum += widen(x[row * columns + column]);
    }
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x < 32 && inside) {
    for (unsigned warp = 1; warp < sum_rows_warps; ++warp) sum += sums[warp * 32 + threadIdx.x];
    y[part * columns + column] = narrow<Out>(sum);
  }
}

/// Rows that one block of the first stage adds up, and how many blocks that makes.
inline index_t sum_rows_chunk(index_t rows) {
  const index_t most = 128;  // chunks: enough blocks to fill a GPU even for 32 columns
  const index_t least = 64;  // rows: a block should have something to do
  return rows <= 4 * least ? rows : std::max(least, ceil_div(rows, most));
}
inline index_t sum_rows_chunks(index_t rows) {
  return rows == 0 ? 1 : ceil_div(rows, sum_rows_chunk(rows));
}

/// Elements of accumulate_t<T> that sum_rows needs as workspace.
inline index_t sum_rows_workspace(index_t rows, index_t columns) {
  const index_t chunks = sum_rows_chunks(rows);
  return chunks == 1 ? 0 : chunks * columns;
}

/// y (columns) = sums of x (rows, columns) over its rows.
template <class In, class Out>
void sum_rows(const In* x, Out* y, index_t rows, index_t columns, accumulate_t<In>* workspace,
              cudaStream_t stream) {
  using A = accumulate_t<In>;
  if (columns <= 0) return;
  const index_t tiles = ceil_div(columns, 32);
  const index_t chunks = sum_rows_chunks(rows);
  const std::initializer_list<NamedSize> sizes = {
      {"rows", rows}, {"columns", columns}, {"chunks", chunks}};
  const Launch config{"sum_rows", tiles * chunks, 32 * sum_rows_warps, 0, stream};
  if (chunks == 1) {
    launch(config, sizes, sum_rows_kernel<In, Out>, x, y, rows, columns, rows);
    return;
  }
  launch(config, sizes, sum_rows_kernel<In, A>, x, workspace, rows, columns, sum_rows_chunk(rows));
  launch({"sum_rows_second", tiles, 32 * sum_rows_warps, 0, stream}, sizes, sum_rows_kernel<A, Out>,
         static_cast<const A*>(workspace), y, chunks, columns, chunks);
}

}  // namespace plume::kernels::inline PLUME_WORLD
