#pragma once
// Tensors against recorded ones.

#include "plume/io/stored_tensor.hpp"
#include "verify/report.hpp"

namespace flamingo {

/// How far `actual` is from `expected`: the largest difference, divided by the largest expected element plus
/// `floor`. NaN, or another shape, is infinitely far.
template <plume::Floating T>
Comparison difference(std::string name, const plume::Tensor<T>& actual,
                      const plume::Tensor<double>& expected, double tolerance, double floor = 0) {
  Comparison c{std::move(name), HUGE_VAL, tolerance, HUGE_VAL, {}};
  if (!actual.defined()) {
    c.detail = "no such value";
    return c;
  }
  if (!(actual.shape() == expected.shape())) {
    c.detail = plume::cat("shape ", actual.shape(), ", expected ", expected.shape());
    return c;
  }
  const plume::Tensor<double> a = actual.template cast<double>().contiguous();
  const plume::Tensor<double> e = expected.contiguous();
  double largest = 0, worst = 0;
  plume::index_t at = 0;
  for (plume::index_t i = 0; i < e.numel(); ++i) {
    largest = std::max(largest, std::abs(e.data()[i]));
    const double d = std::abs(a.data()[i] - e.data()[i]);
    if (!(d <= worst)) {
      at = i;
      worst = d;
      if (std::isnan(d)) break;
    }
  }
  c.difference = std::isnan(worst) ? HUGE_VAL : worst;
  c.error = worst == 0 ? 0 : c.difference / (largest + floor);
  if (worst != 0) {
    c.detail = plume::cat("element ", at, ": got ", a.data()[at], ", expected ", e.data()[at]);
  }
  return c;
}

/// What golden files store of a large tensor: NAME@everyK, its flattened elements 0, K, 2K, ...; NAME@norm, the
/// Euclidean norm of all of it; of a small one NAME, all of it.
struct Recorded {
  std::string name;
  plume::index_t every = 1;
  bool norm = false;

  explicit Recorded(const std::string& stored) : name(stored) {
    const std::size_t at = stored.rfind('@');
    if (at == std::string::npos) return;
    name = stored.substr(0, at);
    const std::string how = stored.substr(at + 1);
    norm = how == "norm";
    if (!norm) every = std::stoll(how.substr(5));
  }
  /// The recorded part of `whole`, in the shape of `expected`.
  template <plume::Floating T>
  plume::Tensor<double> of(const plume::Tensor<T>& whole, const plume::Shape& expected) const {
    const plume::Tensor<double> flat = whole.template cast<double>().contiguous().reshape({-1});
    if (norm) {
      double sum = 0;
      for (plume::index_t i = 0; i < flat.numel(); ++i) sum += flat(i) * flat(i);
      return plume::full<double>(expected, std::sqrt(sum));
    }
    if (every > 1) return flat.slice(0, 0, flat.numel(), every);
    return flat.numel() == expected.numel() ? flat.reshape(expected) : flat;
  }
};

/// The largest element of all tensors whose names begin so.
inline double largest_element(const plume::io::StateDict& state, const std::string& prefix) {
  double largest = 0;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with(prefix) || name.ends_with("@norm")) continue;
    const plume::Tensor<double> x = tensor.template to<double>();
    for (plume::index_t i = 0; i < x.numel(); ++i)
      largest = std::max(largest, std::abs(x.data()[i]));
  }
  return largest;
}

}  // namespace flamingo
