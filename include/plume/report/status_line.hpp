#pragma once
// A line that says how something goes. On a terminal it is written over itself; elsewhere a new line comes every so
// often.

#include <chrono>
#include <optional>
#include <ostream>
#include <string_view>

namespace plume::report {

class StatusLine {
 public:
  StatusLine(std::ostream& out, bool terminal, double seconds_between_lines = 10)
      : out_(out), terminal_(terminal), between_(terminal ? 0.1 : seconds_between_lines) {}
  ~StatusLine() { end_line(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// Whether it is time for show(); always for the first line and the `last`.
  [[nodiscard]] bool due(bool last) {
    const auto now = Clock::now();
    if (shown_ && !last && std::chrono::duration<double>(now - *shown_).count() < between_)
      return false;
    shown_ = now;
    return true;
  }
  void show(std::string_view line) {
    if (terminal_) {
      out_ << '\r' << line << "\x1b[K" << std::flush;
      open_ = true;
    } else {
      out_ << line << std::endl;
    }
  }
  /// A line of its own, which stays.
  void say(std::string_view text) {
    end_line();
    out_ << text << std::endl;
  }

 private:
  using Clock = std::chrono::steady_clock;
  void end_line() {
    if (open_) out_ << std::endl;
    open_ = false;
  }

  std::ostream& out_;
  bool terminal_;
  double between_;
  bool open_ = false;  ///< the cursor stands behind a line
  std::optional<Clock::time_point> shown_{};
};

}  // namespace plume::report
