#pragma once
// Area under the ROC curve: how probable it is that a positive example scores above a negative one.
//
//   AUC = P(s+ > s-) + P(s+ = s-) / 2 = (R - p (p + 1) / 2) / (p n)
//
// with p positives, n negatives and R the sum of the positives' ranks from 1, equal scores sharing their mean rank.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::eval {

/// `labels` are 0 or 1, one for each score. Throws ShapeError, ValueError; also where one class has no example.
inline double roc_auc(std::span<const int> labels, std::span<const double> scores) {
  constexpr const char* op = "roc_auc";
  if (labels.size() != scores.size())
    fail<ShapeError>(op, cat(scores.size(), " labels, one a score"), labels.size());
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  double positives = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) fail<ValueError>(op, "numbers as scores", cat("NaN at ", i));
    if (labels[i] != 0 && labels[i] != 1) fail<ValueError>(op, "labels of 0 or 1", labels[i]);
    positives += labels[i];
  }
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0 || negatives == 0)
    fail<ValueError>(op, "examples of both classes",
                     cat(positives, " positive of ", labels.size()));
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  double ranks = 0;  // of the positives
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    double tied = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[first]]; ++end) {
      tied += labels[order[end]];
    }
    ranks += tied * (static_cast<double>(first + 1) + static_cast<double>(end)) / 2;
    first = end;
  }
  return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

}  // namespace plume::eval
