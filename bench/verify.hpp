#pragma once
// Is what is about to be timed right? Results against the op's definition in double, gradients against
// central differences of that definition along random directions, peers against ours.

#include <array>
#include <cmath>
#include <span>
#include <string>

#include "plume/core/random.hpp"
#include "plume/core/tensor.hpp"
#include "tests/support/compare.hpp"

namespace plume::bench {

/// Sums of thousands of terms in float, a few exponentials.
inline constexpr test::Tolerance against_definition{1e-5, 1e-5};
/// A peer may use a cruder exp or another order of summation.
inline constexpr test::Tolerance against_peer{1e-4, 1e-4};
/// Of a directional derivative, relative to the root of the sum of squares of its terms.
inline constexpr double against_difference = 1e-4;

/// `count` items of axis 0 (or all, for 0), far apart.
template <Scalar T>
Tensor<T> sample(const Tensor<T>& x, index_t count) {
  if (count == 0 || x.rank() == 0 || x.size(0) <= count) return x;
  return x.slice(0, 0, x.size(0), (x.size(0) + count - 1) / count);
}

template <Scalar T>
std::string differs(const std::string& what, const Tensor<T>& actual,
                    const Tensor<double>& expected, test::Tolerance tolerance) {
  const test::Comparison result = test::compare(actual, expected, tolerance);
  return result ? "" : what + ": " + result.message;
}

inline double dot(const Tensor<double>& a, const Tensor<double>& b) {
  const Tensor<double> u = a.contiguous();
  const Tensor<double> v = b.contiguous();
  double sum = 0;
  for (index_t i = 0; i < u.numel(); ++i) sum += u.data()[i] * v.data()[i];
  return sum;
}

/// Does dx belong to sum(cotangent * f(.., x, ..))? f is a function of x[k] alone here, in double.
template <class F>
std::string differs_from_difference(const std::string& what, F f, const Tensor<double>& x,
                                    const Tensor<double>& dx, const Tensor<double>& cotangent) {
  if (!(dx.shape() == x.shape()))
    return what + ": " + cat("shape ", dx.shape(), " for ", x.shape());
  Generator generator(7);
  constexpr double step = 1e-5;
  for (int direction = 0; direction < 2; ++direction) {
    Tensor<double> v = uniform<double>(x.shape(), generator, -1, 1);
    Tensor<double> up = x.clone();
    Tensor<double> down = x.clone();
    up.add(v, step);
    down.add(v, -step);
    Tensor<double> change = f(up).contiguous().clone();
    change.add(f(down), -1);
    const double expected = dot(cotangent, change) / (2 * step);
    const double actual = dot(dx, v);
    double scale = 0;
    const Tensor<double> g = dx.contiguous();
    for (index_t i = 0; i < g.numel(); ++i) {
      scale += g.data()[i] * g.data()[i] * v.data()[i] * v.data()[i];
    }
    scale = std::sqrt(scale);
    if (!(std::abs(actual - expected) <= against_difference * scale + 1e-9)) {
      char text[128];
      std::snprintf(text, sizeof text,
                    ": derivative %.9g along a direction, expected %.9g (+- %.2g)", actual,
                    expected, against_difference * scale);
      return what + text;
    }
  }
  return "";
}

}  // namespace plume::bench
