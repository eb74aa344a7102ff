#pragma once
// JSON from strangers: bounded in size and depth, each key once, every complaint a FormatError.

#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <vector>

#include "plume/io/limits.hpp"
#include "plume/io/mapped_file.hpp"

namespace plume::io {

using Json = nlohmann::json;

/// Parses `text`; `name` is for messages. Throws FormatError.
inline Json parse_json(const std::string& name, std::string_view text,
                       const Limits& limits = default_limits) {
  if (text.size() > limits.json_bytes) {
    fail<FormatError>(name, cat("JSON of at most ", limits.json_bytes, " bytes"), text.size());
  }
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > limits.json_depth)
      fail<FormatError>(name, cat("JSON at most ", limits.json_depth, " deep"), "deeper");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      fail<FormatError>(name, "each key of a JSON object once",
                        cat(parsed.get<std::string>(), " twice"));
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& error) {
    fail<FormatError>(name, "valid JSON", error.what());
  }
}

inline Json read_json(const std::string& path, const Limits& limits = default_limits) {
  const Source source = Source::file(path);
  return parse_json(path, source.text(), limits);
}

/// Calls use(where, json) for each line of `text` that is not blank; `where` is `name` and the number of the line, for
/// messages.
template <class F>
void for_each_json_line(const std::string& name, std::string_view text, F use,
                        const Limits& limits = default_limits) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = cat(name, " line ", number);
    use(where, parse_json(where, line, limits));
  }
}

/// The same of a file.
template <class F>
void for_each_json_line(const std::string& path, F use, const Limits& limits = default_limits) {
  const Source source = Source::file(path);
  for_each_json_line(path, source.text(), use, limits);
}

inline std::vector<Json> read_json_lines(const std::string& path,
                                         const Limits& limits = default_limits) {
  std::vector<Json> out;
  for_each_json_line(
      path, [&](const std::string&, Json json) { out.push_back(std::move(json)); }, limits);
  return out;
}

}  // namespace plume::io
