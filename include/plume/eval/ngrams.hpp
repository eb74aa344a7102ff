#pragma once
// Runs of 1 to 4 words of a caption and how often each occurs: what BLEU and CIDEr compare.

#include <array>
#include <map>
#include <string>
#include <vector>

#include "plume/eval/python_text.hpp"

namespace plume::eval {

inline constexpr std::size_t longest_ngram = 4;

/// By n - 1, then by the words, each followed by a space. Sorted, so that sums over them have one order.
using NgramCounts = std::array<std::map<std::string, int>, longest_ngram>;

/// A token with white space inside is several words here.
inline std::vector<std::string> words_of(const std::vector<std::string>& tokens) {
  std::vector<std::string> words;
  for (const std::string& token : tokens)
    for (const std::string_view word : python_split(token)) words.emplace_back(word);
  return words;
}

inline NgramCounts count_ngrams(const std::vector<std::string>& words) {
  NgramCounts counts;
  for (std::size_t first = 0; first < words.size(); ++first) {
    std::string key;
    for (std::size_t n = 0; n < longest_ngram && first + n < words.size(); ++n) {
      key += words[first + n];
      key += ' ';
      ++counts[n][key];
    }
  }
  return counts;
}

}  // namespace plume::eval
