#include "plume/nn/draw_mask.hpp"

#include <doctest/doctest.h>

using namespace plume;
using namespace plume::nn;

namespace {

const Tensor<std::int64_t>& times() {
  static const Tensor<std::int64_t> of({6}, {0, 1, 1, 2, 2, 3});
  return of;
}

index_t count(const std::string& text, const std::string& part) {
  index_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++n;
  }
  return n;
}

TEST_CASE("draw_mask: a row per token, a column per image") {
  CHECK(draw_mask(times(), 2, MediaMask::immediate) == "..\n#.\n#.\n.#\n.#\n~~\n");
  CHECK(draw_mask(times(), 2, MediaMask::all_previous) == "~~\n#.\n#.\n##\n##\n##\n");
  CHECK_THROWS_AS(draw_mask(times().reshape({2, 3}), 2, MediaMask::immediate), ShapeError);
}

TEST_CASE("draw_mask_svg: the same grid, with names") {
  for (const MediaMask mask : {MediaMask::immediate, MediaMask::all_previous}) {
    const std::string text = draw_mask(times(), 3, mask), svg = draw_mask_svg(times(), 3, mask);
    CHECK(count(svg, "<rect") == 18);
    CHECK(count(svg, "class=\"attends\"") == count(text, "#"));
    CHECK(count(svg, "class=\"mean\"") == count(text, "~"));
    CHECK(count(svg, "class=\"away\"") == count(text, "."));
    // Cells come row by row, as the characters of the text do.
    std::size_t at = 0;
    for (const char c : text) {
      if (c == '\n') continue;
      at = svg.find("class=\"", at) + 7;
      const std::string how = c == '#' ? "attends" : c == '~' ? "mean" : "away";
      CHECK(svg.compare(at, how.size(), how) == 0);
    }
    CHECK(count(svg, "<text") == 1 + 3 + 6 + 1);
    CHECK(count(svg, "</text>") == count(svg, "<text"));
    CHECK(svg.starts_with("<svg xmlns="));
    CHECK(svg.ends_with("</svg>\n"));
  }
}

TEST_CASE("draw_mask_svg: tokens are text, whatever is in them") {
  const std::string svg = draw_mask_svg(times().slice(0, 0, 3), 1, MediaMask::immediate,
                                        {"<image>", "a&b", "c\n\u00e9"});
  CHECK(count(svg, ">&lt;image&gt;</text>") == 1);
  CHECK(count(svg, ">a&amp;b</text>") == 1);
  CHECK(count(svg, ">c \u00e9</text>") == 1);
  CHECK_THROWS_AS(draw_mask_svg(times(), 1, MediaMask::immediate, {"one"}), ShapeError);
}

}  // namespace
