#pragma once
// What the ops that take integers share: token ids, class labels, positions.

#include <limits>

#include "plume/core/tensor.hpp"

namespace plume::detail {

inline std::string position(const Shape& shape, index_t flat) {
  Dims at = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    at[axis] = flat % shape[axis];
    flat /= shape[axis];
  }
  return to_string(at);
}

/// `ids` in row-major order, all of them in [0, bound) or equal to *ignored. Throws ValueError that says
/// which is not, and where.
template <Index I>
Tensor<I> checked_ids(std::string_view op, const char* what, const Tensor<I>& ids, index_t bound,
                      const index_t* ignored = nullptr) {
  if (!ids.defined()) fail<ValueError>(op, what, "an undefined tensor");
  if (!ids.device().is_cpu()) fail<DeviceError>(op, cat(what, " on the CPU"), ids.device());
  Tensor<I> flat = ids.contiguous();
  const I* p = std::as_const(flat).data();
  // No branches, so that it vectorises: a negative id is a huge one, and where nothing is ignored the
  // last id in range is.
  const auto limit = static_cast<std::uint64_t>(bound);
  const auto spare = ignored != nullptr ? static_cast<std::uint64_t>(*ignored) : limit - 1;
  const auto find = [p, limit, spare](index_t begin, index_t end) {
    const I* const x = p;  // what is captured would be loaded again and again
    const auto end_of_range = limit, allowed = spare;
    index_t wrong = 0;
    PLUME_SIMD_SUM(wrong)
    for (index_t i = begin; i < end; ++i) {
      const auto id = static_cast<std::uint64_t>(static_cast<index_t>(x[i]));
      wrong += static_cast<index_t>(id >= end_of_range) & static_cast<index_t>(id != allowed);
    }
    if (wrong == 0) return std::numeric_limits<index_t>::max();
    for (;; ++begin) {
      const auto id = static_cast<std::uint64_t>(static_cast<index_t>(p[begin]));
      if (id >= limit && id != spare) return begin;
    }
  };
  const bool none_fits = bound == 0 && ignored == nullptr;
  const index_t first_wrong =
      none_fits ? 0
                : parallel_reduce(flat.numel(), 1, flat.numel(), find,
                                  [](index_t u, index_t v) { return std::min(u, v); });
  if (first_wrong < flat.numel()) {
    fail<ValueError>(
        op, cat(what, " in [0, ", bound, ")"),
        cat(static_cast<index_t>(p[first_wrong]), " at ", position(ids.shape(), first_wrong)));
  }
  return flat;
}

}  // namespace plume::detail
