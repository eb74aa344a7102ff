#pragma once
// What of a generated text is the answer: models of text go on after it, usually with the next demonstration.

#include <initializer_list>
#include <string>
#include <string_view>

#include "plume/eval/python_text.hpp"

namespace plume::eval {

/// `text` before the first of `marks`.
inline std::string_view before_first(std::string_view text,
                                     std::initializer_list<std::string_view> marks) {
  std::size_t end = text.size();
  for (const std::string_view mark : marks) end = std::min(end, text.find(mark));
  return text.substr(0, end);
}

/// A caption: what stands before "Output", without quotation marks. Not stripped.
inline std::string caption_of(std::string_view generation) {
  return replaced(before_first(generation, {"Output"}), "\"", "");
}

/// An answer: what stands before "Question", "Answer" or "Short", then before ", ". Not stripped.
inline std::string answer_of(std::string_view generation) {
  return std::string(
      before_first(before_first(generation, {"Question", "Answer", "Short"}), {", "}));
}

}  // namespace plume::eval
