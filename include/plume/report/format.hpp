#pragma once
// Numbers and text as people read them; the same in every locale.

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "plume/core/error.hpp"
#include "plume/text/utf8.hpp"

namespace plume::report {

/// A number with `digits` digits after the point.
inline std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const double power = std::pow(10.0, digits);
  const double scaled = std::round(std::abs(value) * power);
  if (scaled >= 1e15) return value < 0 ? "-1e15+" : "1e15+";
  std::string text = std::to_string(static_cast<long long>(scaled));
  const auto n = static_cast<std::size_t>(digits);
  if (text.size() <= n) text.insert(0, n + 1 - text.size(), '0');
  if (n > 0) text.insert(text.size() - n, ".");
  return value < 0 && scaled > 0 ? "-" + text : text;
}

/// "4 min 10 s": the two largest units.
inline std::string duration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e15)) return "?";
  const auto s = static_cast<long long>(seconds + 0.5);
  if (s < 60) return cat(s, " s");
  if (s < 3600) return cat(s / 60, " min ", s % 60, " s");
  if (s < 86400) return cat(s / 3600, " h ", s % 3600 / 60, " min");
  return cat(s / 86400, " d ", s % 86400 / 3600, " h");
}

/// Of `digits` significant digits, and all of those before the point: "0.03125", "12345", "1e-05", "nan".
inline std::string number(double value, int digits = 4) {
  if (std::abs(value) >= std::pow(10.0, digits) && std::abs(value) < 1e15) return fixed(value, 0);
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, digits);
  return {buffer, end.ptr};
}

/// "1 234 567": in groups of three.
inline std::string grouped(long long value) {
  std::string text = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) text.insert(at -= 3, " ");
  return text;
}

/// As the text of an element or the value of an attribute, in HTML and in XML. What is not UTF-8, and the control
/// characters that XML has no way to write, are U+FFFD.
inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text::lossy_utf8(text)) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
      out += "\xef\xbf\xbd";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace plume::report
