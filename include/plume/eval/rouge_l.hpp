#pragma once
// ROUGE-L as the COCO caption evaluation computes it: from the longest common subsequence with each reference,
//   P = max lcs / |candidate|,  R = max lcs / |reference|,  score = (1 + b^2) P R / (R + b^2 P),  b = 1.2.
// Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace plume::eval {

inline std::size_t longest_common_subsequence(const std::vector<std::string>& a,
                                              const std::vector<std::string>& b) {
  std::vector<std::size_t> best(b.size() + 1, 0);
  for (const std::string& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = best[j + 1];
      best[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, best[j]);
      diagonal = above;
    }
  }
  return best.back();
}

/// An empty caption is one empty token: an empty candidate with an empty reference scores 1.
inline double rouge_l(std::vector<std::string> candidate,
                      std::vector<std::vector<std::string>> references) {
  if (candidate.empty()) candidate.emplace_back();
  double precision = 0, recall = 0;
  for (std::vector<std::string>& reference : references) {
    if (reference.empty()) reference.emplace_back();
    const auto common = static_cast<double>(longest_common_subsequence(reference, candidate));
    precision = std::max(precision, common / static_cast<double>(candidate.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0 || recall == 0) return 0;
  constexpr double beta2 = 1.2 * 1.2;
  return (1 + beta2) * precision * recall / (recall + beta2 * precision);
}

}  // namespace plume::eval
