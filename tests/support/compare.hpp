#pragma once
// compare: two tensors, element by element, with the rule of tolerances.hpp.

#include <cmath>
#include <cstdio>
#include <string>

#include "plume/core/tensor.hpp"
#include "tolerances.hpp"

namespace plume::test {

struct Comparison {
  bool ok = true;
  std::string message;  ///< the first failure, or the shapes if those differ
  explicit operator bool() const { return ok; }
};

template <Scalar A, Scalar B>
Comparison compare(const Tensor<A>& actual, const Tensor<B>& expected, Tolerance tolerance) {
  if (!(actual.shape() == expected.shape())) {
    return {false, cat("shape ", actual.shape(), ", expected ", expected.shape())};
  }
  const Tensor<double> a = actual.to(cpu).template cast<double>().contiguous();
  const Tensor<double> e = expected.to(cpu).template cast<double>().contiguous();
  double largest = 0;
  for (index_t i = 0; i < e.numel(); ++i) {
    if (std::isfinite(e.data()[i])) largest = std::max(largest, std::abs(e.data()[i]));
  }
  Comparison result;
  index_t failures = 0;
  for (index_t i = 0; i < a.numel(); ++i) {
    const double x = a.data()[i];
    const double y = e.data()[i];
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double allowed = tolerance.relative * std::abs(y) + tolerance.absolute * largest;
    if (std::isfinite(y) && std::abs(x - y) <= allowed) continue;
    if (failures++ == 0) {
      char text[160];
      std::snprintf(text, sizeof text,
                    "element %lld is %.17g, expected %.17g, allowed difference %.3g",
                    static_cast<long long>(i), x, y, allowed);
      result = {false, text};
    }
  }
  if (failures > 1) result.message += cat(" (", failures, " of ", a.numel(), " elements differ)");
  return result;
}

/// Bit for bit.
template <Scalar T>
bool same_bits(const Tensor<T>& a, const Tensor<T>& b) {
  if (!(a.shape() == b.shape())) return false;
  const Tensor<T> x = a.to(cpu).contiguous();
  const Tensor<T> y = b.to(cpu).contiguous();
  const auto* p = reinterpret_cast<const unsigned char*>(x.data());
  const auto* q = reinterpret_cast<const unsigned char*>(y.data());
  return std::equal(p, p + static_cast<std::size_t>(x.numel()) * sizeof(T), q);
}

}  // namespace plume::test
