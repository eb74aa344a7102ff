// What docs/ says is true of the tree: links lead somewhere, and code is quoted from files that are compiled.
//
// In docs/*.md and README.md, a ```cpp block must follow one of
//   <!-- from PATH -->     its lines stand in that file, one after another (indentation aside)
//   <!-- sketch -->        not code of this tree

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "plume/ops/layer_norm.hpp"
#include "tests/support/compare.hpp"

// The program of the tutorial, to be run below.
#define main tutorial_main
#include "examples/tutorial.cpp"
#undef main

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string stripped(const Lines& lines) {
  std::string out = "\n";
  for (const std::string& line : lines) {
    const std::size_t begin = line.find_first_not_of(' ');
    out += (begin == std::string::npos ? "" : line.substr(begin)) + "\n";
  }
  return out;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> out{"README.md", "CONTRIBUTING.md", "SECURITY.md"};
  for (const auto& entry : fs::directory_iterator("docs")) {
    if (entry.path().extension() == ".md") out.push_back(entry.path());
  }
  return out;
}

// What stands between `begin` and `end`, or nothing.
std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  if (text.rfind(begin, 0) != 0 || text.size() < begin.size() + end.size()) return {};
  const std::size_t stop = text.find(end, begin.size());
  return stop == std::string::npos ? "" : text.substr(begin.size(), stop - begin.size());
}

TEST_CASE("docs: links lead somewhere") {
  int links = 0;
  for (const fs::path& page : pages()) {
    bool code = false;
    for (const std::string& line : lines_of(read(page))) {
      if (line.rfind("```", 0) == 0) code = !code;
      if (code || line.rfind("    ", 0) == 0) continue;
      for (std::size_t at = line.find("]("); at != line.npos; at = line.find("](", at + 1)) {
        std::string target = line.substr(at + 2, line.find(')', at) - at - 2);
        target = target.substr(0, target.find('#'));
        if (target.empty() || target.find("://") != target.npos) continue;
        if (target == "ops.md")
          continue;  // written by the op tests; tests/guards/ops_table looks after it
        ++links;
        CHECK_MESSAGE(fs::exists(page.parent_path() / target), page.string(), " links to ", target);
      }
    }
  }
  CHECK(links > 10);
}

TEST_CASE("docs: code is quoted from the tree") {
  int quotes = 0;
  for (const fs::path& page : pages()) {
    const Lines lines = lines_of(read(page));
    std::string marker;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].rfind("```", 0) != 0) {
        if (!lines[i].empty()) marker = lines[i];
        continue;
      }
      Lines block;
      const std::string language = lines[i].substr(3);
      const std::size_t start = i + 1;
      for (++i; i < lines.size() && lines[i] != "```"; ++i) block.push_back(lines[i]);
      const std::string from = between(marker, "<!-- from ", " -->");
      INFO(page.string(), ":", start);
      if (!from.empty()) {
        ++quotes;
        const std::string source = stripped(lines_of(read(from)));
        CHECK_MESSAGE(source.find(stripped(block)) != std::string::npos, "not in ", from, ":\n",
                      stripped(block));
      } else {
        CHECK_MESSAGE((language != "cpp" || marker == "<!-- sketch -->"), "unmarked code");
      }
      marker.clear();
    }
  }
  CHECK(quotes > 10);
}

TEST_CASE("docs: the program of the tutorial prints what the page says") {
  std::ostringstream printed;
  std::streambuf* const terminal = std::cout.rdbuf(printed.rdbuf());
  const std::ios format(nullptr);
  tutorial_main();
  std::cout.rdbuf(terminal);
  std::cout.copyfmt(format);
  if (plume::cuda_is_available()) return;  // one line is about a build without
  const Lines got = lines_of(printed.str());
  const Lines expected = lines_of(read("examples/tutorial.expected"));
  for (std::size_t i = 0; i < std::max(got.size(), expected.size()); ++i) {
    REQUIRE(i < got.size());
    REQUIRE(i < expected.size());
    CHECK(got[i] == expected[i]);
  }
}

TEST_CASE("docs: the row of layer_norm.md that was worked out by hand") {
  using namespace plume;
  const Tensor<double> x({1, 3}, {1, 2, 3});
  const Tensor<double> w = ones<double>({3});
  LayerNormSaved<double> saved;
  (void)layer_norm(x, w, {}, 0.0, &saved);
  const Tensor<double> dy({1, 3}, {1, 0, 0});
  const Tensor<double> dx = layer_norm_backward(dy, x, w, saved, true, false, false).dx;
  const auto c = test::compare(dx, Tensor<double>({1, 3}, {0.2041, -0.4082, 0.2041}), {0, 2e-4});
  CHECK_MESSAGE(c.ok, c.message);
}

}  // namespace
