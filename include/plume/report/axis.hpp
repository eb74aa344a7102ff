#pragma once
// An axis of a plot: from values to pixels, and where its ticks stand (multiples of 1, 2 or 5 times a power of ten).

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "plume/report/format.hpp"

namespace plume::report {

struct Tick {
  double at = 0;
  std::string label{};
};

/// The least of 1, 2 and 5 times a power of ten that is not below `least`, which must be normal and positive.
inline double tick_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double step : {power, 2 * power, 5 * power})
    if (step >= least * (1 - 1e-9)) return step;
  return 10 * power;
}

/// The multiples of `step` from `low` to `high`, labelled alike: "0.5", "1.0"; "20k"; "2e-5".
inline std::vector<Tick> even_ticks(double low, double high, double step) {
  const double most = std::max(std::abs(low), std::abs(high));
  const int of_most = static_cast<int>(std::floor(std::log10(most)));
  const int of_step = static_cast<int>(std::floor(std::log10(step * (1 + 1e-9))));
  int shift = 0;  // the label is of value / 10^shift
  std::string suffix;
  if (of_most >= 4 && of_most < 15) {
    shift = of_most / 3 * 3;
    suffix = std::string(1, "kMGT"[shift / 3 - 1]);
  } else if (of_most >= 15 || of_most < -3) {
    shift = of_most;
    suffix = cat("e", shift);
  }
  const int digits = std::max(0, shift - of_step);
  const double scale = std::pow(10.0, -shift);
  std::vector<Tick> out;
  for (double k = std::ceil(low / step - 1e-6); k <= high / step + 1e-6; ++k) {
    const double value = k * step;
    out.push_back({value, k == 0 ? "0" : fixed(value * scale, digits) + suffix});
  }
  return out;
}

/// For a logarithmic axis: powers of ten, with twice and five times them where there are few. Where the range
/// holds less than two of those, the ticks of an even axis. Ends that a margin has moved to 0 or infinity count as the
/// last numbers before.
inline std::vector<Tick> log_ticks(double low, double high, double even_step, std::size_t most) {
  low = std::max(low, std::numeric_limits<double>::min());
  high = std::min(high, std::numeric_limits<double>::max());
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  const auto of = [&](std::initializer_list<double> factors, int stride) {
    std::vector<Tick> out;
    for (int e = first; e <= last; e += stride) {
      for (const double factor : factors) {
        const double value = factor * std::pow(10.0, e);
        if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
        out.push_back({value, e < -3 || e > 3 ? cat(fixed(factor, 0), "e", e) : number(value)});
      }
    }
    return out;
  };
  std::vector<Tick> ticks = of({1, 2, 5}, 1);
  if (ticks.size() > most) ticks = of({1}, 1);
  for (int stride = 2; ticks.size() > most; ++stride) ticks = of({1}, stride);
  return ticks.size() < 2 ? even_ticks(low, high, even_step) : ticks;
}

class Axis {
 public:
  /// What it must show; values that are not finite, and on a logarithmic axis not positive, are not shown.
  explicit Axis(bool logarithmic = false) : log_(logarithmic) {}

  [[nodiscard]] bool shows(double value) const {
    return std::isfinite(value) && std::abs(value) < 1e300 && (!log_ || value > 1e-300);
  }
  void cover(double value) {
    if (!shows(value)) return;
    low_ = empty() ? value : std::min(low_, value);
    high_ = empty() ? value : std::max(high_, value);
    empty_ = false;
  }
  [[nodiscard]] bool empty() const { return empty_; }

  /// Fixes the range: `margin` of it more at either end, or the bounds given; and the pixels of its ends.
  void place(double pixel_low, double pixel_high, double margin, std::optional<double> low = {},
             std::optional<double> high = {}) {
    if (low && shows(*low)) low_ = *low;
    if (high && shows(*high)) high_ = *high;
    low_ = scaled(low_), high_ = scaled(high_);
    if (low_ > high_) std::swap(low_, high_);
    // So narrow that labels could not tell the ends apart, or that steps vanish.
    const double middle = low_ + (high_ - low_) / 2;
    const double least = std::max(1e-9 * std::abs(middle), 1e-290);
    if (high_ - low_ < least) {
      const double half = log_ ? 0.5 : middle == 0 ? 1 : std::abs(middle) / 10;
      low_ = middle - half, high_ = middle + half;
    } else {
      const double more = margin * (high_ - low_);
      if (!low) low_ -= more;
      if (!high) high_ += more;
    }
    pixel_low_ = pixel_low, pixel_high_ = pixel_high;
  }
  [[nodiscard]] double pixel(double value) const {
    return pixel_low_ + (scaled(value) - low_) / (high_ - low_) * (pixel_high_ - pixel_low_);
  }
  /// At most about one each `pixels`; at whole numbers alone where `whole`.
  [[nodiscard]] std::vector<Tick> ticks(double pixels, bool whole = false) const {
    const double most = std::max(2.0, std::abs(pixel_high_ - pixel_low_) / pixels);
    if (!log_) {
      const double step = tick_step((high_ - low_) / most);
      return even_ticks(low_, high_, whole ? std::max(step, 1.0) : step);
    }
    const double low = std::pow(10.0, low_), high = std::pow(10.0, high_);
    // Twice as many, so that few powers of ten do not leave the axis bare.
    return log_ticks(low, high, tick_step((high - low) / most), static_cast<std::size_t>(2 * most));
  }

 private:
  [[nodiscard]] double scaled(double value) const { return log_ ? std::log10(value) : value; }

  bool log_;
  bool empty_ = true;
  double low_ = 0, high_ = 0;  ///< after place(), of a logarithmic axis: the logarithms
  double pixel_low_ = 0, pixel_high_ = 1;
};

}  // namespace plume::report
