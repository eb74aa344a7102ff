#pragma once
// Schedules: the factor on the learning rate at a given step. Linear warm-up, then constant, linear or cosine.
//
//   step < warmup      step / warmup                       (the first step, number 0, has factor 0)
//   constant           1
//   linear             (total - step) / (total - warmup)   down to 0 at `total`
//   cosine             (1 + cos(pi (step - warmup) / (total - warmup))) / 2
//
// These are the schedules of Hugging Face transformers, which the OpenFlamingo reference trains with.

#include <cmath>
#include <numbers>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume {

class Schedule {
 public:
  enum class Shape { constant, linear, cosine };

  /// Warm-up, then 1 for ever.
  static Schedule constant(index_t warmup) { return {Shape::constant, warmup, warmup}; }
  /// Warm-up, then a straight line to 0 at step `total`.
  static Schedule linear(index_t warmup, index_t total) { return {Shape::linear, warmup, total}; }
  /// Warm-up, then half a cosine wave to 0 at step `total`.
  static Schedule cosine(index_t warmup, index_t total) { return {Shape::cosine, warmup, total}; }

  /// The factor in [0, 1] for a step; `step` counts the optimizer steps that came before it.
  [[nodiscard]] double operator()(index_t step) const noexcept {
    if (step < warmup_) return static_cast<double>(step) / static_cast<double>(warmup_);
    if (shape_ == Shape::constant) return 1;
    if (step >= total_) return 0;
    const double progress =
        static_cast<double>(step - warmup_) / static_cast<double>(total_ - warmup_);
    if (shape_ == Shape::linear) return 1 - progress;
    return 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  [[nodiscard]] Shape shape() const noexcept { return shape_; }
  [[nodiscard]] index_t warmup() const noexcept { return warmup_; }
  [[nodiscard]] index_t total() const noexcept { return total_; }

 private:
  Schedule(Shape shape, index_t warmup, index_t total)
      : shape_(shape), warmup_(warmup), total_(total) {
    if (warmup < 0 || total < warmup) {
      fail<ValueError>("schedule", "0 <= warmup <= total",
                       cat("warmup ", warmup, ", total ", total));
    }
  }

  Shape shape_;
  index_t warmup_;
  index_t total_;
};

}  // namespace plume
