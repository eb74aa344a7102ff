#pragma once
// From log-probabilities of class names to a class and how sure it is.

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::eval {

struct Choice {
  index_t class_id = 0;    ///< the likeliest; of equals the first
  double probability = 0;  ///< softmax over the classes
};

/// Throws ValueError where there is none, or one is NaN.
inline Choice likeliest(std::span<const double> log_probabilities) {
  if (log_probabilities.empty()) fail<ValueError>("likeliest", "at least one class", 0);
  for (const double x : log_probabilities) {
    if (std::isnan(x)) fail<ValueError>("likeliest", "log-probabilities", "NaN");
  }
  const auto best = std::max_element(log_probabilities.begin(), log_probabilities.end());
  double sum = 0;
  for (const double x : log_probabilities) sum += std::exp(x - *best);
  return {best - log_probabilities.begin(), 1 / sum};
}

/// The mean of each class over several orders of the demonstrations.
inline std::vector<double> mean_of(const std::vector<std::vector<double>>& orders) {
  if (orders.empty()) fail<ValueError>("mean_of", "at least one order", 0);
  std::vector<double> out(orders.front().size(), 0.0);
  for (const std::vector<double>& order : orders) {
    if (order.size() != out.size())
      fail<ShapeError>("mean_of", cat(out.size(), " classes in each order"), order.size());
    for (std::size_t c = 0; c < out.size(); ++c) out[c] += order[c];
  }
  for (double& x : out) x /= static_cast<double>(orders.size());
  return out;
}

/// How probable the second of two classes is ("yes"), for a ROC curve.
inline double positive_score(const Choice& choice) {
  return choice.class_id == 1 ? choice.probability : 1 - choice.probability;
}

/// The share of `predicted` that is right. Throws ShapeError, ValueError.
inline double top1_accuracy(std::span<const index_t> predicted, std::span<const index_t> truth) {
  if (predicted.size() != truth.size())
    fail<ShapeError>("top1_accuracy", cat(truth.size(), " predictions"), predicted.size());
  if (truth.empty()) fail<ValueError>("top1_accuracy", "at least one prediction", 0);
  double right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += predicted[i] == truth[i];
  return right / static_cast<double>(truth.size());
}

}  // namespace plume::eval
