#pragma once
// What Python's `str` does to a text, where the published metrics are defined by it: lower, split, decimal
// digits of Unicode, and `round` to two decimals. Texts are UTF-8.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "plume/text/python_space.hpp"
#include "plume/text/unicode_case.hpp"

namespace plume::eval {

/// What `\d` matches in a pattern of str: Unicode's decimal digits, not superscripts.
inline bool is_decimal_digit(char32_t c) noexcept {
  const auto* const after =
      std::upper_bound(std::begin(text::tables::zeros), std::end(text::tables::zeros), c);
  return after != std::begin(text::tables::zeros) && c - after[-1] < 10;
}

namespace detail {

inline char32_t lower(char32_t c) noexcept {
  const auto* const after =
      std::upper_bound(std::begin(text::tables::lower_runs), std::end(text::tables::lower_runs), c,
                       [](char32_t x, const text::tables::LowerRun& run) { return x < run.first; });
  if (after == std::begin(text::tables::lower_runs)) return c;
  const text::tables::LowerRun& run = after[-1];
  if (c > run.last || (c - run.first) % run.step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int64_t>(c) + run.add);
}

inline bool is_letter(char32_t c) noexcept {
  return text::char_class(c) == text::CharClass::letter;
}

/// Whether the capital sigma at [at, after) ends a word: a letter before it, none behind it.
inline bool final_sigma(std::string_view text, std::size_t at, std::size_t after) noexcept {
  std::size_t before = at;
  while (before > 0 && (static_cast<unsigned char>(text[--before]) & 0xC0) == 0x80) continue;
  if (before == at || !is_letter(text::code_point(text, before).value)) return false;
  return after >= text.size() || !is_letter(text::code_point(text, after).value);
}

}  // namespace detail

/// str.lower. A capital sigma ends a word where the characters beside it say so; Python looks past
/// apostrophes and accents there.
inline std::string python_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::code_point(text, at);
    const std::size_t after = at + point.bytes;
    if (!point.valid) {
      out.append(text, at, point.bytes);
    } else if (point.value == 0x130) {
      out += "i\u0307";
    } else if (point.value == 0x3A3 && detail::final_sigma(text, at, after)) {
      out += "\u03C2";
    } else {
      text::append_utf8(out, detail::lower(point.value));
    }
    at = after;
  }
  return out;
}

/// str.split(): the pieces between runs of white space.
inline std::vector<std::string_view> python_split(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::code_point(text, at);
    const std::size_t after = at + point.bytes;
    if (text::is_python_space(point.value)) {
      if (at > start) words.push_back(text.substr(start, at - start));
      start = after;
    }
    at = after;
  }
  if (start < text.size()) words.push_back(text.substr(start));
  return words;
}

/// round(x, 2): the double nearest to the two-decimal number nearest to x.
inline double python_round2(double x) {
  char text[400];
  std::snprintf(text, sizeof text, "%.2f", x);
  return std::strtod(text, nullptr);
}

/// str.replace. `from` is not empty.
inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  while (true) {
    const std::size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace plume::eval
