#pragma once
// JSON: the one way in, as Python's `json` reads it, and the one way out. What is read is bounded in size and depth,
// so that copying, comparing and printing it are too; every complaint is a FormatError.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "plume/io/json_parser.hpp"
#include "plume/io/mapped_file.hpp"

namespace plume::io {

/// Parses `text`; `name` is for messages. Throws FormatError.
inline Json parse_json(const std::string& name, std::string_view text,
                       JsonForm form = JsonForm::text, const Limits& limits = default_limits) {
  if (text.size() > limits.json_bytes) {
    fail<FormatError>(name, cat("JSON of at most ", limits.json_bytes, " bytes"), text.size());
  }
  std::optional<std::string> utf8;
  if (form == JsonForm::bytes) utf8 = detail::utf8_of_wide_json(text);
  return detail::JsonParser(name, utf8 ? *utf8 : text, form, limits.json_depth).document();
}

/// The same; nothing where parse_json() throws.
inline std::optional<Json> try_parse_json(std::string_view text, JsonForm form = JsonForm::text) {
  try {
    return parse_json("JSON", text, form);
  } catch (const FormatError&) {
    return std::nullopt;
  }
}

inline Json read_json(const std::string& path, const Limits& limits = default_limits) {
  const Source source = Source::file(path);
  return parse_json(path, source.text(), JsonForm::text, limits);
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
    use(where, parse_json(where, line, JsonForm::text, limits));
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

/// Any bytes as a text that JSON can hold: a byte that is no UTF-8 becomes the surrogate U+DC80 to U+DCFF, as Python's
/// names of files have it (os.fsdecode). Bytes that are UTF-8 stay as they are.
inline std::string json_text(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t length = detail::utf8_length(bytes, true);
    if (length == 0) {
      detail::append_wtf8(out, 0xDC00 | static_cast<unsigned char>(bytes[0]));
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

/// The bytes that json_text() made `text` of (os.fsencode).
inline std::string bytes_of_json_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const bool escaped = text.size() >= 3 && text[0] == '\xED' && (text[1] & '\x3E') == '\x32' &&
                         detail::utf8_length(text, true) == 3;
    if (escaped) {
      out += static_cast<char>((text[1] & 1) << 6 | (text[2] & 0x3F) | 0x80);
    } else {
      out += text[0];
    }
    text.remove_prefix(escaped ? 3 : 1);
  }
  return out;
}

/// How numbers that JSON cannot express are printed.
enum class Nonfinite {
  null,   ///< null, which every reader takes
  python  ///< NaN, Infinity, -Infinity
};

namespace detail {

inline bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text, false);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// What nlohmann prints, but for text that is not UTF-8: a surrogate as \udXXX, and a broken byte as json_text() has it.
inline void print_string(std::string& out, const std::string& text) {
  constexpr const char* digits = "0123456789abcdef";
  const std::string valid = json_text(text);
  std::string_view rest = valid;
  out += '"';
  std::string piece;
  const auto flush = [&] {
    const std::string quoted = Json(std::exchange(piece, {})).dump();
    out.append(quoted, 1, quoted.size() - 2);
  };
  while (!rest.empty()) {
    const std::size_t length = utf8_length(rest, true);
    if (length == 3 && utf8_length(rest, false) == 0) {
      flush();
      const unsigned c = 0xD000U | (static_cast<unsigned>(rest[1]) & 0x3F) << 6 |
                         (static_cast<unsigned>(rest[2]) & 0x3F);
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += digits[c >> shift & 15];
    } else {
      piece += rest.substr(0, length);
    }
    rest.remove_prefix(length);
  }
  flush();
  out += '"';
}

template <class AnyJson>
void print(std::string& out, const AnyJson& json, int indent, Nonfinite nonfinite, int depth) {
  if (depth > 2 * default_limits.json_depth)
    fail<ValueError>("print_json", cat("JSON at most ", 2 * default_limits.json_depth, " deep"),
                     "deeper");
  const auto line = [&](int level) {
    if (indent >= 0) out.append("\n").append(static_cast<std::size_t>(indent * level), ' ');
  };
  const char* separator = "";
  if (json.is_object() && !json.empty()) {
    out += '{';
    for (const auto& [key, value] : json.items()) {
      out += std::exchange(separator, ",");
      line(depth + 1);
      print_string(out, key);
      out += indent >= 0 ? ": " : ":";
      print(out, value, indent, nonfinite, depth + 1);
    }
    line(depth);
    out += '}';
  } else if (json.is_array() && !json.empty()) {
    out += '[';
    for (const AnyJson& value : json) {
      out += std::exchange(separator, ",");
      line(depth + 1);
      print(out, value, indent, nonfinite, depth + 1);
    }
    line(depth);
    out += ']';
  } else if (json.is_string() && !is_utf8(json.template get_ref<const std::string&>())) {
    print_string(out, json.template get_ref<const std::string&>());
  } else if (json.is_number_float() && !std::isfinite(json.template get<double>()) &&
             nonfinite == Nonfinite::python) {
    const double value = json.template get<double>();
    out += std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  } else {
    out += json.dump();
  }
}

}  // namespace detail

/// `json` as text, in one line or with `indent` spaces a level. No text in it makes this throw.
inline std::string print_json(const Json& json, int indent = -1,
                              Nonfinite nonfinite = Nonfinite::null) {
  std::string out;
  detail::print(out, json, indent, nonfinite, 0);
  return out;
}

}  // namespace plume::io
