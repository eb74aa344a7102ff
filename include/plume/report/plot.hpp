#pragma once
// line_plot: lines over an axis, as SVG text. It refers to nothing outside itself, and its lettering has the colour of
// the text around it, so that it suits a light and a dark page.

#include <string>
#include <utility>
#include <vector>

#include "plume/report/axis.hpp"

namespace plume::report {

/// A point of which x or y is not finite (on a logarithmic axis: not positive) leaves a gap.
struct Line {
  std::string name{};  ///< in the legend; none where it is empty
  std::vector<double> x{}, y{};
  bool faint = false;                 ///< behind the others: what a smoothed line was made of
  bool points = false;                ///< a dot at each point; low and high are whiskers
  std::vector<double> low{}, high{};  ///< a band around the line: as many as points, or none
  std::string colour{};               ///< of CSS; empty: the next of palette()
};

struct PlotOptions {
  std::string title{}, x_label{}, y_label{};
  int width = 640, height = 280;  ///< pixels, the legend below not counted
  bool log_y = false;
  bool whole_x = false;                     ///< ticks of x at whole numbers alone
  std::vector<double> x_ticks{};            ///< where the ticks of x stand; empty: chosen
  std::optional<double> y_low{}, y_high{};  ///< bounds of the axis in place of those of the data
  std::string note = "no data";             ///< what stands in the frame if there is none
};

/// Colours that stay apart for colour-blind readers. Source: Okabe and Ito, Color Universal Design (2008), without
/// its yellow and black.
inline std::string palette(std::size_t i) {
  static constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73",
                                            "#cc79a7", "#e69f00", "#56b4e9"};
  return colours[i % std::size(colours)];
}

/// The i-th of n in order, such as the depth of a layer: from blue by green to orange.
inline std::string sequence_colour(std::size_t i, std::size_t n) {
  static constexpr double stops[][3] = {
      {48, 84, 168}, {0, 146, 146}, {110, 170, 60}, {230, 130, 0}};
  const double at = n < 2 ? 0 : 3 * static_cast<double>(i) / static_cast<double>(n - 1);
  const auto below = static_cast<std::size_t>(std::min(std::floor(at), 2.0));
  const double part = at - static_cast<double>(below);
  std::string out = "#";
  for (int c = 0; c < 3; ++c) {
    const double mixed = stops[below][c] + part * (stops[below + 1][c] - stops[below][c]);
    const auto byte = static_cast<unsigned>(std::clamp(mixed, 0.0, 255.0));
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15U];
  }
  return out;
}

namespace detail {

struct Pixel {
  double x = 0, y = 0;
};

inline std::string attribute(std::string_view name, double value) {
  return cat(" ", name, "=\"", fixed(value, 1), "\"");
}
inline std::string label(double x, double y, std::string_view anchor, const std::string& text,
                         std::string_view more = "") {
  return cat("<text", attribute("x", x), attribute("y", y), " text-anchor=\"", anchor, "\"", more,
             ">", escaped(text), "</text>\n");
}
inline std::string rule(double x1, double y1, double x2, double y2, std::string_view more) {
  return cat("<line", attribute("x1", x1), attribute("y1", y1), attribute("x2", x2),
             attribute("y2", y2), more, "/>\n");
}
/// About how wide a text of this size 12 is.
inline double text_width(std::string_view text) {
  return 6.8 * static_cast<double>(std::count_if(text.begin(), text.end(),
                                                 [](char c) { return (c & 0xC0) != 0x80; }));
}
inline std::string coordinates(const std::vector<Pixel>& points) {
  std::string out;
  for (const Pixel& p : points)
    out += cat(out.empty() ? "" : " ", fixed(p.x, 1), ",", fixed(p.y, 1));
  return out;
}

/// Of more points than can be seen, in each column of pixels the first, lowest, highest and last: it looks the same.
inline std::vector<Pixel> thinned(const std::vector<Pixel>& points, int columns) {
  if (points.size() <= 4 * static_cast<std::size_t>(columns)) return points;
  const auto before = [](const Pixel& a, const Pixel& b) { return a.x < b.x; };
  if (!std::is_sorted(points.begin(), points.end(), before)) return points;
  std::vector<Pixel> out;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i, low = i, high = i;
    for (; end < points.size() && std::floor(points[end].x) == std::floor(points[i].x); ++end) {
      if (points[end].y < points[low].y) low = end;
      if (points[end].y > points[high].y) high = end;
    }
    std::size_t kept[] = {i, std::min(low, high), std::max(low, high), end - 1};
    for (std::size_t k = 0; k < 4; ++k)
      if (k == 0 || kept[k] != kept[k - 1]) out.push_back(points[kept[k]]);
    i = end;
  }
  return out;
}

