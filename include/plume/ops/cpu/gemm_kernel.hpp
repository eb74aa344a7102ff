#pragma once
// The register tile of the matrix product.
//
//   tile[MR][NR] = sum over k of a[k][0..MR) b[k][0..NR)
//
// a is a packed panel of MR rows of A, stored k by k; b a packed panel of NR columns of B, stored k
// by k (gemm_pack.hpp). Two vectors wide and as tall as the registers allow: 12 x 32 floats with
// AVX-512, 6 x 16 with AVX, 4 x 8 without.

#include <cstddef>
#include <utility>

#include "plume/core/dtype.hpp"
#include "plume/core/vector.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

/// Rows and columns of the register tile.
template <class R>
inline constexpr index_t tile_rows = vector_bytes == 64   ? 12
                                     : vector_bytes == 32 ? 6
                                                          : 4;
template <class R>
inline constexpr index_t tile_cols = 2 * vector_size<R>;

namespace detail {

template <class R>
struct TileRow {
  Vector<R> left, right;
};

template <class R>
inline void multiply_add(TileRow<R>& row, R a, Vector<R> left, Vector<R> right) noexcept {
  Vector<R> x = broadcast(a);
  pin(x);
  row.left += x * left;
  row.right += x * right;
}

// Its own function: inlined, it would share the registers with its caller, and g++ spills.
template <class R, std::size_t... I>
[[gnu::noinline]] void multiply_tile(index_t depth, const R* a, const R* b, index_t b_stride,
                                     R* tile, std::index_sequence<I...>) noexcept {
  TileRow<R> row[sizeof...(I)] = {};
  for (index_t k = 0; k < depth; ++k) {
    Vector<R> left = load(b), right = load(b + vector_size<R>);
    pin(left);
    pin(right);
    (multiply_add(row[I], a[I], left, right), ...);
    a += tile_rows<R>;
    b += b_stride;
  }
  ((store(tile + static_cast<index_t>(I) * tile_cols<R>, row[I].left),
    store(tile + static_cast<index_t>(I) * tile_cols<R> + vector_size<R>, row[I].right)),
   ...);
}

}  // namespace detail

/// The micro-kernel: overwrites the first `rows` rows (1 to tile_rows; rounded up to a third of it)
/// of tile (row-major, tile_rows x tile_cols) with the product of two panels of `depth` steps. a is
/// packed; step k of b is at b + k * b_stride: tile_cols where b is packed too, else the row stride
/// of B itself. Each element is one chain of multiply-adds in the order of k, whatever `rows` is.
template <class R>
void multiply_panels(index_t rows, index_t depth, const R* a, const R* b, index_t b_stride,
                     R* tile) noexcept {
  constexpr auto full = static_cast<std::size_t>(tile_rows<R>);
  constexpr std::size_t some = full * 2 / 3, few = full / 3;
  if (rows > static_cast<index_t>(some)) {
    detail::multiply_tile(depth, a, b, b_stride, tile, std::make_index_sequence<full>{});
  } else if (rows > static_cast<index_t>(few)) {
    detail::multiply_tile(depth, a, b, b_stride, tile, std::make_index_sequence<some>{});
  } else {
    detail::multiply_tile(depth, a, b, b_stride, tile, std::make_index_sequence<few>{});
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
