#pragma once
// Machine vectors of float or double in the compiler's own vector extension: arithmetic is element
// by element, and a 64-byte vector on a machine without them becomes several registers.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "plume/core/dtype.hpp"

// The width of a vector. Whatever depends on it lives in an inline namespace named after it, so that
// translation units compiled for different machines do not share functions that mean different
// layouts.
#if defined(__AVX512F__)
#define PLUME_VECTOR_BYTES 64
#define PLUME_VECTOR_ABI vector_64
#elif defined(__AVX__)
#define PLUME_VECTOR_BYTES 32
#define PLUME_VECTOR_ABI vector_32
#else
#define PLUME_VECTOR_BYTES 16
#define PLUME_VECTOR_ABI vector_16
#endif

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

inline constexpr std::size_t vector_bytes = PLUME_VECTOR_BYTES;

namespace detail {
template <class R>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(vector_bytes)));
  typedef float four __attribute__((vector_size(16)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(vector_bytes)));
  typedef double four __attribute__((vector_size(32)));
};
typedef std::uint16_t Bits16 __attribute__((vector_size(vector_bytes / 2)));
typedef std::uint32_t Bits32 __attribute__((vector_size(vector_bytes)));
typedef std::int32_t Signed32 __attribute__((vector_size(vector_bytes)));
}  // namespace detail

/// One register of R, with element-wise operators.
template <class R>
using Vector = typename detail::VectorOf<R>::type;

template <class R>
inline constexpr index_t vector_size = static_cast<index_t>(vector_bytes / sizeof(R));

template <class R>
inline Vector<R> load(const R* p) noexcept {  // any alignment
  Vector<R> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/// A vector of R from elements of another type.
template <class R, class T>
inline Vector<R> load_as(const T* p) noexcept {
  if constexpr (std::is_same_v<R, T>) {
    return load(p);
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    static_assert(std::is_same_v<R, float>);
    detail::Bits16 bits;
    std::memcpy(&bits, p, sizeof bits);
    const detail::Bits32 wide = __builtin_convertvector(bits, detail::Bits32) << 16;
    Vector<R> v;
    std::memcpy(&v, &wide, sizeof v);
    return v;
#if defined(__F16C__)
  } else if constexpr (std::is_same_v<T, half>) {
    static_assert(std::is_same_v<R, float>);
    typedef short Bits __attribute__((vector_size(16)));
    float lanes[static_cast<std::size_t>(vector_size<float>)];
    for (index_t i = 0; i < vector_size<float>; i += 8) {
      Bits bits;
      std::memcpy(&bits, p + i, sizeof bits);
      const auto eight = __builtin_ia32_vcvtph2ps256(bits);
      std::memcpy(lanes + i, &eight, sizeof eight);
    }
    return load(lanes);
#endif
  } else {
    R lanes[static_cast<std::size_t>(vector_size<R>)];
    for (index_t i = 0; i < vector_size<R>; ++i) lanes[i] = static_cast<R>(p[i]);
    return load(lanes);
  }
}

typedef std::uint64_t Words64 __attribute__((vector_size(vector_bytes)));

/// a b, element by element, of what the lower halves of the elements hold; the upper halves may hold anything.
inline Words64 multiply_lower(Words64 a, Words64 b) noexcept {
  // One instruction, where g++ makes three of a 64-bit product.
#if defined(__GNUC__) && !defined(__clang__) && defined(__SSE2__) && \
    (defined(__AVX2__) || !defined(__AVX__))
  typedef int Words32 __attribute__((vector_size(vector_bytes)));
  const auto u = reinterpret_cast<Words32>(a), v = reinterpret_cast<Words32>(b);
#if defined(__AVX512F__)
  typedef long long Products __attribute__((vector_size(vector_bytes)));
  return reinterpret_cast<Words64>(__builtin_ia32_pmuludq512_mask(u, v, Products{}, 0xff));
#elif defined(__AVX2__)
  return reinterpret_cast<Words64>(__builtin_ia32_pmuludq256(u, v));
#else
  return reinterpret_cast<Words64>(__builtin_ia32_pmuludq128(u, v));
#endif
#else
  return (a & 0xffffffffU) * (b & 0xffffffffU);
#endif
}

template <class R>
inline void store(R* p, Vector<R> v) noexcept {
  std::memcpy(p, &v, sizeof v);
}

template <class R>
inline Vector<R> broadcast(R value) noexcept {
  return value - Vector<R>{};  // subtracting +0 changes no value, not even -0
}

/// Keeps v in a register. Without it g++ tuned for Zen reads the operand from memory again in every
/// multiply-add that uses it, and the load ports, not the multipliers, set the speed.
template <class V>
inline void pin(V& v) noexcept {
#if defined(__x86_64__)
  __asm__("" : "+v"(v));
#else
  (void)v;
#endif
}

namespace detail {

/// Four elements in a row. Passed by reference: 32 bytes have no register without AVX.
template <class R>
using Four = typename VectorOf<R>::four;

template <class R>
inline void fold_to_four(const Vector<R>& v, Four<R>& out) noexcept {
  constexpr std::size_t parts = sizeof(Vector<R>) / sizeof(Four<R>);
  if constexpr (parts == 0) {  // two doubles
    out = Four<R>{v[0], v[1], R(0), R(0)};
  } else {
    Four<R> part[parts];
    std::memcpy(part, &v, sizeof v);
    out = part[0];
    if constexpr (parts == 2) out += part[1];
    if constexpr (parts == 4) out = (part[0] + part[1]) + (part[2] + part[3]);
  }
}

/// Writes the sums of the elements of a, b, c and d to out[0..4).
template <class R>
inline void sum_each(const Vector<R>& a, const Vector<R>& b, const Vector<R>& c, const Vector<R>& d,
                     R* out) noexcept {
  Four<R> qa, qb, qc, qd;
  fold_to_four<R>(a, qa);
  fold_to_four<R>(b, qb);
  fold_to_four<R>(c, qc);
  fold_to_four<R>(d, qd);
  const Four<R> ab =
      __builtin_shufflevector(qa, qb, 0, 4, 1, 5) + __builtin_shufflevector(qa, qb, 2, 6, 3, 7);
  const Four<R> cd =
      __builtin_shufflevector(qc, qd, 0, 4, 1, 5) + __builtin_shufflevector(qc, qd, 2, 6, 3, 7);
  const Four<R> sums =
      __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  std::memcpy(out, &sums, sizeof sums);
}

}  // namespace detail

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
