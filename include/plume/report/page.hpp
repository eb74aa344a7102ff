#pragma once
// Page: one HTML file that needs no other, no script and no network: it can be mailed, and opened years later. It
// follows the reader's choice of a light or a dark page, and the width of the window.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/io/base64.hpp"
#include "plume/io/file.hpp"
#include "plume/report/format.hpp"

namespace plume::report {

/// "name: value" lines.
using Facts = std::vector<std::pair<std::string, std::string>>;

struct Picture {
  std::vector<std::byte> file{};  ///< PNG or JPEG; empty: a frame that says there is none
  std::string caption{};
  Facts facts{};
};

struct Table {
  std::vector<std::string> columns{};
  std::vector<std::vector<std::string>> rows{};
};

namespace detail {

/// Empty for what a browser does not show.
inline std::string media_type(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.starts_with("\xff\xd8\xff")) return "image/jpeg";
  return {};
}

inline bool looks_numeric(std::string_view text) {
  return text.find_first_not_of("0123456789.+-e% kMG") == std::string_view::npos &&
         text.find_first_of("0123456789") != std::string_view::npos;
}

inline constexpr std::string_view style = R"(
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5f666d; --back: #ffffff; --line: #dfe3e8; --box: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e6e9; --soft: #9aa2ab; --back: #16181b; --line: #33383e; --box: #1f2327; }
  svg { filter: brightness(1.3); }
}
body { margin: 0 auto; padding: 1rem 1.2rem 4rem; max-width: 72rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0.8rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 0.4rem; }
p { max-width: 46rem; white-space: pre-line; overflow-wrap: anywhere; }
figure { margin: 0.8rem 0; }
figcaption { color: var(--soft); font-size: 0.87rem; max-width: 46rem; }
svg { max-width: 100%; height: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 0 1.5rem; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.n { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.6rem 0; }
dt { color: var(--soft); }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(12rem, 100%), 1fr)); gap: 1rem; }
.pictures figure { margin: 0; padding: 0.6rem; background: var(--box); border: 1px solid var(--line);
  border-radius: 6px; }
.pictures img, .none { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; }
.none { display: grid; place-items: center; color: var(--soft); border: 1px dashed var(--line); box-sizing: border-box; }
.pictures figcaption { color: var(--text); font-weight: 600; }
.pictures dl { font-size: 0.87rem; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; font-weight: 600; }
)";

}  // namespace detail

/// Whether Page::pictures() takes this file: by its first bytes, PNG or JPEG.
inline bool is_picture(std::span<const std::byte> file) {
  return !detail::media_type(file).empty();
}

/// What is given as text is shown as it is, whatever characters it has.
class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}

  void heading(std::string_view text, int level = 2) {
    const char* name = level <= 2 ? "h2" : "h3";
    add("<", name, ">", escaped(text), "</", name, ">\n");
  }
  /// A line break of the text is one of the paragraph.
  void paragraph(std::string_view text) { add("<p>", escaped(text), "</p>\n"); }
  void facts(const Facts& facts) { body_ += list(facts); }

  /// Columns of numbers, or of "-" where there is none, are set to the right. Throws ShapeError where a row has not a
  /// cell for each column.
  void table(const Table& table) {
    const std::size_t n = table.columns.size();
    std::vector<bool> numeric(n, !table.rows.empty());
    for (const auto& row : table.rows) {
      if (row.size() != n) fail<ShapeError>("page", cat("a row of ", n, " cells"), row.size());
      for (std::size_t i = 0; i < n; ++i) {
        const bool none = row[i].empty() || row[i] == "-";
        if (!none && !detail::looks_numeric(row[i])) numeric[i] = false;
      }
    }
    const auto line = [&](const std::vector<std::string>& cells, const std::string& tag) {
      add("<tr>");
      for (std::size_t i = 0; i < n; ++i)
        add("<", tag, numeric[i] ? " class=\"n\">" : ">", escaped(cells[i]), "</", tag, ">");
      add("</tr>\n");
    };
    add("<div class=\"scroll\"><table>\n<thead>\n");
    line(table.columns, "th");
    add("</thead>\n<tbody>\n");
    for (const auto& row : table.rows) line(row, "td");
    add("</tbody>\n</table></div>\n");
  }

  /// A figure of SVG, such as line_plot() makes: it is put into the page as it is. Throws ValueError for anything else.
  void figure(std::string_view svg, std::string_view caption = {}) {
    if (!svg.starts_with("<svg")) fail<ValueError>("page", "SVG", svg.substr(0, 40));
    add("<figure>\n", svg);
    if (!caption.empty()) add("<figcaption>", escaped(caption), "</figcaption>\n");
    add("</figure>\n");
  }
  /// Figures side by side where there is room: what `inside` adds.
  template <class F>
  void side_by_side(F inside) {
    add("<div class=\"figures\">\n");
    inside();
    add("</div>\n");
  }
  /// A grid. Throws FormatError for a file that is neither PNG nor JPEG.
  void pictures(const std::vector<Picture>& pictures) {
    for (const Picture& p : pictures) {
      if (!p.file.empty() && !is_picture(p.file))
        fail<FormatError>("page", "a PNG or JPEG file",
                          cat(p.file.size(), " bytes of something else"));
    }
    add("<div class=\"pictures\">\n");
    for (const Picture& p : pictures) {
      add("<figure>\n");
      if (p.file.empty()) {
        add("<div class=\"none\">no picture</div>\n");
      } else {
        add("<img alt=\"", escaped(p.caption), "\" src=\"data:", detail::media_type(p.file),
            ";base64,", io::base64_encode(p.file), "\">\n");
      }
      if (!p.caption.empty()) add("<figcaption>", escaped(p.caption), "</figcaption>\n");
      add(p.facts.empty() ? "" : list(p.facts), "</figure>\n");
    }
    add("</div>\n");
  }
  /// What `inside` adds is behind a summary to click on.
  template <class F>
  void section(std::string_view summary, F inside, bool open = false) {
    add(open ? "<details open>" : "<details>", "<summary>", escaped(summary), "</summary>\n");
    inside();
    add("</details>\n");
  }

  [[nodiscard]] std::string html() const {
    return cat(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
        escaped(title_), "</title>\n<style>", detail::style, "</style>\n</head>\n<body>\n<h1>",
        escaped(title_), "</h1>\n", body_, "</body>\n</html>\n");
  }
  /// The file is there whole, or as it was.
  void write(const std::string& path) const { write_whole(path, html()); }

 private:
  template <class... Parts>
  void add(const Parts&... parts) {
    body_ += cat(parts...);
  }
  static std::string list(const Facts& facts) {
    std::string out = "<dl>\n";
    for (const auto& [name, value] : facts)
      out += cat("<dt>", escaped(name), "</dt><dd>", escaped(value), "</dd>\n");
    return out + "</dl>\n";
  }

  std::string title_;
  std::string body_{};
};

}  // namespace plume::report
