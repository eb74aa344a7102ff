#pragma once
// exp, log, tanh, erf and sigmoid without branches or calls, for a float or a Vector<float>: 5 to 30 times
// faster than the C library, to about 3e-7. A loop over the float ones (PLUME_SIMD) becomes vector code;
// the vector ones need no such luck, and take fewer instructions for a choice.
//
// Each float function states its largest error against the exact value, over every float. The
// double ones are those of the standard library, where gradient checks are done.
//
// The coefficients are minimax fits of the relative error, computed for this file.

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>

#include "plume/core/vector.hpp"

namespace plume::math {

/// What the functions take: one float, or a register of them.
template <class V>
concept Floats = std::same_as<V, float> || std::same_as<V, kernel::Vector<float>>;

inline namespace PLUME_VECTOR_ABI {
namespace detail {

template <Floats V>
struct IntegersOf {
  using Bits = std::uint32_t;
  using Signed = std::int32_t;
};
template <>
struct IntegersOf<kernel::Vector<float>> {
  using Bits = kernel::detail::Bits32;
  using Signed = kernel::detail::Signed32;
};
template <class V>
using Bits = typename IntegersOf<V>::Bits;
template <class V>
using Signed = typename IntegersOf<V>::Signed;

template <Floats V>
inline V from_bits(Bits<V> bits) noexcept {
  return std::bit_cast<V>(bits);
}
template <Floats V>
inline Bits<V> to_bits(V x) noexcept {
  return std::bit_cast<Bits<V>>(x);
}

template <Floats V>
inline V all(float value) noexcept {
  if constexpr (std::same_as<V, float>) {
    return value;
  } else {
    return kernel::broadcast(value);
  }
}
template <Floats V>
inline V to_floats(Signed<V> x) noexcept {
  if constexpr (std::same_as<V, float>) {
    return static_cast<float>(x);
  } else {
    return __builtin_convertvector(x, V);
  }
}

// A choice written as arithmetic, which g++ turns into a blend. Of ?: on scalars it makes branches (the
// comparison of floats could trap, or one side is a constant), and then a loop stays scalar.
inline float select(bool condition, float yes, float no) noexcept {
  const std::uint32_t mask = 0U - static_cast<std::uint32_t>(condition);
  return from_bits<float>(to_bits(no) ^ ((to_bits(yes) ^ to_bits(no)) & mask));
}
// On vectors ?: is a blend already. A comparison of them is -1 or 0 in each place.
template <class M, class V>
inline V select(M condition, V yes, V no) noexcept {
  return condition ? yes : no;
}

// NaN is kept: no comparison with it is true.
template <Floats V>
inline V clamp(V x, float low, float high) noexcept {
  x = select(x < low, all<V>(low), x);
  return select(x > high, all<V>(high), x);
}

// e^r, where x = n log 2 + r with |r| <= log(2) / 2; `shifted` becomes n + exp_shift. Adding 1.5 * 2^23
// rounds to an integer, which is then in the low bits, and 127 more is the exponent of 2^n. log 2 is
// split so that n * 0.693359375 is exact.
inline constexpr float exp_shift = 12582912.0F + 127.0F;
template <Floats V>
inline V exp_of_rest(V x, V& shifted) noexcept {
  shifted = x * 1.44269504F + exp_shift;
  const V n = shifted - exp_shift;
  const V r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  V p = 1.381314364e-3F * r + 8.369418851e-3F;
  p = p * r + 4.166845681e-2F;
  p = p * r + 1.666651479e-1F;
  p = p * r + 4.999999305e-1F;
  return p * r * r + r + 1.0F;
}

// exp for x <= 88.8 (above: anything), subnormal results to within one unit.
template <Floats V>
inline V exp_bounded(V x) noexcept {
  V shifted;
  const V p = exp_of_rest(x, shifted);
  // 2^n in two factors, since n reaches from -150 to 128.
  const Bits<V> first = to_bits((shifted - exp_shift) * 0.5F + exp_shift);
  const Bits<V> second = to_bits(shifted) - first + to_bits(exp_shift);
  const V y = p * from_bits<V>(first << 23) * from_bits<V>(second << 23);
  return select(x < -104.0F, all<V>(0.0F), y);
}

}  // namespace detail

/// Relative error below 1.2e-7; subnormal results to within one unit; 0 and infinity where float
/// ends.
template <Floats V>
inline V exp(V x) noexcept {
  return detail::select(x > 89.0F, detail::all<V>(__builtin_inff()), detail::exp_bounded(x));
}

/// exp for x <= 88, as softmax needs it, at two thirds of the cost: relative error below 1.2e-7; 0 for
/// x < -87.33, where the result is about to be subnormal.
template <Floats V>
inline V exp_below(V x) noexcept {
  V shifted;
  const V p = detail::exp_of_rest(x, shifted);
  const V y = p * detail::from_bits<V>(detail::to_bits(shifted) << 23);
  return detail::select(x < -87.33F, detail::all<V>(0.0F), y);
}

/// Relative error below 2e-7 (near 1 as well); -infinity at 0, NaN below.
template <Floats V>
inline V log(V x) noexcept {
  using Bits = detail::Bits<V>;
  // x = 2^n m with m in [sqrt(1/2), sqrt(2)); subnormal x is scaled first.
  constexpr float least_normal = 0x1p-126F;
  const Bits bits = detail::to_bits(detail::select(x < least_normal, x * 8388608.0F, x));
  constexpr std::uint32_t sqrt_half = 0x3f3504f3U;
  const Bits offset = bits - sqrt_half;
  const V exponent = detail::to_floats<V>(std::bit_cast<detail::Signed<V>>(offset) >> 23);
  const V n =
      exponent - detail::select(x < least_normal, detail::all<V>(23.0F), detail::all<V>(0.0F));
  const V f = detail::from_bits<V>((offset & 0x007fffffU) + sqrt_half) - 1.0F;
  V p = 6.915539459e-2F * f - 1.178986428e-1F;
  p = p * f + 1.187292601e-1F;
  p = p * f - 1.238433529e-1F;
  p = p * f + 1.421866384e-1F;
  p = p * f - 1.666925180e-1F;
  p = p * f + 2.000222632e-1F;
  p = p * f - 2.499998658e-1F;
  p = p * f + 3.333331045e-1F;
  const V f2 = f * f;
  const V result = n * 0.693359375F + (f + (f2 * (p * f - 0.5F) - n * 2.12194440e-4F));
  // What is not a positive finite number: infinity stays, 0 becomes -infinity, the rest is NaN.
  constexpr float infinity = __builtin_inff();
  const V negative =
      detail::select(x == 0.0F, detail::all<V>(-infinity), detail::all<V>(__builtin_nanf("")));
  const V finite = detail::select(x > 0.0F, result, negative);
  return detail::select(x == infinity, x, finite);
}

/// Relative error below 4e-7; never above 1 in magnitude.
template <Floats V>
inline V tanh(V argument) noexcept {
  // x P(x^2) / Q(x^2), fitted up to 9, where it is 1 to within half a unit. From there it grows, and is cut
  // off at 1; at 10 it is 15 units above, so that however it rounds the result is 1.
  const V x = detail::clamp(argument, -10.0F, 10.0F);
  const V t = x * x;
  V p = 1.3354684098e-8F * t + 2.0609122878e-5F;
  p = p * t + 3.4955916877e-3F;
  p = p * t + 1.3381029025e-1F;
  p = p * t + 1.0F;
  V q = 7.7765746507e-7F * t + 3.2856398599e-4F;
  q = q * t + 2.5876996925e-2F;
  q = q * t + 4.6714344642e-1F;
  q = q * t + 1.0F;
  return detail::clamp(x * p / q, -1.0F, 1.0F);
}

/// Relative error below 4e-7; never above 1 in magnitude, and 1 exactly from 4.2 on: gelu multiplies
/// 1 + erf(x) by x.
template <Floats V>
inline V erf(V argument) noexcept {
  // As tanh, fitted up to 3.92; at 4.2 it is 14 units above 1.
  const V x = detail::clamp(argument, -4.2F, 4.2F);
  const V t = x * x;
  V p = 2.0500656928e-6F * t + 2.848804543e-4F;
  p = p * t + 3.7655957834e-3F;
  p = p * t + 5.2748653931e-2F;
  p = p * t + 1.9040620742e-1F;
  p = p * t + 1.1283791462F;
  V q = 3.8091373044e-5F * t + 1.1625269924e-3F;
  q = q * t + 1.4969176528e-2F;
  q = q * t + 1.1410897217e-1F;
  q = q * t + 5.0207584946e-1F;
  q = q * t + 1.0F;
  return detail::clamp(x * p / q, -1.0F, 1.0F);
}

/// 1 / (1 + exp(-x)). Relative error below 3e-7, in the left tail as well.
template <Floats V>
inline V sigmoid(V x) noexcept {
  const V e = detail::exp_bounded(detail::from_bits<V>(detail::to_bits(x) | 0x80000000U));  // -|x|
  return detail::select(x < 0.0F, e, detail::all<V>(1.0F)) / (1.0F + e);
}

}  // namespace PLUME_VECTOR_ABI

inline double exp(double x) noexcept { return std::exp(x); }
inline double exp_below(double x) noexcept { return std::exp(x); }
inline double log(double x) noexcept { return std::log(x); }
inline double tanh(double x) noexcept { return std::tanh(x); }
inline double erf(double x) noexcept { return std::erf(x); }
inline double sigmoid(double x) noexcept {
  const double e = std::exp(x < 0.0 ? x : -x);
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

}  // namespace plume::math