/// The stretches without a gap of the points (x[i], y[i]).
inline std::vector<std::vector<Pixel>> stretches(const std::vector<double>& x,
                                                 const std::vector<double>& y, const Axis& across,
                                                 const Axis& up) {
  std::vector<std::vector<Pixel>> out;
  bool open = false;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool shown = across.shows(x[i]) && up.shows(y[i]);
    if (shown && !open) out.emplace_back();
    if (shown) out.back().push_back({across.pixel(x[i]), up.pixel(y[i])});
    open = shown;
  }
  return out;
}

inline void check(const Line& line) {
  if (line.y.size() != line.x.size())
    fail<ShapeError>("line_plot", cat(line.x.size(), " values of ", line.name), line.y.size());
  for (const auto* side : {&line.low, &line.high}) {
    if (side->size() != line.low.size() || (!side->empty() && side->size() != line.x.size()))
      fail<ShapeError>("line_plot",
                       cat(line.x.size(), " lows and highs of ", line.name, ", or none"),
                       side->size());
  }
}

inline std::string band(const Line& line, const std::string& colour, const Axis& across,
                        const Axis& up, int columns) {
  // Where either side has a gap, both have.
  std::vector<double> low = line.low, high = line.high;
  for (std::size_t i = 0; i < low.size(); ++i)
    if (!up.shows(low[i]) || !up.shows(high[i])) low[i] = high[i] = std::nan("");
  const auto below = stretches(line.x, low, across, up),
             above = stretches(line.x, high, across, up);
  std::string out;
  for (std::size_t i = 0; i < below.size(); ++i) {
    std::vector<Pixel> outline = thinned(below[i], columns);
    std::reverse(outline.begin(), outline.end());
    const std::vector<Pixel> top = thinned(above[i], columns);
    outline.insert(outline.end(), top.begin(), top.end());
    out += cat("<polygon points=\"", coordinates(outline), "\" fill=\"", escaped(colour),
               "\" fill-opacity=\"0.2\"/>\n");
  }
  return out;
}

inline std::string dots(const Line& line, const std::string& colour, const Axis& across,
                        const Axis& up) {
  std::string out;
  for (std::size_t i = 0; i < line.x.size(); ++i) {
    if (!across.shows(line.x[i]) || !up.shows(line.y[i])) continue;
    const double x = across.pixel(line.x[i]), y = up.pixel(line.y[i]);
    std::string spread;
    if (!line.low.empty() && up.shows(line.low[i]) && up.shows(line.high[i])) {
      const double low = up.pixel(line.low[i]), high = up.pixel(line.high[i]);
      const std::string stroke = cat(" stroke=\"", escaped(colour), "\"");
      out += rule(x, low, x, high, stroke) + rule(x - 3, low, x + 3, low, stroke) +
             rule(x - 3, high, x + 3, high, stroke);
      spread = cat(" (", number(line.low[i]), " to ", number(line.high[i]), ")");
    }
    out += cat("<circle", attribute("cx", x), attribute("cy", y), " r=\"3.5\" fill=\"",
               escaped(colour), "\"><title>",
               escaped(cat(line.name, line.name.empty() ? "" : ": ", number(line.x[i]), ", ",
                           number(line.y[i]), spread)),
               "</title></circle>\n");
  }
  return out;
}

inline std::string drawn(const Line& line, const std::string& colour, const Axis& across,
                         const Axis& up, int columns) {
  std::string out;
  if (!line.low.empty() && !line.points) out += band(line, colour, across, up, columns);
  for (const auto& stretch : stretches(line.x, line.y, across, up)) {
    if (stretch.size() == 1 && !line.points) {
      out += cat("<circle", attribute("cx", stretch[0].x), attribute("cy", stretch[0].y),
                 " r=\"1.5\" fill=\"", escaped(colour), "\"/>\n");
    } else if (stretch.size() > 1) {
      out += cat("<polyline points=\"", coordinates(thinned(stretch, columns)),
                 "\" fill=\"none\" stroke=\"", escaped(colour), "\" stroke-width=\"",
                 line.faint ? "1" : "1.8", "\" stroke-linejoin=\"round\"/>\n");
    }
  }
  if (line.points) out += dots(line, colour, across, up);
  return line.faint ? cat("<g opacity=\"0.35\">\n", out, "</g>\n") : out;
}

}  // namespace detail

