#pragma once
// Every tolerance of the test-suite, in one place, with its reason. A comparison passes only if
//
//   |actual - expected| <= relative * |expected| + absolute * max |expected|
//
// so NaN never passes (unless NaN is what is expected, place for place).

namespace plume::test {

struct Tolerance {
  double relative;
  double absolute;  ///< times the largest expected element
};

/// Fast path against definition, both in double: a few roundings, sums in another order.
inline constexpr Tolerance forward_double{1e-12, 1e-13};
/// Fast path in float against the definition in double: float has 6e-8 per rounding, exp, tanh and erf
/// 4e-7; sums of a few hundred terms.
inline constexpr Tolerance forward_float{2e-6, 2e-6};
/// Gradients in float against double: one more product and sum than forward.
inline constexpr Tolerance gradient_float{1e-5, 5e-6};
/// The same in bfloat16, which keeps 8 bits: half a unit is 2^-9 = 0.002, a few roundings follow.
inline constexpr Tolerance forward_bfloat16{1e-2, 1e-2};
/// half keeps 11 bits.
inline constexpr Tolerance forward_half{2e-3, 2e-3};
/// grad_check: central differences in double against backward. Truncation leaves about 1e-10, rounding 1e-9.
inline constexpr double gradient_check = 1e-6;
/// Training under amp_bf16 against fp32: every product rounds operands and result to 8 bits (0.002 each, with signs
/// that average out). Relative: of a loss, of the norm of a gradient, of the way the parameters went in four steps
/// (where AdamW makes a full step of a gradient that is rounding alone). Measured: 0.005, 0.008, 0.03.
inline constexpr double amp_loss = 1e-2;
inline constexpr double amp_gradient = 3e-2;
inline constexpr double amp_updates = 1e-1;

}  // namespace plume::test
