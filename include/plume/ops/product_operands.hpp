#pragma once
// ProductOperands: what an op with a matrix product does under the precision it is recorded with.
//
//   fp32        nothing
//   amp_bf16    operands are rounded to bfloat16, forward and backward; they are multiplied and summed in float;
//               what forward gives is rounded once more. Gradients are not: those of parameters meet fp32 masters.
//
// Activations saved for backward are kept in bfloat16, at half the memory. Weights are not kept a second time: they
// are rounded again. The values are those of a device that multiplies bfloat16 and sums in float, up to the order of
// sums; PyTorch's autocast rounds in the same places, and its gradients too. The CPU takes such a product as a float
// one of rounded operands: this checks numbers and saves memory, but no time.

#include <type_traits>

#include "plume/autograd/precision.hpp"
#include "plume/autograd/saved.hpp"

namespace plume::detail {

/// An operand that backward will need.
template <Floating T>
class KeptOperand {
 public:
  KeptOperand() = default;
  KeptOperand(const Tensor<T>& x, bool rounded) {
    if (rounded) {
      narrow_ = x.template cast<bfloat16>();
    } else {
      wide_ = Saved<T>(x);
    }
  }
  /// Throws AutogradError where it was changed in place since.
  [[nodiscard]] Tensor<T> value() const { return narrow_.defined() ? narrow_.cast<T>() : *wide_; }

 private:
  Saved<T> wide_;
  Tensor<bfloat16> narrow_;
};

/// One per op recorded, copied into its closure.
template <Floating T>
class ProductOperands {
 public:
  /// Throws ValueError for amp_bf16 in double or half, which have no use for it.
  explicit ProductOperands(const char* op)
      : op_(op), rounds_(precision() == Precision::amp_bf16 && !std::is_same_v<T, bfloat16>) {
    if (rounds_ && !std::is_same_v<T, float>) {
      fail<ValueError>(op, "float tensors under amp_bf16", dtype_name<T>());
    }
  }

  /// x as the product takes it.
  [[nodiscard]] Tensor<T> round(const Tensor<T>& x) const {
    if constexpr (std::is_same_v<T, float>) {
      if (rounds_ && x.defined()) {
        require_cpu(x);
        return x.template cast<bfloat16>().template cast<float>();
      }
    }
    return x;
  }
  /// The result of forward as the op gives it.
  [[nodiscard]] Tensor<T> result(Tensor<T> y) const { return round(y); }
  /// The result of attention [B, H, T, hd], which lies as [B, T, H, hd] and goes on to.
  [[nodiscard]] Tensor<T> heads(const Tensor<T>& y) const {
    return round(y.transpose(1, 2)).transpose(1, 2);
  }
  /// An operand for backward, as rounded above; nothing if it is not needed.
  [[nodiscard]] KeptOperand<T> keep_if(bool needed, const Tensor<T>& x) const {
    return needed ? KeptOperand<T>(x, rounds_) : KeptOperand<T>();
  }

 private:
  void require_cpu(const Tensor<T>& x) const {
    if (!x.device().is_cpu()) {
      fail<DeviceError>(op_, "tensors on the CPU (amp_bf16 has no device path)", x.device());
    }
  }

  const char* op_;
  bool rounds_;
};

}  // namespace plume::detail
