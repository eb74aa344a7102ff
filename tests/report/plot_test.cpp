#include "plume/report/plot.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/report/markup.hpp"

using namespace plume;
using report::Line;
using report::line_plot;
using test::count;
using test::markup_mistake;

namespace {

const double gap = std::nan("");
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The points of each line of a plot: pairs "x,y".
std::vector<std::vector<std::string>> polylines(const std::string& svg) {
  std::vector<std::vector<std::string>> out;
  const std::string begin = "<polyline points=\"";
  for (std::size_t at = 0; (at = svg.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    const std::string all = svg.substr(at, svg.find('"', at) - at) + " ";
    out.emplace_back();
    for (std::size_t from = 0, to; (to = all.find(' ', from)) != std::string::npos; from = to + 1)
      out.back().push_back(all.substr(from, to - from));
  }
  return out;
}

TEST_CASE("the checker of markup finds mistakes") {
  CHECK(
      markup_mistake("<!DOCTYPE html><a b=\"1\" c=\"&lt;\">x<br/>&amp;<meta d=\"2\"></a>").empty());
  for (const char* wrong :
       {"<a>", "</a>", "<a></b>", "<a b=1/>", "<a b=\"1\" b=\"2\"/>", "a & b", "a < b",
        "<a b=\"<\"/>", "<a b=\"&\"/>", "<a b=\"/>", "&copy;", "\x01", "<a><b></a></b>", "<a b/>"})
    CHECK_MESSAGE(!markup_mistake(wrong).empty(), wrong);
}

TEST_CASE("line_plot: well-formed whatever it is given") {
  const std::string evil = "<script>&\"'\xff\x01</text>";
  const std::vector<std::vector<Line>> given = {
      {},
      {{}},
      {{.name = evil, .x = {1, 2}, .y = {3, 4}, .colour = evil}},
      {{.name = evil, .x = {1, 2}, .y = {3, 4}, .points = true, .low = {2, 3}, .high = {4, 5}}},
      {{.x = {gap, 1, infinity}, .y = {1, gap, 2}}},
      {{.x = {0, 1e300, -1e308}, .y = {1e308, -1e308, 1e-320}}},
      {{.x = {1}, .y = {1}}, {.x = {1, 1, 1}, .y = {1, 1, 1}, .faint = true}},
      {{.x = {0, 1}, .y = {-1, 0}, .low = {-2, gap}, .high = {0, 1}}},
  };
  for (std::size_t i = 0; i < given.size(); ++i) {
    for (const bool logarithmic : {false, true}) {
      CAPTURE(i);
      const std::string svg = line_plot(given[i], {.title = evil,
                                                   .x_label = evil,
                                                   .y_label = evil,
                                                   .log_y = logarithmic,
                                                   .whole_x = logarithmic,
                                                   .note = evil});
      CHECK(markup_mistake(svg) == "");
      CHECK(svg.find("nan") == std::string::npos);
      CHECK(svg.find("inf") == std::string::npos);
      CHECK(svg.find("1e15+") == std::string::npos);
      CHECK(svg.find("<script") == std::string::npos);
    }
  }
}

TEST_CASE("line_plot: without a point it is a frame with a note") {
  const std::string svg = line_plot({{.name = "loss", .x = {1}, .y = {gap}}}, {.note = "no step"});
  CHECK(count(svg, ">no step<") == 1);
  CHECK(polylines(svg).empty());
  CHECK(line_plot({{.x = {1}, .y = {2}}}, {.note = "no step"}).find("no step") ==
        std::string::npos);
}

TEST_CASE("line_plot: the corners of the data are those of the frame; a gap parts a line") {
  // Without labels the frame is from y = 10 to 256, and 0.05 of the range more on either side.
  const std::string svg = line_plot({{.x = {0, 1, 2, 3, 4, 5}, .y = {0, 10, gap, 4, gap, 7}}});
  const auto lines = polylines(svg);
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].size() == 2);
  const auto y_of = [](const std::string& point) { return point.substr(point.find(',') + 1); };
  CHECK(y_of(lines[0][0]) == "244.8");  // 256 - 246 * 0.5 / 11
  CHECK(y_of(lines[0][1]) == "21.2");
  CHECK(count(svg, "<circle") == 2);  // points alone between gaps
}

TEST_CASE("line_plot: legend, colours, faint lines behind, points with whiskers, bands") {
  const Line a{.name = "first", .x = {0, 1}, .y = {1, 2}};
  const Line b{.name = "second", .x = {0, 1}, .y = {2, 3}, .faint = true};
  const std::string two = line_plot({a, b});
  CHECK(count(two, ">first</text>") == 1);
  CHECK(count(two, ">second</text>") == 1);
  CHECK(two.find("<g opacity") < two.find("stroke=\"#0072b2\" stroke-width=\"1.8\""));

  Line c{.name = "score", .x = {0, 4}, .y = {1, 2}, .low = {0.5, 1.5}, .high = {1.5, 3}};
  CHECK(count(line_plot({c}), "<polygon") == 1);
  c.points = true;
  const std::string scores = line_plot({c}, {.x_ticks = {0, 4, 32}});
  CHECK(count(scores, "<polygon") == 0);
  CHECK(count(scores, "<circle") == 2);
  CHECK(scores.find("<title>score: 4, 2 (1.5 to 3)</title>") != std::string::npos);
  CHECK(count(scores, ">32</text>") == 1);
  CHECK(count(scores, ">16</text>") == 0);
}

TEST_CASE("line_plot: more points than pixels are thinned, and no peak is lost") {
  Line line;
  for (int i = 0; i < 100000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i == 77777 ? 100 : i == 33333 ? -100 : i % 2);
  }
  const std::string svg = line_plot({line});
  const auto lines = polylines(svg);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].size() < 4000);
  std::size_t peaks = 0, troughs = 0;
  for (const std::string& point : lines[0]) {
    peaks += point.ends_with(",21.2");
    troughs += point.ends_with(",244.8");
  }
  CHECK(peaks == 1);
  CHECK(troughs == 1);
}

TEST_CASE("line_plot: what does not fit together is refused") {
  CHECK_THROWS_WITH_AS(line_plot({{.name = "loss", .x = {1, 2}, .y = {1}}}),
                       doctest::Contains("2 values of loss"), ShapeError);
  CHECK_THROWS_AS(line_plot({{.x = {1}, .y = {1}, .low = {0}}}), ShapeError);
  CHECK_THROWS_AS(line_plot({{.x = {1}, .y = {1}, .high = {0}}}), ShapeError);
  CHECK_THROWS_AS(line_plot({{.x = {1}, .y = {1}, .low = {0, 1}, .high = {0, 1}}}), ShapeError);
}

TEST_CASE("colours: of a sequence from end to end, each of its own") {
  CHECK(report::sequence_colour(0, 24) == "#3054a8");
  CHECK(report::sequence_colour(23, 24) == "#e68200");
  CHECK(report::sequence_colour(0, 1) == "#3054a8");
  std::set<std::string> seen;
  for (std::size_t i = 0; i < 24; ++i) seen.insert(report::sequence_colour(i, 24));
  CHECK(seen.size() == 24);
  CHECK(report::palette(0) == report::palette(6));
}

}  // namespace
