#pragma once
// From a tokenizer's words to what generation takes.

#include <algorithm>

#include "plume/generate/options.hpp"
#include "plume/models/text_decoder.hpp"
#include "plume/text/tokenizer.hpp"

namespace plume::generate {

/// Texts of `words` end with <|endofchunk|>; <image> and padding are never chosen.
inline void end_with_chunk(Options& options, const text::Tokenizer& words) {
  options.eos = words.end_of_chunk().value();
  options.suppressed = {words.image().value()};
  if (words.pad() && *words.pad() != options.eos) options.suppressed.push_back(*words.pad());
}

/// One text [1, T].
inline models::TextInput prompt_of(const text::Ids& ids) {
  models::TextInput out{Tensor<std::int64_t>(Shape{1, static_cast<index_t>(ids.size())})};
  std::copy(ids.begin(), ids.end(), out.ids.data());
  return out;
}

}  // namespace plume::generate
