#pragma once
// The scalar types of Plume: what a tensor may hold, what it is called, and in what it accumulates.

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace plume {

using index_t = std::int64_t;  ///< Every size, index, stride and count.

/// 16-bit float with the exponent of float (8 bits) and 7 bits of fraction. Storage only: it converts
/// to float for arithmetic, and back by rounding to nearest, ties to even. NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  explicit bfloat16(float value) noexcept {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = u + 0x7fffU + ((u >> 16) & 1U);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>((nan ? (u | 0x400000U) : rounded) >> 16);
  }
  operator float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

/// IEEE 754 binary16. Storage only, like bfloat16; conversions handle subnormals, infinities and NaN.
struct half {
  std::uint16_t bits = 0;

  half() = default;
  explicit half(float value) noexcept {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000U);
    const std::uint32_t magnitude = u & 0x7fffffffU;
    std::uint32_t h;
    if (magnitude > 0x7f800000U) {
      h = 0x7e00U;  // NaN
    } else if (magnitude >= 0x477ff000U) {
      h = 0x7c00U;  // rounds to infinity
    } else if (magnitude < 0x38800000U) {
      // Subnormal: adding 0.5 aligns the fraction so that the FPU does the rounding.
      h = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
    } else {
      h = (magnitude + 0xfffU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
    }
    bits = static_cast<std::uint16_t>(sign | h);
  }
  operator float() const noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    const std::uint32_t rest = static_cast<std::uint32_t>(bits & 0x7fffU) << 13;
    // All three cases are computed and one is chosen, so that loops over this vectorise.
    const std::uint32_t exponent = bits & 0x7c00U;
    const float subnormal =
        std::bit_cast<float>(rest | 0x38800000U) - std::bit_cast<float>(0x38800000U);
    std::uint32_t magnitude = rest + 0x38000000U;
    magnitude = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : magnitude;
    magnitude = exponent == 0x7c00U ? rest | 0x7f800000U : magnitude;
    return std::bit_cast<float>(magnitude | sign);
  }
};

enum class DType : std::uint8_t { f32, f64, bf16, f16, i32, i64, u8, b8 };

template <class T>
struct dtype_traits;  // no member: T is not a scalar of Plume
template <>
struct dtype_traits<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_traits<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_traits<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_traits<half> {
  static constexpr DType value = DType::f16;
};
template <>
struct dtype_traits<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_traits<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct dtype_traits<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct dtype_traits<bool> {
  static constexpr DType value = DType::b8;
};

/// The types a Tensor may hold.
template <class T>
concept Scalar = requires {
  dtype_traits<T>::value;
};

/// The types a gradient may have.
template <class T>
concept Floating = std::is_same_v<T, float> || std::is_same_v<T, double> ||
    std::is_same_v<T, bfloat16> || std::is_same_v<T, half>;

/// The types that name a token, a class or a position.
template <class T>
concept Index = std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t>;

template <Scalar T>
inline constexpr DType dtype_of = dtype_traits<T>::value;

/// The name users read in messages: "float", "bfloat16", "int64", ...
constexpr std::string_view name(DType dtype) noexcept {
  constexpr std::string_view names[] = {"float", "double", "bfloat16", "half",
                                        "int32", "int64",  "uint8",    "bool"};
  return names[static_cast<std::size_t>(dtype)];
}
template <Scalar T>
constexpr std::string_view dtype_name() noexcept {
  return name(dtype_of<T>);
}

/// What sums of T are kept in: float for the 16-bit types, otherwise T itself.
template <class T>
struct accumulate {
  using type = T;
};
template <>
struct accumulate<bfloat16> {
  using type = float;
};
template <>
struct accumulate<half> {
  using type = float;
};
template <class T>
using accumulate_t = typename accumulate<T>::type;

}  // namespace plume
