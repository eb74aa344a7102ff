#pragma once
// Shared by the kernel tests: inputs, tolerances, and running something in several thread orders.

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/common.cuh"

namespace plume::kernels::test {

using simt::DeviceArray;

/// Sizes around the warp, the vector, the block and the chunk of a block.
inline const std::vector<index_t> awkward_sizes = {0,   1,   31,   32,   33,  255,
                                                   256, 257, 1023, 1025, 4099};

/// Half of the spacing of T just above 1: the relative error of one rounding.
template <class T>
constexpr double unit_roundoff() {
  if (std::is_same_v<T, bfloat16>) return 0x1p-8;
  if (std::is_same_v<T, half>) return 0x1p-11;
  return std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;
}

/// What a kernel may be off by: one rounding to T, and `ulps` roundings of the arithmetic type at
/// `scale`, the size of the largest intermediate value.
template <class T>
double allowed(double reference, double scale, double ulps = 8) {
  const double subnormal = std::is_same_v<T, half> ? 0x1p-25 : 0;
  return unit_roundoff<T>() * std::fabs(reference) + subnormal +
         ulps * unit_roundoff<accumulate_t<T>>() * (std::fabs(reference) + scale);
}

/// n values around 0, already rounded to T, so that only the kernel's own error is measured.
template <class T>
std::vector<T> random_values(index_t n, std::uint64_t seed, double low = -4, double high = 4) {
  std::vector<T> values(static_cast<std::size_t>(n));
  std::uint64_t state = seed * 1000003 + 17;
  for (T& v : values) {
    const double u = static_cast<double>(simt::detail::next_random(state) >> 11) * 0x1p-53;
    v = narrow<T>(static_cast<accumulate_t<T>>(low + (high - low) * u));
  }
  return values;
}

template <class T>
double wide(T x) {
  return static_cast<double>(widen(x));
}

/// Largest |got - want| / allowed; infinite if one is NaN. A test passes if it is <= 1.
template <class T, class Want>
double worst(const std::vector<T>& got, const Want& want, double scale, double ulps = 8) {
  double result = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double reference = want(i);
    const double error = std::fabs(wide(got[i]) - reference);
    const double ratio = error == 0 ? 0 : error / allowed<T>(reference, scale, ulps);
    if (!(ratio <= result))
      result = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
  }
  return result;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Calls f() in three orders of threads and blocks (in order, mixed, warp by warp); f returns a
/// std::vector. All must agree bit for bit.
template <class F>
auto in_every_order(F f) {
  simt::options().seed = 0;
  const auto first = f();
  for (const std::uint64_t seed : {3U, 8U}) {
    simt::options().seed = seed;
    CHECK(same_bits(f(), first));
  }
  simt::options().seed = 0;
  return first;
}

/// The message of the simt::Error that f throws; "" if it throws none.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const simt::Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace plume::kernels::test