/// Throws ShapeError where a line has not as many y (low, high) as x.
inline std::string line_plot(const std::vector<Line>& lines, const PlotOptions& options = {}) {
  using detail::attribute, detail::label, detail::rule;
  Axis across, up(options.log_y);
  std::vector<std::string> colours;
  std::size_t next = 0;
  for (const Line& line : lines) {
    detail::check(line);
    colours.push_back(line.colour.empty() ? palette(next++) : line.colour);
    for (std::size_t i = 0; i < line.x.size(); ++i) {
      if (!across.shows(line.x[i]) || !up.shows(line.y[i])) continue;
      across.cover(line.x[i]);
      up.cover(line.y[i]);
      if (!line.low.empty()) up.cover(line.low[i]), up.cover(line.high[i]);
    }
  }

  const double top = options.title.empty() ? 10 : 30, right = options.width - 14.0;
  const double bottom = options.height - (options.x_label.empty() ? 24.0 : 42.0);
  std::vector<Tick> rows, columns;
  double left = options.y_label.empty() ? 12 : 30;
  if (!up.empty()) {
    up.place(bottom, top, 0.05, options.y_low, options.y_high);
    rows = up.ticks(45);
    double widest = 0;
    for (const Tick& tick : rows) widest = std::max(widest, detail::text_width(tick.label));
    left += widest + 6;
    for (const double x : options.x_ticks) across.cover(x);
    across.place(left, right, options.x_ticks.empty() ? 0.01 : 0.03);
    columns = across.ticks(80, options.whole_x);
    if (!options.x_ticks.empty()) {
      columns.clear();
      for (const double x : options.x_ticks) columns.push_back({x, number(x)});
    }
  }

  std::string body;
  if (!options.title.empty())
    body += label(left, 18, "start", options.title, " font-size=\"14\" font-weight=\"600\"");
  for (const Tick& tick : rows) {
    const double y = up.pixel(tick.at);
    body += rule(left, y, right, y, " stroke=\"currentColor\" stroke-opacity=\"0.13\"");
    body += label(left - 6, y + 4, "end", tick.label);
  }
  for (const Tick& tick : columns) {
    const double x = across.pixel(tick.at);
    body += rule(x, bottom, x, bottom + 4, " stroke=\"currentColor\" stroke-opacity=\"0.5\"");
    body += label(x, bottom + 17, "middle", tick.label);
  }
  body += rule(left, bottom, right, bottom, " stroke=\"currentColor\" stroke-opacity=\"0.5\"");
  body += rule(left, top, left, bottom, " stroke=\"currentColor\" stroke-opacity=\"0.5\"");
  if (!options.x_label.empty())
    body += label((left + right) / 2, bottom + 35, "middle", options.x_label);
  if (!options.y_label.empty()) {
    const double middle = (top + bottom) / 2;
    body += label(14, middle, "middle", options.y_label,
                  cat(" transform=\"rotate(-90 14 ", fixed(middle, 1), ")\""));
  }

  if (up.empty()) {
    body += label((left + right) / 2, (top + bottom) / 2, "middle", options.note,
                  " fill-opacity=\"0.6\"");
  } else {
    // An inner picture cuts off what lies outside the bounds.
    const double edge = 5;
    body += cat("<svg", attribute("x", left - edge), attribute("y", top - edge),
                attribute("width", right - left + 2 * edge),
                attribute("height", bottom - top + 2 * edge), " viewBox=\"", fixed(left - edge, 1),
                " ", fixed(top - edge, 1), " ", fixed(right - left + 2 * edge, 1), " ",
                fixed(bottom - top + 2 * edge, 1), "\">\n");
    for (const bool faint : {true, false})
      for (std::size_t i = 0; i < lines.size(); ++i)
        if (lines[i].faint == faint)
          body += detail::drawn(lines[i], colours[i], across, up, static_cast<int>(right - left));
    body += "</svg>\n";
  }

  double x = left, y = options.height + 6.0;
  bool any = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].name.empty()) continue;
    const double width = 26 + detail::text_width(lines[i].name);
    if (any && x + width > right) x = left, y += 18;
    body += rule(x, y, x + 16, y,
                 cat(" stroke=\"", escaped(colours[i]), "\" stroke-width=\"3\" stroke-opacity=\"",
                     lines[i].faint ? "0.35" : "1", "\""));
    body += label(x + 21, y + 4, "start", lines[i].name);
    x += width + 12;
    any = true;
  }
  const int height = any ? static_cast<int>(y) + 14 : options.height;

  return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", options.width, " ", height,
             "\" width=\"", options.width, "\" height=\"", height, "\" role=\"img\" aria-label=\"",
             escaped(options.title.empty() ? options.y_label : options.title),
             "\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\">\n",
             body, "</svg>\n");
}

}  // namespace plume::report
