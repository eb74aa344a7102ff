#pragma once
// Drawings of a media mask: a row per token, a column per image.
//
//   draw_mask       text: '#' attends, '.' does not, '~' takes the mean over all images
//   draw_mask_svg   the same as an SVG picture, with the tokens' names

#include <string>
#include <vector>

#include "plume/nn/media_mask.hpp"

namespace plume::nn {

/// The mask of one sequence as text. `times` [T]; M images.
inline std::string draw_mask(const Tensor<std::int64_t>& times, index_t M, MediaMask mask) {
  if (times.rank() != 1) fail<ShapeError>("draw_mask", "times [T]", times.shape());
  std::string out;
  for (index_t t = 0; t < times.size(0); ++t) {
    for (index_t m = 1; m <= M; ++m) {
      const Look how = look(mask, times(t), m, M);
      out += how == Look::attends ? '#' : how == Look::mean ? '~' : '.';
    }
    out += '\n';
  }
  return out;
}

namespace detail {

/// UTF-8 as the content of an XML element; control characters, which XML has no place for, become spaces.
inline std::string xml_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}
inline index_t code_points(const std::string& text) {
  index_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  return n;
}

}  // namespace detail

/// The mask of one sequence as an SVG picture. `times` [T]; M images; `tokens`: the T tokens in UTF-8, or none
/// to number them from 0.
inline std::string draw_mask_svg(const Tensor<std::int64_t>& times, index_t M, MediaMask mask,
                                 std::vector<std::string> tokens = {}) {
  constexpr const char* op = "draw_mask_svg";
  if (times.rank() != 1) fail<ShapeError>(op, "times [T]", times.shape());
  const index_t T = times.size(0);
  if (tokens.empty()) {
    for (index_t t = 0; t < T; ++t) tokens.push_back(cat(t));
  }
  if (static_cast<index_t>(tokens.size()) != T) {
    fail<ShapeError>(op, cat(T, " tokens, one for each time"), tokens.size());
  }
  index_t longest = 0;
  for (const std::string& token : tokens) {
    longest = std::max(longest, detail::code_points(token));
  }

  constexpr index_t cell = 20, gap = 2, letter = 8;
  const index_t left = letter * longest + 2 * gap + 8, top = 2 * cell;
  // Wide enough for the title, high enough for the legend below the grid.
  const index_t width = std::max<index_t>(left + M * cell + 8, 28 * letter);
  const index_t height = top + T * cell + cell;
  std::string out = cat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width, "\" height=\"",
                        height, "\" viewBox=\"0 0 ", width, ' ', height,
                        "\" font-family=\"monospace\" font-size=\"13\">\n");
  const auto text = [&](index_t x, index_t y, const char* anchor, const std::string& content) {
    out += cat("<text x=\"", x, "\" y=\"", y, "\" text-anchor=\"", anchor,
               "\" xml:space=\"preserve\">", detail::xml_text(content), "</text>\n");
  };
  text(4, 14, "start",
       mask == MediaMask::immediate ? "immediate: token x image" : "all_previous: token x image");
  for (index_t m = 1; m <= M; ++m) text(left + (m - 1) * cell + cell / 2, 34, "middle", cat(m));
  for (index_t t = 0; t < T; ++t) {
    const index_t y = top + t * cell;
    text(left - gap - 4, y + 14, "end", tokens[static_cast<std::size_t>(t)]);
    for (index_t m = 1; m <= M; ++m) {
      const Look how = look(mask, times(t), m, M);
      out += cat("<rect x=\"", left + (m - 1) * cell, "\" y=\"", y, "\" width=\"", cell - gap,
                 "\" height=\"", cell - gap, "\" class=\"",
                 how == Look::attends ? "attends\" fill=\"#2b6cb0\""
                 : how == Look::mean  ? "mean\" fill=\"#f6ad55\""
                                      : "away\" fill=\"#e2e8f0\"",
                 "/>\n");
    }
  }
  text(4, height - 6, "start", "blue: attends  orange: mean");
  return out + "</svg>\n";
}

}  // namespace plume::nn
