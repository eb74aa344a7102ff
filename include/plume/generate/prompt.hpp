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

/// The same of a text with an <image> for each of `pictures`; throws ValueError where there are more or fewer.
inline models::TextInput prompt_of(const text::Tokenizer& words, const text::MarkedText& prompt,
                                   index_t pictures) {
  const text::Ids ids = words.encode(prompt);
  const auto places = std::count(ids.begin(), ids.end(), words.image().value());
  if (places != pictures) {
    fail<ValueError>("prompt", cat("an <image> in the text for each of ", pictures, " pictures"),
                     cat(places, " in \"", prompt.text(), "\""));
  }
  return prompt_of(ids);
}

}  // namespace plume::generate
