#pragma once
// strided_loop: one pass over N operands of one shape and different strides.
//
// Sizes of 1 are dropped and neighbouring axes that are contiguous for every operand are merged, so a
// contiguous tensor of any rank is one long row. The body sees rows: a length, and per operand an offset
// and a step, in elements. Rows run in parallel; a single long row is cut into pieces.

#include <array>
#include <cstddef>

#include "plume/core/parallel.hpp"
#include "plume/core/shape.hpp"

namespace plume {

template <std::size_t N>
using Offsets = std::array<index_t, N>;

/// Strides of an operand of `shape` seen as the larger shape `to`: 0 along stretched axes.
/// `shape` must broadcast to `to`.
inline Strides broadcast_strides(const Shape& shape, const Strides& strides, const Shape& to) {
  Strides out;
  const int lead = to.rank() - shape.rank();
  for (int i = 0; i < to.rank(); ++i) {
    const bool stretched = i < lead || (shape[i - lead] == 1 && to[i] != 1);
    out.push_back(stretched ? 0 : strides[i - lead]);
  }
  return out;
}

namespace detail {

/// Drops axes of size 1 and merges axes that are contiguous in every operand.
template <std::size_t N>
void collapse(Dims& shape, std::array<Strides, N>& strides) {
  Dims sizes;
  std::array<Strides, N> steps{};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    bool merge = !sizes.empty();
    for (std::size_t k = 0; merge && k < N; ++k) {
      merge = steps[k].back() == strides[k][axis] * shape[axis];
    }
    if (merge) {
      const int last = sizes.rank() - 1;
      sizes[last] *= shape[axis];
      for (std::size_t k = 0; k < N; ++k) steps[k][last] = strides[k][axis];
    } else {
      sizes.push_back(shape[axis]);
      for (std::size_t k = 0; k < N; ++k) steps[k].push_back(strides[k][axis]);
    }
  }
  shape = sizes;
  strides = steps;
}

}  // namespace detail

/// Calls body(n, offsets, steps) until every element of `shape` was covered once: elements
/// offsets[k] + j * steps[k] for 0 <= j < n and each operand k. `cost` is the work per element, in
/// simple operations (see parallel_for).
template <std::size_t N, class Body>
void strided_loop(const Shape& full, std::array<Strides, N> strides, index_t cost, Body&& body) {
  if (full.numel() == 0) return;
  Dims shape = full;
  detail::collapse(shape, strides);
  Offsets<N> steps{};
  index_t inner = 1;
  if (!shape.empty()) {
    inner = shape.back();
    for (std::size_t k = 0; k < N; ++k) steps[k] = strides[k].back();
    shape.pop_back();
  }
  if (shape.empty()) {
    parallel_for(inner, cost, [&](index_t begin, index_t end) {
      Offsets<N> offsets;
      for (std::size_t k = 0; k < N; ++k) offsets[k] = begin * steps[k];
      body(end - begin, offsets, steps);
    });
    return;
  }
  index_t rows = 1;
  for (const index_t size : shape) rows *= size;
  parallel_for(rows, cost * inner, [&](index_t begin, index_t end) {
    Dims at;  // position of row `begin`
    Offsets<N> offsets{};
    index_t rest = begin;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) at.push_back(0);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at[axis] = rest % shape[axis];
      rest /= shape[axis];
      for (std::size_t k = 0; k < N; ++k) offsets[k] += at[axis] * strides[k][axis];
    }
    for (index_t row = begin; row < end; ++row) {
      body(inner, offsets, steps);
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += strides[k][axis];
        if (++at[axis] < shape[axis]) break;
        at[axis] = 0;
        for (std::size_t k = 0; k < N; ++k) offsets[k] -= strides[k][axis] * shape[axis];
      }
    }
  });
}

}  // namespace plume
