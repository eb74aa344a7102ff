#pragma once
// Checks of the values of options, all made before a command begins its work. They read the text that was given, so
// that nothing is wrapped, rounded or cut on the way to a number: "-1" is no seed, "2.5" and "1e3" are no counts, "nan"
// and "inf" are no rates. Each message says what was expected and what was given; CLI11 puts the option before it.
//
//   command.add_option("--steps", steps)->transform(checks::integer(1));
//   command.add_option("--lr", rate)->transform(checks::non_negative());

#include <unistd.h>  // access

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <system_error>

#include "plume/core/error.hpp"

namespace flamingo::checks {

/// More than any count of steps, samples or tokens that is meant.
inline constexpr std::uint64_t most_count = 1'000'000'000'000'000;
inline constexpr std::uint64_t any_seed = std::numeric_limits<std::uint64_t>::max();

namespace detail {

inline std::string refusal(const std::string& expected, const std::string& got) {
  return plume::cat("expected ", expected, ", got ", got.empty() ? "an empty text" : got);
}

/// Whether all of `text` is a value of the type of `out`.
template <class V>
bool parse(const std::string& text, V& out) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stop == end;
}

/// A finite number that `in_range` takes.
template <class F>
CLI::Validator number(const std::string& expected, F in_range) {
  return {[=](std::string& text) {
            double value = 0;
            if (!parse(text, value) || !std::isfinite(value) || !in_range(value))
              return refusal(expected, text);
            return std::string();
          },
          expected};
}

}  // namespace detail

/// An integer in decimal digits, at least `least` and at most `most`.
inline CLI::Validator integer(std::int64_t least, std::uint64_t most = most_count) {
  const std::string expected = most == any_seed || most == most_count
                                   ? plume::cat("an integer of ", least, " or more")
                                   : plume::cat("an integer of ", least, " to ", most);
  return {[=](std::string& text) {
            std::int64_t negative = 0;
            std::uint64_t value = 0;
            if (detail::parse(text, value)) {
              if (value > most || (least > 0 && value < static_cast<std::uint64_t>(least)))
                return detail::refusal(
                    value > most ? plume::cat("an integer of ", least, " to ", most) : expected,
                    text);
              text = std::to_string(value);  // 010 is ten; elsewhere it may be octal
            } else if (!detail::parse(text, negative) || negative < least) {
              return detail::refusal(expected, text);
            }
            return std::string();
          },
          expected};
}

inline CLI::Validator finite() {
  return detail::number("a finite number", [](double) { return true; });
}
inline CLI::Validator positive() {
  return detail::number("a finite number above 0", [](double x) { return x > 0; });
}
inline CLI::Validator non_negative() {
  return detail::number("a finite number of 0 or more", [](double x) { return x >= 0; });
}
inline CLI::Validator between_0_and_1() {
  return detail::number("a number of 0 to 1", [](double x) { return x >= 0 && x <= 1; });
}
inline CLI::Validator percentage() {
  return detail::number("a number of 0 to 100", [](double x) { return x >= 0 && x <= 100; });
}
/// A probability of something that must be possible: in (0, 1].
inline CLI::Validator probability() {
  return detail::number("a number above 0 and at most 1", [](double x) { return x > 0 && x <= 1; });
}

/// Why a file of that name cannot be read; empty where it can.
inline std::string unreadable(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    return detail::refusal("a file that can be read", path + " (no such file)");
  if (std::filesystem::is_directory(status))
    return detail::refusal("a file that can be read", path + " (a folder)");
  if (::access(path.c_str(), R_OK) != 0)
    return detail::refusal("a file that can be read",
                           plume::cat(path, " (", std::strerror(errno), ")"));
  return {};
}
inline CLI::Validator readable_file() {
  return {[](std::string& path) { return unreadable(path); }, ""};
}

/// Why no file of that name, or with `folder` no folder, can be written; empty where one can. Folders above a folder are
/// made, those above a file must be there.
inline std::string unwritable(const std::string& path, bool folder) {
  namespace fs = std::filesystem;
  const std::string expected = folder ? "a folder that can be written to" : "a file to write";
  const auto refuse = [&](const std::string& why) {
    return detail::refusal(expected, plume::cat(path.empty() ? "\"\"" : path, " (", why, ")"));
  };
  std::error_code error;
  if (path.empty()) return refuse("no name");
  const auto status = fs::status(path, error);
  fs::path above = fs::absolute(path, error);
  if (folder) {
    while (!fs::exists(above, error) && above.has_relative_path()) above = above.parent_path();
  } else {
    if (fs::is_directory(status) || path.back() == '/') return refuse("a folder");
    if (fs::exists(status) && !fs::is_regular_file(status)) return refuse("not a regular file");
    above = above.parent_path();
  }
  if (!fs::exists(above, error)) return refuse(above.string() + " is not there");
  if (!fs::is_directory(above, error)) return refuse(above.string() + " is not a folder");
  if (::access(above.c_str(), W_OK | X_OK) != 0)
    return refuse(plume::cat(above.string(), ": ", std::strerror(errno)));
  return {};
}
inline CLI::Validator writable_file() {
  return {[](std::string& path) { return unwritable(path, false); }, ""};
}
inline CLI::Validator writable_folder() {
  return {[](std::string& path) { return unwritable(path, true); }, ""};
}

/// For what is more than one option's affair: throws ValidationError, a line as those above make it.
[[noreturn]] inline void refuse(const std::string& option, const std::string& expected,
                                const std::string& got) {
  throw CLI::ValidationError(option, detail::refusal(expected, got));
}
template <class V>
void require_distinct(const std::string& option, const std::vector<V>& values) {
  std::set<V> seen;
  for (const V& value : values) {
    if (!seen.insert(value).second) refuse(option, "each value once", plume::cat(value, " twice"));
  }
}

}  // namespace flamingo::checks
