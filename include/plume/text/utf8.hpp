#pragma once
// UTF-8 to code points and back. What is not UTF-8 is one U+FFFD per maximal broken sequence, as in the
// WHATWG encoding standard and in Python's errors="replace".

#include <cstdint>
#include <string>
#include <string_view>

namespace plume::text {

struct CodePoint {
  char32_t value = 0xFFFD;
  std::uint8_t bytes = 1;  ///< of the text, at least 1
  bool valid = false;
};

/// The code point that starts at byte `at`, which must be inside `text`.
inline CodePoint code_point(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {static_cast<char32_t>(lead), 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte is narrower where a longer form, a surrogate or a value past U+10FFFF would follow.
  const std::uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  std::uint32_t value = lead & (0x7FU >> length);
  for (std::uint8_t i = 1; i < length; ++i) {
    const std::uint32_t next = byte(i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {0xFFFD, i, false};
    value = value << 6 | (next & 0x3F);
  }
  return {static_cast<char32_t>(value), length, true};
}

inline void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

/// The first byte that is not part of valid UTF-8; npos where all is well.
inline std::size_t broken_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point(text, at);
    if (!point.valid) return at;
    at += point.bytes;
  }
  return std::string_view::npos;
}

/// `bytes` with every broken sequence replaced.
inline std::string lossy_utf8(std::string_view bytes) {
  if (broken_utf8(bytes) == std::string_view::npos) return std::string(bytes);
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const CodePoint point = code_point(bytes, at);
    append_utf8(out, point.value);
    at += point.bytes;
  }
  return out;
}

}  // namespace plume::text
