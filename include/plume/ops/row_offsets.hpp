#pragma once
// RowOffsets: the rows [D] of a tensor [.., D] of any strides, numbered in row-major order. Logits without
// their last position, logits.slice(1, 0, T - 1), are walked where they lie.

#include "plume/core/tensor.hpp"

namespace plume::detail {

/// Where row n begins.
class RowOffsets {
 public:
  template <Scalar T>
  explicit RowOffsets(const Tensor<T>& x) {
    sizes_ = x.shape();
    steps_[0] = x.strides();
    sizes_.pop_back();
    steps_[0].pop_back();
    collapse(sizes_, steps_);
  }
  index_t operator()(index_t n) const noexcept {
    index_t offset = 0;
    for (int axis = sizes_.rank() - 1; axis > 0; --axis) {
      offset += n % sizes_[axis] * steps_[0][axis];
      n /= sizes_[axis];
    }
    return sizes_.empty() ? 0 : offset + n * steps_[0][0];
  }

 private:
  Dims sizes_;
  std::array<Strides, 1> steps_;
};

/// x itself where each of its rows is contiguous, else a copy. x has rank >= 1.
template <Scalar T>
Tensor<T> contiguous_rows(const Tensor<T>& x) {
  return x.size(-1) <= 1 || x.strides().back() == 1 ? x : x.clone();
}

}  // namespace plume::detail
