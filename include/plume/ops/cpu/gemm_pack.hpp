#pragma once
// Packed panels: the layout in which the micro-kernel reads its operands.
//
// A panel holds W lanes (tile_rows rows of A, or tile_cols columns of B) for `depth` steps of k,
// step by step:
//   panel[k * W + lane] = source[lane * lane_stride + k * k_stride], zero for lanes past the edge.
// Packing makes the reads of the kernel consecutive, turns 16-bit elements into float, and hides
// every layout and edge from it.

#include "plume/core/dtype.hpp"
#include "plume/ops/cpu/gemm_kernel.hpp"

namespace plume::cpu {

/// Fills one panel of W lanes, of which `lanes` (1 to W) exist.
template <index_t W, class R, class T>
void pack_panel(index_t lanes, index_t depth, const T* source, index_t lane_stride,
                index_t k_stride, R* panel) noexcept {
  if (lanes < W) {
    for (index_t i = 0; i < depth * W; ++i) panel[i] = R(0);
  }
  if (k_stride == 1) {
    // Lanes are streams along k: four at a time keeps the writes of a step together.
    index_t lane = 0;
    for (; lane + 4 <= lanes; lane += 4) {
      const T* s0 = source + lane * lane_stride;
      const T* s1 = s0 + lane_stride;
      const T* s2 = s1 + lane_stride;
      const T* s3 = s2 + lane_stride;
      R* out = panel + lane;
      for (index_t k = 0; k < depth; ++k, out += W) {
        out[0] = static_cast<R>(s0[k]);
        out[1] = static_cast<R>(s1[k]);
        out[2] = static_cast<R>(s2[k]);
        out[3] = static_cast<R>(s3[k]);
      }
    }
    for (; lane < lanes; ++lane) {
      const T* s = source + lane * lane_stride;
      for (index_t k = 0; k < depth; ++k) panel[k * W + lane] = static_cast<R>(s[k]);
    }
  } else if (lane_stride == 1 && lanes == W) {
    for (index_t k = 0; k < depth; ++k, source += k_stride, panel += W) {
      for (index_t lane = 0; lane < W; ++lane) panel[lane] = static_cast<R>(source[lane]);
    }
  } else {
    for (index_t k = 0; k < depth; ++k, source += k_stride, panel += W) {
      for (index_t lane = 0; lane < lanes; ++lane) {
        panel[lane] = static_cast<R>(source[lane * lane_stride]);
      }
    }
  }
}

/// Elements that the panels of `lanes` lanes take: what pack_a and pack_b write.
template <index_t W>
constexpr index_t packed_size(index_t lanes, index_t depth) noexcept {
  return (lanes + W - 1) / W * W * depth;
}

/// Packs `rows` rows of A[rows, depth]; the panel of row r (a multiple of tile_rows) starts at
/// packed + r * depth.
template <class R, class T>
void pack_a(index_t rows, index_t depth, const T* a, index_t row_stride, index_t col_stride,
            R* packed) noexcept {
  constexpr index_t W = tile_rows<R>;
  for (index_t r = 0; r < rows; r += W) {
    pack_panel<W>(rows - r < W ? rows - r : W, depth, a + r * row_stride, row_stride, col_stride,
                  packed + r * depth);
  }
}

/// Packs `cols` columns of B[depth, cols]; the panel of column c (a multiple of tile_cols) starts
/// at packed + c * depth.
template <class R, class T>
void pack_b(index_t cols, index_t depth, const T* b, index_t row_stride, index_t col_stride,
            R* packed) noexcept {
  constexpr index_t W = tile_cols<R>;
  for (index_t c = 0; c < cols; c += W) {
    pack_panel<W>(cols - c < W ? cols - c : W, depth, b + c * col_stride, col_stride, row_stride,
                  packed + c * depth);
  }
}

}  // namespace plume::cpu
