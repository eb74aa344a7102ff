#pragma once
// Packed panels: the layout in which the micro-kernel reads its operands.
//
// A panel holds W lanes (tile_rows rows of A, or tile_cols columns of B) for `depth` steps of k,
// step by step:
//   panel[k * W + lane] = source[lane * lane_stride + k * k_stride], zero for lanes past the edge.
// Packing makes the reads of the kernel consecutive, turns 16-bit elements into float, and hides
// every layout and edge from it.

#include <cstring>
#include <type_traits>

#include "plume/core/dtype.hpp"
#include "plume/core/vector.hpp"
#include "plume/ops/cpu/gemm_kernel.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

namespace detail {

template <class R, class T>
inline void load_four(const T* p, Four<R>& out) noexcept {
  if constexpr (std::is_same_v<R, T>) {
    std::memcpy(&out, p, sizeof out);
  } else {
    out = Four<R>{static_cast<R>(p[0]), static_cast<R>(p[1]), static_cast<R>(p[2]),
                  static_cast<R>(p[3])};
  }
}

/// out[k * W + lane] = source[lane * lane_stride + k] for four lanes and four steps.
template <index_t W, class R, class T>
inline void transpose_four(const T* source, index_t lane_stride, R* out) noexcept {
  Four<R> r0, r1, r2, r3;
  load_four<R>(source, r0);
  load_four<R>(source + lane_stride, r1);
  load_four<R>(source + 2 * lane_stride, r2);
  load_four<R>(source + 3 * lane_stride, r3);
  const Four<R> low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const Four<R> low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const Four<R> high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Four<R> high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  r0 = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  r1 = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  r2 = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  r3 = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
  std::memcpy(out, &r0, sizeof r0);
  std::memcpy(out + W, &r1, sizeof r1);
  std::memcpy(out + 2 * W, &r2, sizeof r2);
  std::memcpy(out + 3 * W, &r3, sizeof r3);
}

/// The W lanes at one step: panel[lane] = source[lane].
template <index_t W, class R, class T>
inline void copy_lanes(const T* source, R* panel) noexcept {
  if constexpr (std::is_same_v<R, T>) {
    std::memcpy(panel, source, W * sizeof(R));
  } else if constexpr (W % vector_size<R> == 0) {
    for (index_t v = 0; v < W; v += vector_size<R>) store(panel + v, load_as<R>(source + v));
  } else {
    for (index_t lane = 0; lane < W; ++lane) panel[lane] = static_cast<R>(source[lane]);
  }
}

/// One panel of which `lanes` (1 to W) exist.
template <index_t W, class R, class T>
void pack_panel(index_t lanes, index_t depth, const T* source, index_t lane_stride,
                index_t k_stride, R* panel) noexcept {
  if (lanes < W) {
    for (index_t i = 0; i < depth * W; ++i) panel[i] = R(0);
  }
  index_t k = 0;  // steps done
  if (k_stride == 1) {
    // Each lane is a stream along k: a cache line of four lanes at a time. So many streams, often at
    // a distance of a power of two, are more than the machine prefetches on its own.
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
    const index_t whole = lanes / 4 * 4;
    for (; k + line <= depth; k += line) {
      for (index_t lane = 0; lane < whole; lane += 4) {
        const T* from = source + lane * lane_stride + k;
        for (index_t i = 0; i < 4; ++i) __builtin_prefetch(from + i * lane_stride + 2 * line);
        R* to = panel + k * W + lane;
        for (index_t s = 0; s < line; s += 4) {
          transpose_four<W>(from + s, lane_stride, to + s * W);
        }
      }
    }
    for (index_t lane = whole; lane < lanes; ++lane) {
      for (index_t s = 0; s < k; ++s) {
        panel[s * W + lane] = static_cast<R>(source[lane * lane_stride + s]);
      }
    }
  }
  for (; k < depth; ++k) {
    for (index_t lane = 0; lane < lanes; ++lane) {
      panel[k * W + lane] = static_cast<R>(source[lane * lane_stride + k * k_stride]);
    }
  }
}

template <index_t W, class R, class T>
void pack_panels(index_t lanes, index_t depth, const T* source, index_t lane_stride,
                 index_t k_stride, R* packed) noexcept {
  index_t done = 0;
  if (lane_stride == 1) {  // a step of all panels is consecutive: several panels grow together
    done = lanes / W * W;
    constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
    for (index_t k = 0; k < depth; ++k) {
      const T* from = source + k * k_stride;
      for (index_t i = 0; i < done; i += line) __builtin_prefetch(from + 2 * k_stride + i);
      for (index_t i = 0; i < done; i += W) {
        copy_lanes<W>(from + i, packed + i * depth + k * W);
      }
    }
  }
  for (; done < lanes; done += W) {
    const index_t left = lanes - done;
    pack_panel<W>(left < W ? left : W, depth, source + done * lane_stride, lane_stride, k_stride,
                  packed + done * depth);
  }
}

}  // namespace detail

/// Elements that the panels of `lanes` lanes take: what pack_a and pack_b write.
template <index_t W>
constexpr index_t packed_size(index_t lanes, index_t depth) noexcept {
  return (lanes + W - 1) / W * W * depth;
}

/// Packs A[rows, depth]; the panel of row r (a multiple of tile_rows) starts at packed + r * depth.
template <class R, class T>
void pack_a(index_t rows, index_t depth, const T* a, index_t row_stride, index_t col_stride,
            R* packed) noexcept {
  detail::pack_panels<tile_rows<R>>(rows, depth, a, row_stride, col_stride, packed);
}

/// Packs B[depth, cols]; the panel of column c (a multiple of tile_cols) starts at
/// packed + c * depth.
template <class R, class T>
void pack_b(index_t cols, index_t depth, const T* b, index_t row_stride, index_t col_stride,
            R* packed) noexcept {
  detail::pack_panels<tile_cols<R>>(cols, depth, b, col_stride, row_stride, packed);
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
