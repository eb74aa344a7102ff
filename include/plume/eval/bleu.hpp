#pragma once
// BLEU-1 to BLEU-4 as the COCO caption evaluation computes them:
//   precision_n = (correct_n + 1e-15) / (guessed_n + 1e-9),   ratio = (length + 1e-15) / (reference length + 1e-9),
//   BLEU_n = (precision_1 ... precision_n)^(1/n) * min(1, e^(1 - 1/ratio)),
// where a reference's length is that of the reference closest in length, the shorter of two equally close.
// Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002.

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "plume/eval/ngrams.hpp"

namespace plume::eval {

using Bleu = std::array<double, longest_ngram>;

/// What BLEU needs of one caption; those of several captions add up to the corpus'.
struct BleuCounts {
  double length = 0, reference_length = 0;
  std::array<double, longest_ngram> correct{}, guessed{};

  BleuCounts& operator+=(const BleuCounts& other) {
    length += other.length;
    reference_length += other.reference_length;
    for (std::size_t n = 0; n < longest_ngram; ++n) {
      correct[n] += other.correct[n];
      guessed[n] += other.guessed[n];
    }
    return *this;
  }

  [[nodiscard]] Bleu score() const {
    constexpr double tiny = 1e-15, small = 1e-9;
    const double ratio = (length + tiny) / (reference_length + small);
    const double brevity = ratio < 1 ? std::exp(1 - 1 / ratio) : 1;
    Bleu out{};
    double product = 1;
    for (std::size_t n = 0; n < longest_ngram; ++n) {
      product *= (correct[n] + tiny) / (guessed[n] + small);
      out[n] = std::pow(product, 1.0 / static_cast<double>(n + 1)) * brevity;
    }
    return out;
  }
};

/// An n-gram is correct as often as in the reference that has it most often.
inline BleuCounts bleu_counts(const std::vector<std::string>& candidate,
                              const std::vector<std::vector<std::string>>& references) {
  BleuCounts out;
  const auto size = [](const auto& words) { return static_cast<double>(words.size()); };
  out.length = size(candidate);
  NgramCounts allowed;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const double length = size(references[i]);
    const double far = std::abs(length - out.length);
    const double best = std::abs(out.reference_length - out.length);
    if (i == 0 || far < best || (far == best && length < out.reference_length))
      out.reference_length = length;
    const NgramCounts counts = count_ngrams(references[i]);
    for (std::size_t n = 0; n < longest_ngram; ++n) {
      for (const auto& [ngram, count] : counts[n]) {
        int& most = allowed[n][ngram];
        most = std::max(most, count);
      }
    }
  }
  const NgramCounts counts = count_ngrams(candidate);
  for (std::size_t n = 0; n < longest_ngram; ++n) {
    out.guessed[n] = std::max(0.0, out.length - static_cast<double>(n));
    for (const auto& [ngram, count] : counts[n]) {
      const auto found = allowed[n].find(ngram);
      if (found != allowed[n].end()) out.correct[n] += std::min(count, found->second);
    }
  }
  return out;
}

}  // namespace plume::eval
