#pragma once
// Lists of shards as people write them: "data/{00000..00099}.tar", "a/*.tar::b/{x,y}.tar".
//
//   ::        separates patterns          {a,b}   each of these
//   {1..9}    a range; {001..099} keeps its width, {0..9..3} has a step      * ? [ ]   files that exist
//
// A list, a pattern or what its braces give that is the name of a file stands for that file, whatever signs it has.

#include <glob.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "plume/core/error.hpp"

namespace plume::data {

namespace detail {

constexpr std::size_t most_shards = 10'000'000;

inline bool is_file(std::string_view name) {
  std::error_code none;  // names that are too long are no files
  return std::filesystem::is_regular_file(std::filesystem::path(name), none);
}

/// The items of "a..b" or "a..b..step"; empty where the text is no range.
inline std::vector<std::string> range(std::string_view text) {
  std::vector<std::string_view> part;
  while (true) {
    const std::size_t dots = text.find("..");
    part.push_back(text.substr(0, dots));
    if (dots == std::string_view::npos) break;
    text.remove_prefix(dots + 2);
  }
  if (part.size() < 2 || part.size() > 3) return {};
  std::int64_t number[3] = {0, 0, 1};
  for (std::size_t i = 0; i < part.size(); ++i) {
    const char* end = part[i].data() + part[i].size();
    const auto [stop, error] = std::from_chars(part[i].data(), end, number[i]);
    if (part[i].empty() || error != std::errc() || stop != end) return {};
  }
  if (number[0] < 0 || number[1] < 0) return {};
  const auto step = static_cast<std::uint64_t>(number[2] < 0 ? -number[2] : number[2]);
  const auto first = static_cast<std::uint64_t>(number[0]);
  const auto last = static_cast<std::uint64_t>(number[1]);
  const std::uint64_t span = first < last ? last - first : first - last;
  if (step == 0 || span / step >= most_shards)
    fail<ValueError>("shards", cat("a range of at most ", most_shards, " in steps above 0"), text);
  const bool wide =
      (part[0].size() > 1 && part[0][0] == '0') || (part[1].size() > 1 && part[1][0] == '0');
  const std::size_t width = wide ? std::max(part[0].size(), part[1].size()) : 0;
  std::vector<std::string> out;
  for (std::uint64_t done = 0; done <= span; done += step) {
    std::string digits = std::to_string(first < last ? first + done : first - done);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    out.push_back(std::move(digits));
  }
  return out;
}

inline std::vector<std::string> expand_braces(const std::string& pattern) {
  const std::size_t open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  std::vector<std::string> choices(1);
  std::size_t close = open + 1;
  for (int depth = 1; close < pattern.size(); ++close) {
    const char c = pattern[close];
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth == 0) break;
    if (c == ',' && depth == 1) {
      choices.emplace_back();
    } else {
      choices.back() += c;
    }
  }
  if (close == pattern.size()) fail<ValueError>("shards", "a } for each {", pattern);
  if (choices.size() == 1) {
    choices = range(choices[0]);
    if (choices.empty()) fail<ValueError>("shards", "{a,b} or {1..9}", pattern);
  }
  const std::vector<std::string> rest = expand_braces(pattern.substr(close + 1));
  std::vector<std::string> out;
  for (const std::string& choice : choices) {
    for (const std::string& middle : expand_braces(choice)) {
      for (const std::string& end : rest) {
        if (out.size() == most_shards)
          fail<ValueError>("shards", cat("at most ", most_shards, " shards"), "more");
        out.push_back(pattern.substr(0, open) + middle + end);
      }
    }
  }
  return out;
}

}  // namespace detail

/// Paths in the order of the list; those of a glob by name. Throws ValueError where a pattern is broken, a glob finds
/// nothing, or the list is empty. Whether the others exist is for preflight() to say.
inline std::vector<std::string> expand_shards(std::string_view list) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t end = list.find("::");
    const std::string pattern(list.substr(0, end));
    if (detail::is_file(list)) {
      out.emplace_back(list);
      return out;
    }
    if (pattern.empty()) fail<ValueError>("shards", "a path, or several with :: between", "none");
    for (std::string& path : detail::is_file(pattern) ? std::vector<std::string>{pattern}
                                                      : detail::expand_braces(pattern)) {
      if (path.find_first_of("*?[") == std::string::npos || detail::is_file(path)) {
        out.push_back(std::move(path));
        continue;
      }
      glob_t found{};
      if (::glob(path.c_str(), 0, nullptr, &found) == 0)
        out.insert(out.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
      const bool none = found.gl_pathc == 0;
      ::globfree(&found);
      if (none) fail<ValueError>("shards", cat("files like ", path), "none");
    }
    if (end == std::string_view::npos) return out;
    list.remove_prefix(end + 2);
  }
}

}  // namespace plume::data
