#pragma once
// Precision: what a thread takes matrix products in while it records a graph. A model is written once; a scope says
// how it computes:
//
//   const PrecisionScope scope(Precision::amp_bf16);
//   const Var<float> loss = model(batch);
//
// What the ops do with it: ops/product_operands.hpp. Everything else stays fp32.

#include <cstdint>
#include <string_view>

namespace plume {

enum class Precision : std::uint8_t {
  fp32,  ///< every op in the scalar type of its tensors
  amp_bf16,  ///< products of float tensors take bfloat16 operands, sum in float, and write bfloat16 values
};

/// The name users read and write: "fp32", "amp_bf16".
constexpr std::string_view name(Precision precision) noexcept {
  return precision == Precision::fp32 ? "fp32" : "amp_bf16";
}

namespace detail {
inline constinit thread_local Precision precision_state = Precision::fp32;
}  // namespace detail

/// What products of this thread are taken in now.
inline Precision precision() noexcept { return detail::precision_state; }

/// While it lives, this thread records with `precision`. Backward needs no scope: ops remember what they were
/// recorded with.
class PrecisionScope {
 public:
  explicit PrecisionScope(Precision precision) noexcept : before_(detail::precision_state) {
    detail::precision_state = precision;
  }
  ~PrecisionScope() { detail::precision_state = before_; }
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  Precision before_;
};

}  // namespace plume
