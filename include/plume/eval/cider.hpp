#pragma once
// CIDEr-D as the COCO caption evaluation computes it. A caption is a vector per n = 1..4 over its n-grams g,
//   v(g) = count(g) * (log images - log max(1, images with a reference that holds g)),
// and the score of a candidate c with references r is
//   10 * mean over n of mean over r of  sum_g min(c_g, r_g) r_g / (|c| |r|) * e^(-(bigrams of c - of r)^2 / (2 * 6^2)).
// Vedantam et al., "CIDEr: consensus-based image description evaluation", 2015.

#include <cmath>

#include "plume/core/error.hpp"
#include "plume/eval/ngrams.hpp"

namespace plume::eval {

/// In how many images' references each n-gram occurs.
class DocumentFrequencies {
 public:
  explicit DocumentFrequencies(const std::vector<std::vector<NgramCounts>>& references_by_image)
      : log_images_(std::log(static_cast<double>(references_by_image.size()))) {
    for (const std::vector<NgramCounts>& references : references_by_image) {
      NgramCounts once;
      for (const NgramCounts& counts : references) {
        for (std::size_t n = 0; n < longest_ngram; ++n)
          for (const auto& [ngram, count] : counts[n]) once[n].emplace(ngram, 1);
      }
      for (std::size_t n = 0; n < longest_ngram; ++n)
        for (const auto& [ngram, one] : once[n]) ++images_[n][ngram];
    }
  }

  /// What one occurrence weighs.
  [[nodiscard]] double weight(std::size_t n, const std::string& ngram) const {
    const auto found = images_[n].find(ngram);
    return log_images_ - (found == images_[n].end() ? 0 : std::log(double(found->second)));
  }

 private:
  double log_images_;
  NgramCounts images_;
};

namespace detail {

struct CiderVector {
  std::array<std::map<std::string, double>, longest_ngram> weights;
  std::array<double, longest_ngram> norms{};
  double bigrams = 0;

  CiderVector(const NgramCounts& counts, const DocumentFrequencies& frequencies) {
    for (std::size_t n = 0; n < longest_ngram; ++n) {
      for (const auto& [ngram, count] : counts[n]) {
        const double weight = count * frequencies.weight(n, ngram);
        weights[n].emplace(ngram, weight);
        norms[n] += weight * weight;
        if (n == 1) bigrams += count;
      }
      norms[n] = std::sqrt(norms[n]);
    }
  }
};

}  // namespace detail

/// CIDEr-D of each image; the corpus' is their mean. One candidate and at least one reference per image.
inline std::vector<double> cider(const std::vector<NgramCounts>& candidates,
                                 const std::vector<std::vector<NgramCounts>>& references) {
  if (candidates.size() != references.size())
    fail<ShapeError>("cider", cat(candidates.size(), " lists of references"), references.size());
  const DocumentFrequencies frequencies(references);
  constexpr double sigma = 6;
  std::vector<double> scores;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (references[i].empty())
      fail<ValueError>("cider", "at least one reference", cat("none for ", i));
    const detail::CiderVector c(candidates[i], frequencies);
    double sum = 0;
    for (const NgramCounts& reference : references[i]) {
      const detail::CiderVector r(reference, frequencies);
      const double longer = c.bigrams - r.bigrams;
      const double near = std::exp(-(longer * longer) / (2 * sigma * sigma));
      for (std::size_t n = 0; n < longest_ngram; ++n) {
        double product = 0;
        for (const auto& [ngram, weight] : c.weights[n]) {
          const auto found = r.weights[n].find(ngram);
          if (found != r.weights[n].end())
            product += std::min(weight, found->second) * found->second;
        }
        if (c.norms[n] != 0 && r.norms[n] != 0) product /= c.norms[n] * r.norms[n];
        sum += product * near;
      }
    }
    scores.push_back(10 * sum / static_cast<double>(longest_ngram * references[i].size()));
  }
  return scores;
}

}  // namespace plume::eval
