#pragma once
// Smoothed curves, as figure 5 of the paper shows its losses.
//
// Source: OpenFlamingo (arXiv 2308.01390), figure 5: Gaussian smoothing with a window of 100.

#include <algorithm>
#include <cmath>
#include <vector>

#include "plume/core/shape.hpp"

namespace plume::report {

/// The window of the paper for a curve of `points` points, or a tenth of a short curve.
inline index_t smoothing_window(std::size_t points) {
  return std::clamp<index_t>(static_cast<index_t>(points / 10), 1, 100);
}

/// Each value becomes the mean of those at most half a window away, weighted by a Gaussian whose standard deviation is
/// a sixth of the window, so that it ends where the window does. At the ends, and beside values that are not finite,
/// the mean is of those there are; what is not finite stays a gap.
inline std::vector<double> smoothed(const std::vector<double>& values, index_t window) {
  const auto half = static_cast<std::size_t>(std::max<index_t>(window, 1) / 2);
  std::vector<double> weights;
  for (std::size_t d = 0; d <= half; ++d) {
    const double z = 6 * static_cast<double>(d) / static_cast<double>(std::max<index_t>(window, 1));
    weights.push_back(std::exp(-z * z / 2));
  }
  std::vector<double> out(values.size(), std::nan(""));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    double sum = 0, weight = 0;
    const std::size_t first = i - std::min(i, half);
    const std::size_t last = std::min(values.size() - 1, i + half);
    for (std::size_t j = first; j <= last; ++j) {
      if (!std::isfinite(values[j])) continue;
      const double w = weights[j < i ? i - j : j - i];
      sum += w * values[j];
      weight += w;
    }
    out[i] = sum / weight;
  }
  return out;
}

}  // namespace plume::report
