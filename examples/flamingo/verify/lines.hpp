#pragma once
// JSON lines: an object a line.

#include <filesystem>

#include "plume/io/json.hpp"

namespace flamingo {

/// The objects of a file with one a line.
inline std::vector<plume::io::Json> json_lines(const std::filesystem::path& path) {
  std::vector<plume::io::Json> out;
  const plume::io::Source file = plume::io::Source::file(path.string());
  std::string_view rest(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0)
      out.push_back(plume::io::parse_json(plume::cat(path.string(), " line ", out.size() + 1),
                                          rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

}  // namespace flamingo
