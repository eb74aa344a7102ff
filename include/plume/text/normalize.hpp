#pragma once
// NFC as of Unicode 9.0: decompose, put marks in order, compose. Characters that came later pass unchanged,
// as in the library that made the released token ids.
//
// Source: Unicode Standard Annex 15, and chapter 3.12 for Hangul.

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plume/text/unicode_normal.hpp"
#include "plume/text/utf8.hpp"

namespace plume::text {

namespace detail {

inline constexpr char32_t hangul = 0xAC00, jamo_l = 0x1100, jamo_v = 0x1161, jamo_t = 0x11A7;
inline constexpr char32_t jamo_l_count = 19, jamo_v_count = 21, jamo_t_count = 28;
inline constexpr char32_t hangul_count = jamo_l_count * jamo_v_count * jamo_t_count;
inline constexpr std::uint64_t point_mask = (1U << 21) - 1;

inline int combining_class(char32_t c) {
  const std::uint32_t key = static_cast<std::uint32_t>(c) << 8 | 0xFF;
  const auto* after = std::upper_bound(std::begin(tables::combining_classes),
                                       std::end(tables::combining_classes), key);
  return after == std::begin(tables::combining_classes) ? 0 : static_cast<int>(*(after - 1) & 0xFF);
}

/// The row of `c` in a table sorted by its first 22 bits, or 0.
template <std::size_t N>
std::uint64_t find_row(const std::uint64_t (&table)[N], char32_t c) {
  const std::uint64_t key = static_cast<std::uint64_t>(c) << 42;
  const auto* row = std::lower_bound(std::begin(table), std::end(table), key);
  return row != std::end(table) && *row >> 42 == c ? *row : 0;
}

inline void decompose(char32_t c, std::u32string& out) {
  if (c - hangul < hangul_count) {
    const char32_t index = c - hangul;
    out += jamo_l + index / (jamo_v_count * jamo_t_count);
    out += jamo_v + index % (jamo_v_count * jamo_t_count) / jamo_t_count;
    if (index % jamo_t_count != 0) out += jamo_t + index % jamo_t_count;
    return;
  }
  std::uint64_t row = find_row(tables::composites, c);
  if (row == 0) row = find_row(tables::decompositions, c);
  if (row == 0) {
    out += c;
    return;
  }
  decompose(static_cast<char32_t>(row >> 21 & point_mask), out);
  if ((row & point_mask) != 0) decompose(static_cast<char32_t>(row & point_mask), out);
}

/// The composites by their parts: a << 42 | b << 21 | c, ascending.
inline const std::vector<std::uint64_t>& compositions() {
  static const std::vector<std::uint64_t> sorted = [] {
    std::vector<std::uint64_t> rows;
    for (const std::uint64_t row : tables::composites) {
      rows.push_back((row & ((std::uint64_t{1} << 42) - 1)) << 21 | row >> 42);
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }();
  return sorted;
}

/// The character that `a` and `b` make together, or 0.
inline char32_t compose(char32_t a, char32_t b) {
  if (a - jamo_l < jamo_l_count && b - jamo_v < jamo_v_count) {
    return hangul + ((a - jamo_l) * jamo_v_count + (b - jamo_v)) * jamo_t_count;
  }
  if (a - hangul < hangul_count && (a - hangul) % jamo_t_count == 0 && b > jamo_t &&
      b - jamo_t < jamo_t_count) {
    return a + (b - jamo_t);
  }
  const std::uint64_t key = static_cast<std::uint64_t>(a) << 42 | static_cast<std::uint64_t>(b)
                                                                      << 21;
  const auto& rows = compositions();
  const auto row = std::lower_bound(rows.begin(), rows.end(), key);
  return row != rows.end() && (*row ^ key) <= point_mask ? static_cast<char32_t>(*row & point_mask)
                                                         : 0;
}

}  // namespace detail

/// `text`, valid UTF-8, in normal form C.
inline std::string nfc(std::string_view text) {
  // Below U+0300, where lead bytes are below 0xCC, nothing decomposes, reorders or composes with its neighbour.
  if (std::all_of(text.begin(), text.end(), [](char byte) {
        const auto value = static_cast<unsigned char>(byte);
        return value < 0xCC;
      })) {
    return std::string(text);
  }
  std::u32string points;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point(text, at);
    detail::decompose(point.value, points);
    at += point.bytes;
  }

  std::vector<int> classes(points.size());
  std::transform(points.begin(), points.end(), classes.begin(), detail::combining_class);
  std::vector<std::pair<int, char32_t>> marks;
  for (std::size_t begin = 0; begin < points.size(); ++begin) {
    std::size_t end = begin;
    while (end < points.size() && classes[end] != 0) ++end;
    if (end - begin > 1) {
      marks.clear();
      for (std::size_t i = begin; i < end; ++i) marks.emplace_back(classes[i], points[i]);
      std::stable_sort(marks.begin(), marks.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (std::size_t i = begin; i < end; ++i) {
        std::tie(classes[i], points[i]) = marks[i - begin];
      }
    }
    begin = end;
  }

  // `starter` is the last character of class 0 that was kept; a mark reaches it unless one of the same or a
  // higher class stands between.
  constexpr std::size_t none = std::u32string::npos;
  std::u32string out;
  std::size_t starter = none;
  int last = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (starter != none && (starter + 1 == out.size() || last < classes[i])) {
      if (const char32_t composed = detail::compose(out[starter], points[i]); composed != 0) {
        out[starter] = composed;
        continue;
      }
    }
    if (classes[i] == 0) starter = out.size();
    last = classes[i];
    out += points[i];
  }
  std::string bytes;
  for (const char32_t c : out) append_utf8(bytes, c);
  return bytes;
}

}  // namespace plume::text
