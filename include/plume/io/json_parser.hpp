#pragma once
// The parser behind parse_json: one pass over the text, with the rules of Python's `json` module.
//
// Accepted beyond RFC 8259: NaN, Infinity, -Infinity; a number too large is infinite; \ud800 without its partner; a key
// that comes again, whose last value counts. A string is held as UTF-8 in which a lone surrogate has the three bytes
// that UTF-8 would give its number (WTF-8).

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plume/core/error.hpp"
#include "plume/io/limits.hpp"

namespace plume::io {

using Json = nlohmann::json;

/// Which of Python's readers a text is read as.
enum class JsonForm {
  text,  ///< json.loads(str): UTF-8 without a byte order mark
  bytes,  ///< json.loads(bytes): UTF-8, UTF-16 or UTF-32, with or without a mark, surrogates let through
  strict  ///< no Python: RFC 8259 alone, and each key once
};

namespace detail {

/// Bytes of the code point that begins `text`; 0 where that is no UTF-8. A surrogate (bytes ED A0 to ED BF) counts where
/// `surrogates` is set.
inline std::size_t utf8_length(std::string_view text, bool surrogates) {
  const auto at = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED && !surrogates ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xBF) return 0;
  }
  return length;
}

inline void append_wtf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

constexpr bool is_high_surrogate(std::uint32_t c) { return c >= 0xD800 && c < 0xDC00; }
constexpr bool is_low_surrogate(std::uint32_t c) { return c >= 0xDC00 && c < 0xE000; }

class JsonParser {
 public:
  JsonParser(const std::string& name, std::string_view text, JsonForm form, int depth)
      : name_(name), text_(text), form_(form), depth_(depth) {}

  Json document() {
    if (text_.starts_with("\xEF\xBB\xBF")) refuse("no byte order mark");
    space();
    Json out = value(0);
    space();
    if (at_ < text_.size()) refuse("the end");
    return out;
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] bool strict() const { return form_ == JsonForm::strict; }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  /// Names the place by line and byte of that line, both from 1.
  [[noreturn]] void refuse(const std::string& expected) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    std::string got;
    for (const char c : text_.substr(at_, 20)) {
      const auto byte = static_cast<unsigned char>(c);
      constexpr const char* digits = "0123456789abcdef";
      if (byte >= 0x20 && byte < 0x7F) {
        got += c;
      } else {
        got.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
      }
    }
    fail<FormatError>(name_,
                      cat("JSON with ", expected, " in line ", line, " at byte ", at_ - start + 1),
                      at_ < text_.size() ? got : "the end of the text");
  }

  Json value(int depth) {
    switch (peek()) {
      case '{':
        return object(deeper(depth));
      case '[':
        return array(deeper(depth));
      case '"':
        return string();
      case 't':
        if (take("true")) return true;
        break;
      case 'f':
        if (take("false")) return false;
        break;
      case 'n':
        if (take("null")) return nullptr;
        break;
      case 'N':
        if (!strict() && take("NaN")) return std::numeric_limits<double>::quiet_NaN();
        break;
      case 'I':
        if (!strict() && take("Infinity")) return std::numeric_limits<double>::infinity();
        break;
      default:
        return number();
    }
    refuse("a value");
  }

  [[nodiscard]] int deeper(int depth) const {
    if (depth >= depth_) fail<FormatError>(name_, cat("JSON at most ", depth_, " deep"), "deeper");
    return depth + 1;
  }

  Json object(int depth) {
    Json out = Json::object();
    auto& members = out.get_ref<Json::object_t&>();
    ++at_;
    space();
    if (take("}")) return out;
    while (true) {
      if (peek() != '"') refuse("a key in double quotes");
      const std::size_t start = at_;
      std::string key = string();
      space();
      if (!take(":")) refuse("a ':'");
      space();
      if (strict() && members.contains(key)) {
        at_ = start;
        refuse("each key of an object once");
      }
      members.insert_or_assign(std::move(key), value(depth));
      space();
      if (take("}")) return out;
      if (!take(",")) refuse("a ',' or '}'");
      space();
    }
  }

  Json array(int depth) {
    Json out = Json::array();
    auto& items = out.get_ref<Json::array_t&>();
    ++at_;
    space();
    if (take("]")) return out;
    while (true) {
      items.push_back(value(depth));
      space();
      if (take("]")) return out;
      if (!take(",")) refuse("a ',' or ']'");
      space();
    }
  }

  std::string string() {
    std::string out;
    ++at_;
    while (true) {
      if (at_ >= text_.size()) refuse("the end of a string");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c < 0x20) refuse("no control character in a string");
      if (c == '\\') {
        escape(out);
      } else {
        const std::size_t length = utf8_length(text_.substr(at_), form_ == JsonForm::bytes);
        if (length == 0) refuse("UTF-8");
        out.append(text_, at_, length);
        at_ += length;
      }
    }
  }

  void escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    const char letter = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (letter == 'u') {
      std::uint32_t c = unit();
      if (is_high_surrogate(c) && text_.substr(at_).starts_with("\\u")) {
        const std::size_t here = at_;
        const std::uint32_t next = unit();
        if (is_low_surrogate(next)) {
          c = 0x10000 + ((c & 0x3FF) << 10) + (next & 0x3FF);
        } else {
          at_ = here;
        }
      }
      if (strict() && (is_high_surrogate(c) || is_low_surrogate(c)))
        refuse("both halves of a surrogate pair");
      return append_wtf8(out, c);
    }
    const std::size_t which = letter == '\0' ? letters.npos : letters.find(letter);
    if (which == letters.npos) refuse("a known escape");
    out += meant[which];
    at_ += 2;
  }

  /// The number of the \uXXXX that is here.
  std::uint32_t unit() {
    std::uint32_t out = 0;
    const char* const first = text_.data() + at_ + 2;
    if (text_.size() - at_ < 6 || std::from_chars(first, first + 4, out, 16).ptr != first + 4)
      refuse("four hexadecimal digits");
    at_ += 6;
    return out;
  }

  Json number() {
    const std::size_t start = at_;
    const bool negative = take("-");
    if (negative && !strict() && take("Infinity")) return -std::numeric_limits<double>::infinity();
    const auto digits = [&] {
      const std::size_t from = at_;
      while (peek() >= '0' && peek() <= '9') ++at_;
      return at_ - from;
    };
    if (peek() == '0') {
      ++at_;
    } else if (digits() == 0) {
      at_ = start;
      refuse("a value");
    }
    const std::size_t whole = at_ - start;
    bool integer = true;
    std::size_t end = at_;
    const auto part = [&](bool there) {
      if (there && digits() > 0) {
        integer = false;
        end = at_;
      }
      at_ = end;
    };
    part(take("."));
    if (take("e") || take("E")) {
      if (!take("+")) (void)take("-");
      part(true);
    }
    const char* const first = text_.data() + start;
    const char* const last = text_.data() + at_;
    if (integer) {
      std::int64_t small = 0;
      std::uint64_t natural = 0;
      if (!negative && std::from_chars(first, last, natural).ec == std::errc()) return natural;
      if (negative && std::from_chars(first, last, small).ec == std::errc()) return small;
      constexpr std::size_t most = 4300;  // digits Python makes an integer of
      if (whole - (negative ? 1 : 0) > most) {
        at_ = start;
        refuse(cat("an integer of at most ", most, " digits"));
      }
    }
    double out = 0;
    if (std::from_chars(first, last, out).ec != std::errc()) out = out_of_range(first, last);
    return out;
  }

  /// A number that no double is near: infinite, or zero.
  static double out_of_range(const char* first, const char* last) {
    std::string_view digits(first, static_cast<std::size_t>(last - first));
    const bool negative = digits.starts_with("-");
    if (negative) digits.remove_prefix(1);
    std::int64_t exponent = 0;
    if (const std::size_t e = digits.find_first_of("eE"); e != digits.npos) {
      std::string_view power = digits.substr(e + 1);
      digits = digits.substr(0, e);
      const bool down = power.starts_with("-");
      if (power.starts_with("+") || down) power.remove_prefix(1);
      exponent = std::numeric_limits<std::int32_t>::max();
      std::from_chars(power.data(), power.data() + power.size(), exponent);
      exponent = std::min<std::int64_t>(exponent, std::numeric_limits<std::int32_t>::max());
      if (down) exponent = -exponent;
    }
    // Where the first digit that counts stands, seen from the point.
    const std::size_t point = std::min(digits.find('.'), digits.size());
    const std::size_t leading = digits.find_first_of("123456789");
    const bool large =
        leading != digits.npos &&
        static_cast<std::int64_t>(point) - static_cast<std::int64_t>(leading) + exponent > 0;
    const double out = large ? std::numeric_limits<double>::infinity() : 0.0;
    return negative ? -out : out;
  }

  const std::string& name_;
  std::string_view text_;
  JsonForm form_;
  int depth_;
  std::size_t at_ = 0;
};

