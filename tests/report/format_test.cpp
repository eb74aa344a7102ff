#include "plume/report/format.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "plume/report/axis.hpp"
#include "plume/report/smooth.hpp"
#include "tests/support/tolerances.hpp"

using namespace plume;
using report::Axis;
using report::Tick;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::string labels(const std::vector<Tick>& ticks) {
  std::string out;
  for (const Tick& tick : ticks) out += (out.empty() ? "" : " ") + tick.label;
  return out;
}
std::string ticks(double low, double high, bool logarithmic = false, bool whole = false) {
  Axis axis(logarithmic);
  axis.cover(low);
  axis.cover(high);
  axis.place(0, 500, 0);
  return labels(axis.ticks(100, whole));
}

TEST_CASE("fixed, duration, number, grouped: as people write them") {
  CHECK(report::fixed(2.345, 2) == "2.35");
  CHECK(report::fixed(-0.001, 2) == "0.00");
  CHECK(report::fixed(-12, 0) == "-12");
  CHECK(report::fixed(0.05, 3) == "0.050");
  CHECK(report::fixed(std::nan(""), 1) == "nan");
  CHECK(report::fixed(-infinity, 1) == "-inf");
  CHECK(report::duration(59.2) == "59 s");
  CHECK(report::duration(3599) == "59 min 59 s");
  CHECK(report::duration(90000) == "1 d 1 h");
  CHECK(report::duration(-1) == "?");
  CHECK(report::number(0.03125) == "0.03125");
  CHECK(report::number(2.0 / 3) == "0.6667");
  CHECK(report::number(12345.4) == "12345");
  CHECK(report::number(2e15) == "2e+15");
  CHECK(report::number(-1e-5) == "-1e-05");
  CHECK(report::number(std::nan("")) == "nan");
  CHECK(report::grouped(0) == "0");
  CHECK(report::grouped(999) == "999");
  CHECK(report::grouped(1234567) == "1 234 567");
  CHECK(report::grouped(-1000) == "-1 000");
  CHECK(report::grouped(-100) == "-100");
}

TEST_CASE("escaped: nothing in a text is markup, and all of it can be written in XML") {
  CHECK(report::escaped("<a href=\"x\">&'</a>") ==
        "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
  CHECK(report::escaped("a\tb\nc") == "a\tb\nc");
  CHECK(report::escaped(std::string("\0\x1b\r", 3)) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(report::escaped("\xc3\xa9\xff") == "\xc3\xa9\xef\xbf\xbd");
}

TEST_CASE("ticks: multiples of 1, 2 or 5, labelled alike") {
  CHECK(ticks(0, 10) == "0 2 4 6 8 10");
  CHECK(ticks(0, 1) == "0 0.2 0.4 0.6 0.8 1.0");
  CHECK(ticks(-1, 1) == "-1.0 -0.5 0 0.5 1.0");
  CHECK(ticks(2.31, 2.34) == "2.31 2.32 2.33 2.34");
  CHECK(ticks(0, 100000) == "0 20k 40k 60k 80k 100k");
  CHECK(ticks(0, 2.5e6) == "0 0.5M 1.0M 1.5M 2.0M 2.5M");
  CHECK(ticks(0, 1e-4) == "0 0.2e-4 0.4e-4 0.6e-4 0.8e-4 1.0e-4");
  CHECK(ticks(0, 2, false, true) == "0 1 2");
  CHECK(ticks(0, 40, false, true) == "0 10 20 30 40");
}

TEST_CASE("ticks: on a logarithmic axis powers of ten, and more where there are few") {
  CHECK(ticks(1, 1e3, true) == "1 2 5 10 20 50 100 200 500 1000");
  CHECK(ticks(1e-2, 1e5, true) == "0.01 0.1 1 10 100 1000 1e4 1e5");
  CHECK(ticks(1e-6, 1e-4, true) == "1e-6 2e-6 5e-6 1e-5 2e-5 5e-5 1e-4");
  CHECK(ticks(2.1, 3.9, true) == "2.5 3.0 3.5");
  CHECK(ticks(1e-200, 1e200, true).size() < 80);
}

TEST_CASE("axis: from values to pixels; whatever the range, its ends are apart and its ticks few") {
  Axis axis;
  axis.cover(2);
  axis.cover(4);
  axis.cover(std::nan(""));
  axis.cover(-infinity);
  axis.place(100, 0, 0);
  CHECK(axis.pixel(2) == 100);
  CHECK(axis.pixel(4) == 0);
  CHECK(axis.pixel(2.5) == 75);

  for (const double value : {0.0, 5.0, -3e-12, 1e299, 1e-299}) {
    for (const double more : {0.0, 1e-320, 1e-16, 1.0, 1e299}) {
      for (const bool logarithmic : {false, true}) {
        CAPTURE(value);
        CAPTURE(more);
        CAPTURE(logarithmic);
        Axis wide(logarithmic);
        wide.cover(value);
        wide.cover(value + more);
        if (wide.empty()) continue;
        wide.place(0, 100, 0.05);
        if (wide.shows(value)) CHECK(std::isfinite(wide.pixel(value)));
        CHECK(wide.ticks(20).size() <= 14);
      }
    }
  }
}

TEST_CASE("axis: bounds given stand in place of those of the data") {
  Axis axis;
  axis.cover(2);
  axis.cover(4);
  axis.place(0, 100, 0.05, 0, 10);
  CHECK(axis.pixel(0) == 0);
  CHECK(axis.pixel(10) == 100);
  Axis none(true);
  CHECK(none.empty());
  CHECK(!none.shows(0));
  CHECK(!none.shows(-1));
}

TEST_CASE("smoothed: constants stay, gaps stay, noise goes, ends are means of what there is") {
  const auto near = [](double a, double b) {
    return std::abs(a - b) <= test::forward_double.relative * std::abs(b);
  };
  for (const double v : report::smoothed(std::vector<double>(37, 2.5), 10)) CHECK(near(v, 2.5));

  // Weights exp(-(6 d / 4)^2 / 2) of a window of 4, by hand.
  const double w1 = std::exp(-1.125), w2 = std::exp(-4.5);
  const std::vector<double> out = report::smoothed({0, 0, 1, 0, 0, 0}, 4);
  CHECK(near(out[2], 1 / (1 + 2 * w1 + 2 * w2)));
  CHECK(near(out[1], w1 / (1 + 2 * w1 + w2)));
  CHECK(near(out[0], w2 / (1 + w1 + w2)));
  CHECK(out[5] == 0);

  const std::vector<double> gap = report::smoothed({1, std::nan(""), 3, infinity}, 2);
  CHECK(gap[0] == 1);
  CHECK(std::isnan(gap[1]));
  CHECK(gap[2] == 3);
  CHECK(std::isnan(gap[3]));

  CHECK(report::smoothed({}, 100).empty());
  CHECK(report::smoothed({4, 5}, 1) == std::vector<double>{4, 5});
  CHECK(report::smoothing_window(0) == 1);
  CHECK(report::smoothing_window(250) == 25);
  CHECK(report::smoothing_window(100000) == 100);
}

}  // namespace
