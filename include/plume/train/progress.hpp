#pragma once
// The one line that says how training goes (report/status_line.hpp).
//
//   step 120/1000  pairs 3.213  documents 2.871  1234 tokens/s  56 images/s  data 3%  4 min 10 s left

#include <cmath>
#include <optional>
#include <ostream>
#include <string>

#include "plume/core/shape.hpp"
#include "plume/report/format.hpp"
#include "plume/report/status_line.hpp"

namespace plume::train {

using report::duration, report::fixed;

class Progress {
 public:
  /// What there is to say about one step.
  struct Step {
    index_t step = 0, steps = 0;
    std::optional<double> pairs{}, documents{};  ///< losses
    double tokens = 0, images = 0;               ///< of the step
    double seconds = 0, data_seconds = 0;  ///< of the step, and what of it was waiting for data
  };

  Progress(std::ostream& out, bool terminal, double seconds_between_lines = 10)
      : line_(out, terminal, seconds_between_lines) {}

  void show(const Step& s) {
    const auto mix = [](double& mean, double value) {
      if (!std::isfinite(value)) return;
      mean = std::isnan(mean) ? value : mean + 0.1 * (value - mean);
    };
    if (s.pairs) mix(pairs_, *s.pairs);
    if (s.documents) mix(documents_, *s.documents);
    mix(tokens_, s.tokens);
    mix(images_, s.images);
    mix(seconds_, s.seconds);
    mix(data_, s.data_seconds);
    if (!line_.due(s.step >= s.steps)) return;
    std::string line = cat("step ", s.step, "/", s.steps);
    if (s.pairs) line += "  pairs " + fixed(pairs_, 3);
    if (s.documents) line += "  documents " + fixed(documents_, 3);
    line += cat("  ", fixed(tokens_ / seconds_, 0), " tokens/s  ", fixed(images_ / seconds_, 1),
                " images/s  data ", fixed(100 * data_ / seconds_, 0), "%  ",
                duration(seconds_ * static_cast<double>(s.steps - s.step)), " left");
    line_.show(line);
  }
  /// A line of its own, which stays.
  void say(const std::string& text) { line_.say(text); }

 private:
  report::StatusLine line_;
  // Means over the last ten steps or so.
  double pairs_ = std::nan(""), documents_ = std::nan(""), tokens_ = std::nan("");
  double images_ = std::nan(""), seconds_ = std::nan(""), data_ = std::nan("");
};

}  // namespace plume::train
