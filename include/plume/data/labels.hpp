#pragma once
// Labels: what of a sequence is learnt. -100 is ignored by the loss; labels are not shifted.
//
//   pairs      all but padding and <image>
//   documents  from after an <image> up to and with the next <|endofchunk|>; never <image> itself
//
// Source: the training loop of OpenFlamingo (arXiv 2308.01390).

#include <span>
#include <vector>

#include "plume/text/tokenizer.hpp"

namespace plume::data {

inline constexpr std::int64_t ignored_label = -100;

/// Ids of the tokens that mean something to the recipe.
struct Specials {
  std::int64_t image = 0, end_of_chunk = 0, pad = 0;

  /// Throws ValueError where the tokenizer lacks one.
  static Specials of(const text::Tokenizer& tokenizer) {
    if (!tokenizer.image() || !tokenizer.end_of_chunk() || !tokenizer.pad())
      fail<ValueError>("Specials", "a tokenizer with <image>, <|endofchunk|> and padding",
                       "one without");
    return {*tokenizer.image(), *tokenizer.end_of_chunk(), *tokenizer.pad()};
  }
};

inline std::vector<std::int64_t> pair_labels(std::span<const std::int64_t> ids, const Specials& s) {
  std::vector<std::int64_t> labels(ids.begin(), ids.end());
  for (std::int64_t& label : labels) {
    if (label == s.pad || label == s.image) label = ignored_label;
  }
  return labels;
}

inline std::vector<std::int64_t> document_labels(std::span<const std::int64_t> ids,
                                                 const Specials& s) {
  std::vector<std::int64_t> labels(ids.size(), ignored_label);
  bool within = false;  // a text that belongs to an image
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == s.image) {
      within = true;
    } else if (within && ids[i] != s.pad) {
      labels[i] = ids[i];
      within = ids[i] != s.end_of_chunk;
    }
  }
  return labels;
}

/// A row of exactly `length` ids: cut, or filled with padding on the right.
inline text::Ids padded(text::Ids ids, std::size_t length, const Specials& s) {
  ids.resize(length, s.pad);
  return ids;
}

}  // namespace plume::data
