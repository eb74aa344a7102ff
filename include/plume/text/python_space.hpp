#pragma once
// White space as Python's `str` sees it, where the reference's texts depend on it. Texts are UTF-8.

#include <algorithm>
#include <string_view>

#include "plume/text/utf8.hpp"
#include "plume/text/words.hpp"

namespace plume::text {

/// str.isspace: White_Space and the four separators U+001C to U+001F.
inline bool is_python_space(char32_t c) noexcept { return (c >= 0x1C && c <= 0x1F) || is_space(c); }

/// str.strip().
inline std::string_view python_strip(std::string_view text) {
  std::size_t begin = text.size(), end = text.size();
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point(text, at);
    const std::size_t after = at + point.bytes;
    if (!is_python_space(point.value)) {
      begin = std::min(begin, at);
      end = after;
    }
    at = after;
  }
  return text.substr(begin, end - begin);
}

}  // namespace plume::text
