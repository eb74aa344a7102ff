#pragma once
// The log of a run: JSON, an object a line, each with its "event" and "step" (how many steps were taken by then).
// A line is in the file when write() returns, so a run that is killed has all of its log but perhaps half a line.

#include <cstdio>
#include <filesystem>
#include <string>

#include "plume/core/shape.hpp"
#include "plume/io/file.hpp"
#include "plume/io/json.hpp"

namespace plume::train {

class Log {
 public:
  /// Appends to the file.
  explicit Log(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "ab")) {
    if (file_ == nullptr) plume::detail::fail_file("open", path_);
  }
  ~Log() { std::fclose(file_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void write(const io::Json& line) {
    const std::string text = io::print_json(line) + "\n";
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0)
      plume::detail::fail_file("write", path_);
  }
  /// Returns when the lines are on the disk.
  void sync() const {
    if (fsync(fileno(file_)) != 0) plume::detail::fail_file("write", path_);
  }

 private:
  std::string path_;
  std::FILE* file_;
};

/// Cuts a log back to what it was after `step` steps: the first line of a later step, one that is no JSON, and one of
/// the event "end" (a run that goes on has not ended) go, with all that follow. A file that is not there is left alone.
inline void cut_log(const std::string& path, index_t step) {
  if (!std::filesystem::exists(path)) return;
  std::size_t kept = 0;
  {
    const io::Source source = io::Source::file(path);
    const std::string_view text = source.text();
    for (std::size_t end; (end = text.find('\n', kept)) != std::string_view::npos; kept = end + 1) {
      const io::Json line = io::try_parse_json(text.substr(kept, end - kept)).value_or(nullptr);
      if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) break;
      if (line["step"].get<index_t>() > step || line.value("event", io::Json()) == "end") break;
    }
  }
  std::filesystem::resize_file(path, kept);
}

}  // namespace plume::train
