#pragma once
// The register tile of the matrix product, and the vectors it is written in.
//
//   tile[MR][NR] = sum over k of a[k][0..MR) b[k][0..NR)
//
// a is a packed panel of MR rows of A, stored k by k; b a packed panel of NR columns of B, stored k
// by k (gemm_pack.hpp). Two vectors wide and as tall as the registers allow: 12 x 32 floats with
// AVX-512, 6 x 16 with AVX, 4 x 8 without.

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "plume/core/dtype.hpp"

namespace plume::cpu {

#if defined(__AVX512F__)
inline constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t vector_bytes = 32;
#else
inline constexpr std::size_t vector_bytes = 16;
#endif

template <class R>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(vector_bytes)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(vector_bytes)));
};

/// A machine register of R (float or double), with element-wise + - * /.
template <class R>
using Vector = typename VectorOf<R>::type;

template <class R>
inline constexpr index_t vector_size = static_cast<index_t>(vector_bytes / sizeof(R));

/// Rows and columns of the register tile.
template <class R>
inline constexpr index_t tile_rows = vector_bytes == 64   ? 12
                                     : vector_bytes == 32 ? 6
                                                          : 4;
template <class R>
inline constexpr index_t tile_cols = 2 * vector_size<R>;

template <class R>
inline Vector<R> load(const R* p) noexcept {  // any alignment
  Vector<R> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class R>
inline void store(R* p, Vector<R> v) noexcept {
  std::memcpy(p, &v, sizeof v);
}
template <class R>
inline Vector<R> broadcast(R value) noexcept {
  return value - Vector<R>{};  // value in every lane, its sign of zero included
}

/// Holds v in a register. Without it g++ tuned for Zen reads the operand from memory again in every
/// multiply-add that uses it, and the load ports, not the multipliers, set the speed.
template <class V>
inline void pin(V& v) noexcept {
#if defined(__x86_64__)
  __asm__("" : "+v"(v));
#else
  (void)v;
#endif
}

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

template <class R, std::size_t... I>
inline void multiply_tile(index_t depth, const R* a, const R* b, R* tile,
                          std::index_sequence<I...>) noexcept {
  TileRow<R> row[sizeof...(I)] = {};
  for (index_t k = 0; k < depth; ++k) {
    Vector<R> left = load(b), right = load(b + vector_size<R>);
    pin(left);
    pin(right);
    (multiply_add(row[I], a[I], left, right), ...);
    a += tile_rows<R>;
    b += tile_cols<R>;
  }
  ((store(tile + static_cast<index_t>(I) * tile_cols<R>, row[I].left),
    store(tile + static_cast<index_t>(I) * tile_cols<R> + vector_size<R>, row[I].right)),
   ...);
}

}  // namespace detail

/// The micro-kernel: overwrites tile (row-major, tile_rows x tile_cols) with the product of two
/// packed panels of `depth` steps. Each element is one chain of multiply-adds in the order of k.
template <class R>
void multiply_panels(index_t depth, const R* a, const R* b, R* tile) noexcept {
  detail::multiply_tile(depth, a, b, tile,
                        std::make_index_sequence<static_cast<std::size_t>(tile_rows<R>)>{});
}

}  // namespace plume::cpu
