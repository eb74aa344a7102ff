#include "plume/report/page.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "plume/report/plot.hpp"
#include "tests/report/markup.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using report::Page;
using report::Picture;
using test::count;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
const std::string png = std::string("\x89PNG\r\n\x1a\n", 8) + "the rest";
const std::string jpeg = "\xff\xd8\xff the rest";

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("page: everything that is text stays text, and the page is well-formed") {
  const std::string evil = "</title><script>alert(\"1\")</script>&\xff\x01 '\"";
  Page page(evil);
  page.heading(evil);
  page.heading(evil, 3);
  page.paragraph(evil);
  page.facts({{evil, evil}});
  page.table({.columns = {evil, "b"}, .rows = {{evil, "1"}, {"", ""}}});
  page.side_by_side([&] { page.figure(report::line_plot({}), evil); });
  page.pictures({{bytes_of(png), evil, {{evil, evil}}}, {bytes_of(jpeg)}, {}});
  page.section(evil, [&] { page.paragraph("inside"); });
  page.section(
      evil, [&] { page.paragraph("seen"); }, true);
  const std::string html = page.html();
  CHECK(test::markup_mistake(html) == "");
  CHECK(count(html, "<script") == 0);
  CHECK(count(html, "<title>") == 1);
  CHECK(count(html, "<details open>") == 1);
  CHECK(count(html, "no picture") == 1);
}

TEST_CASE("page: it refers to nothing outside itself") {
  Page page("A");
  page.figure(report::line_plot({{.x = {1, 2}, .y = {1, 2}}}));
  page.pictures({{bytes_of(png), "a"}, {bytes_of(jpeg), "b"}});
  const std::string html = page.html();
  CHECK(count(html, "src=") == 2);
  CHECK(count(html, "src=\"data:image/png;base64,iVBORw0KGgp0aGUgcmVzdA==\"") == 1);
  CHECK(count(html, "src=\"data:image/jpeg;base64,") == 1);
  for (const char* reference : {"href", "url(", "@import", "<link", "<iframe", "<object"})
    CHECK_MESSAGE(count(html, reference) == 0, reference);
  CHECK(count(html, "http") == count(html, "xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(count(html, "prefers-color-scheme: dark") == 1);
}

TEST_CASE("page: columns of numbers are to the right, all others to the left") {
  Page page("A");
  page.table({.columns = {"name", "share", "mixed"},
              .rows = {{"a", "12.5 %", "1"}, {"b", "-1e-05", "x"}, {"c", "", ""}, {"d", "-", ""}}});
  CHECK(count(page.html(), "class=\"n\"") == 5);
  CHECK(count(page.html(), "<th class=\"n\">share</th>") == 1);
}

TEST_CASE("page: what cannot be shown is refused, and leaves the page as it was") {
  Page page("A");
  const std::string before = page.html();
  CHECK_THROWS_AS(page.table({.columns = {"a", "b"}, .rows = {{"1"}}}), ShapeError);
  CHECK_THROWS_WITH_AS(page.pictures({{bytes_of(png)}, {bytes_of("GIF89a")}}),
                       doctest::Contains("PNG or JPEG"), FormatError);
  CHECK_THROWS_WITH_AS(page.figure("<p>"), doctest::Contains("SVG"), ValueError);
  CHECK(page.html() == before);
  CHECK(report::is_picture(bytes_of(jpeg)));
  CHECK(!report::is_picture(bytes_of("\xff\xd8")));
}

TEST_CASE("page: written whole, or the one from before stays") {
  const test::Folder folder;
  Page page("A");
  page.write(folder.file("a.html"));
  CHECK(read(folder.file("a.html")) == page.html());
  const std::string before = page.html();
  page.paragraph("more");
  durable::before_operation = [](durable::Operation operation, const std::string&) {
    if (operation == durable::Operation::rename)
      throw std::system_error(ENOSPC, std::generic_category());
  };
  CHECK_THROWS_AS(page.write(folder.file("a.html")), std::system_error);
  durable::before_operation = nullptr;
  CHECK(read(folder.file("a.html")) == before);
  CHECK(folder.count() == 1);
  page.write(folder.file("a.html"));
  CHECK(read(folder.file("a.html")) == page.html());
}

}  // namespace
