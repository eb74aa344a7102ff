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

/// Drops axes of size 1 and merges axes that are contiguous in every one of the `count` operands.
[[gnu::noinline]] inline void collapse(Dims& shape, Strides* strides, std::size_t count) {
  int kept = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const index_t size = shape[axis];
    if (size == 1) continue;
    bool merge = kept > 0;
    for (std::size_t k = 0; merge && k < count; ++k) {
      merge = strides[k][kept - 1] == strides[k][axis] * size;
    }
    const int to = merge ? kept - 1 : kept++;
    shape[to] = merge ? shape[to] * size : size;
    for (std::size_t k = 0; k < count; ++k) strides[k][to] = strides[k][axis];
  }
  while (shape.rank() > kept) shape.pop_back();
  for (std::size_t k = 0; k < count; ++k) {
    while (strides[k].rank() > kept) strides[k].pop_back();
  }
}
template <std::size_t N>
void collapse(Dims& shape, std::array<Strides, N>& strides) {
  collapse(shape, strides.data(), N);
}

/// row(state, n, offsets, steps) for each row of `full`. Compiled once for all loops of a program: an
/// indirect call per row costs nothing beside the row.
[[gnu::noinline]] inline void for_each_row(
    const Shape& full, Strides* strides, std::size_t count, index_t cost,
    void (*row)(const void*, index_t, const index_t*, const index_t*), const void* state) {
  using Values = std::array<index_t, 4>;
  if (full.numel() == 0) return;
  Dims shape = full;
  collapse(shape, strides, count);
  Values steps{};
  index_t inner = 1;
  if (!shape.empty()) {
    inner = shape.back();
    for (std::size_t k = 0; k < count; ++k) steps[k] = strides[k].back();
    shape.pop_back();
  }
  if (shape.empty()) {
    parallel_for(inner, cost, [&](index_t begin, index_t end) {
      Values offsets{};
      for (std::size_t k = 0; k < count; ++k) offsets[k] = begin * steps[k];
      row(state, end - begin, offsets.data(), steps.data());
    });
    return;
  }
  index_t rows = 1;
  for (const index_t size : shape) rows *= size;
  parallel_for(rows, cost * inner, [&](index_t begin, index_t end) {
    Dims at = shape;  // position of row `begin`
    Values offsets{};
    index_t rest = begin;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at[axis] = rest % shape[axis];
      rest /= shape[axis];
      for (std::size_t k = 0; k < count; ++k) offsets[k] += at[axis] * strides[k][axis];
    }
    for (index_t r = begin; r < end; ++r) {
      row(state, inner, offsets.data(), steps.data());
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        for (std::size_t k = 0; k < count; ++k) offsets[k] += strides[k][axis];
        if (++at[axis] < shape[axis]) break;
        at[axis] = 0;
        for (std::size_t k = 0; k < count; ++k) offsets[k] -= strides[k][axis] * shape[axis];
      }
    }
  });
}

}  // namespace detail

/// Calls body(n, offsets, steps) until every element of `shape` was covered once: elements
/// offsets[k] + j * steps[k] for 0 <= j < n and each operand k. `cost`: nanoseconds per element, roughly.
template <std::size_t N, class Body>
void strided_loop(const Shape& shape, std::array<Strides, N> strides, index_t cost,
                  const Body& body) {
  static_assert(N <= 4, "plume: strided_loop takes up to four operands");
  detail::for_each_row(
      shape, strides.data(), N, cost,
      [](const void* state, index_t n, const index_t* at, const index_t* by) {
        Offsets<N> offsets, steps;
        for (std::size_t k = 0; k < N; ++k) {
          offsets[k] = at[k];
          steps[k] = by[k];
        }
        (*static_cast<const Body*>(state))(n, offsets, steps);
      },
      &body);
}

}  // namespace plume
