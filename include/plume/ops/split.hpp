#pragma once
// split: x cut along one axis into pieces y_k, one after the other.   dx = the dy_k, one after the other
//
//   const auto [q, k, v] = split<3>(qkv, -1);               // equal pieces
//   const auto [media, text] = split(x, {64, T}, 1);        // given sizes
//
// Each piece is a slice: a view, whose backward adds into its part of one gradient of x.

#include <array>
#include <span>
#include <vector>

#include "plume/ops/slice.hpp"

namespace plume {

inline constexpr OpInfo split_info{.name = "split", .formula = "y_k = piece k of x along one axis"};

/// What split gives where the number of pieces is known at run time only.
template <Floating T>
using VarList = std::vector<Var<T>, PoolAllocator<Var<T>>>;

namespace definition {
template <Floating T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<index_t>& sizes, int axis) {
  std::vector<Tensor<T>> pieces;
  index_t begin = 0;
  for (const index_t size : sizes) {
    pieces.push_back(definition::slice(x, axis, begin, begin + size));
    begin += size;
  }
  return pieces;
}
}  // namespace definition

namespace detail {

// out[k] = piece k.
template <Floating T>
void split_into(const Var<T>& x, std::span<const index_t> sizes, index_t axis, Var<T>* out) {
  require_defined("split", x.value());
  const index_t size = x.size(normalize_axis("split", axis, x.rank()));
  index_t total = 0;
  for (const index_t s : sizes) {
    if (s < 0 || s > size - total) {
      fail<ShapeError>("split", cat("sizes >= 0 that add up to ", size), cat("one of ", s));
    }
    total += s;
  }
  if (total != size) fail<ShapeError>("split", cat("sizes that add up to ", size), total);
  index_t begin = 0;
  for (const index_t s : sizes) {
    *out++ = slice(x, axis, begin, begin + s);
    begin += s;
  }
}

}  // namespace detail

/// Pieces of the given sizes, which must add up to the size of the axis.
template <Floating T, std::size_t N>
std::array<Var<T>, N> split(const Var<T>& x, const index_t (&sizes)[N], index_t axis = -1) {
  std::array<Var<T>, N> pieces;
  detail::split_into(x, sizes, axis, pieces.data());
  return pieces;
}

/// The same for any number of pieces.
template <Floating T>
VarList<T> split(const Var<T>& x, std::span<const index_t> sizes, index_t axis = -1) {
  VarList<T> pieces(sizes.size());
  detail::split_into(x, sizes, axis, pieces.data());
  return pieces;
}

/// N equal pieces; N must divide the size of the axis.
template <std::size_t N, Floating T>
std::array<Var<T>, N> split(const Var<T>& x, index_t axis = -1) {
  static_assert(N > 0, "plume: split<N> makes at least one piece");
  detail::require_defined("split", x.value());
  const index_t size = x.size(normalize_axis("split", axis, x.rank()));
  if (size % static_cast<index_t>(N) != 0) {
    fail<ShapeError>("split", cat("a size that is a multiple of ", N),
                     cat(size, " along axis ", axis));
  }
  std::array<index_t, N> sizes;
  sizes.fill(size / static_cast<index_t>(N));
  std::array<Var<T>, N> pieces;
  detail::split_into(x, std::span<const index_t>(sizes), axis, pieces.data());
  return pieces;
}

}  // namespace plume
