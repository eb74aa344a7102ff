#pragma once
// What the ops that take integers share: token ids, class labels, positions.

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
  for (index_t i = 0; i < flat.numel(); ++i) {
    const index_t id = static_cast<index_t>(p[i]);
    if ((id >= 0 && id < bound) || (ignored != nullptr && id == *ignored)) continue;
    fail<ValueError>(op, cat(what, " in [0, ", bound, ")"),
                     cat(id, " at ", position(ids.shape(), i)));
  }
  return flat;
}

}  // namespace plume::detail