/// What json.loads(bytes) makes of bytes that are UTF-16 or UTF-32, as UTF-8; nothing where they are UTF-8 already.
/// Units that are no character are kept for the parser to refuse.
inline std::optional<std::string> utf8_of_wide_json(std::string_view bytes) {
  const auto at = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U;
  };
  const auto begins = [&](std::string_view mark) { return bytes.starts_with(mark); };
  using namespace std::string_view_literals;
  std::size_t size = 0, skip = 0;
  bool big = false;
  if (begins("\0\0\xFE\xFF"sv) || begins("\xFF\xFE\0\0"sv)) {
    size = skip = 4;
    big = begins("\0"sv);
  } else if (begins("\xFE\xFF"sv) || begins("\xFF\xFE"sv)) {
    size = skip = 2;
    big = begins("\xFE"sv);
  } else if (begins("\xEF\xBB\xBF"sv)) {
    return std::string(bytes.substr(3));
  } else if (bytes.size() >= 4) {
    if (at(0) == 0) {
      size = at(1) != 0 ? 2 : 4;
      big = true;
    } else if (at(1) == 0) {
      size = at(2) != 0 || at(3) != 0 ? 2 : 4;
    }
  } else if (bytes.size() == 2 && (at(0) == 0 || at(1) == 0)) {
    size = 2;
    big = at(0) == 0;
  }
  if (size == 0) return std::nullopt;
  const auto unit = [&](std::size_t i) {
    std::uint32_t out = 0;
    for (std::size_t k = 0; k < size; ++k) out |= at(i + k) << 8 * (big ? size - 1 - k : k);
    return out;
  };
  std::string out;
  for (std::size_t i = skip; i < bytes.size(); i += size) {
    if (bytes.size() - i < size) return out + '\xFF';
    std::uint32_t c = unit(i);
    if (size == 2 && is_high_surrogate(c) && is_low_surrogate(unit(i + 2))) {
      c = 0x10000 + ((c & 0x3FF) << 10) + (unit(i + 2) & 0x3FF);
      i += 2;
    }
    if (c > 0x10FFFF) return out + '\xFF';
    append_wtf8(out, c);
  }
  return out;
}

}  // namespace detail

}  // namespace plume::io
