#pragma once
// The CUDA types that kernels and their launchers name, for a plain C++ compiler: dim3, vector
// types, the two 16-bit floats, streams and errors. They sit in the global namespace because CUDA's
// do.

#if defined(__CUDACC__) || defined(__DRIVER_TYPES_H__) || defined(__VECTOR_TYPES_H__)
#error "kernels/host/ replaces the CUDA headers: a translation unit includes the one or the other"
#endif

#include <bit>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3() = default;
  constexpr dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

/// Upper half of a float: 8 bits of exponent, 7 of fraction.
struct __nv_bfloat16 {
  std::uint16_t bits;
};
/// IEEE binary16.
struct __half {
  std::uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 a) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(a.bits) << 16);
}

/// Round to nearest, ties to even; every NaN becomes 0x7fff, as on the device.
inline __nv_bfloat16 __float2bfloat16(float a) {
  const auto u = std::bit_cast<std::uint32_t>(a);
  if ((u & 0x7fffffffU) > 0x7f800000U) return {0x7fff};
  return {static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16)};
}

inline float __half2float(__half a) {
  const std::uint32_t sign = static_cast<std::uint32_t>(a.bits & 0x8000U) << 16;
  const std::uint32_t exponent = (a.bits >> 10) & 31U;
  std::uint32_t fraction = a.bits & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

inline __half __float2half(float a) {
  const auto u = std::bit_cast<std::uint32_t>(a);
  const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000U);
  const std::uint32_t m = u & 0x7fffffffU;
  const auto with_sign = [sign](std::uint32_t h) {
    return __half{static_cast<std::uint16_t>(sign | h)};
  };
  if (m > 0x7f800000U) return {0x7fff};
  if (m >= 0x477ff000U) return with_sign(0x7c00U);  // 65520 and above round to infinity
  if (m < 0x33000001U) return with_sign(0);         // up to 2^-25 rounds to zero
  if (m < 0x38800000U) {                            // subnormal: shift the fraction, ties to even
    const std::uint32_t shift = 126 - (m >> 23);
    const std::uint32_t fraction = (m & 0x7fffffU) | 0x800000U;
    const std::uint32_t rest = fraction & ((1U << shift) - 1);
    const std::uint32_t halfway = 1U << (shift - 1);
    std::uint32_t h = fraction >> shift;
    if (rest > halfway || (rest == halfway && (h & 1U) != 0)) ++h;
    return with_sign(h);
  }
  return with_sign((m - 0x38000000U + 0xfffU + ((m >> 13) & 1U)) >> 13);
}

using cudaStream_t = struct CUstream_st*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
