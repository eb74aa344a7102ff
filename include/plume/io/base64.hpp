#pragma once
// Base64 (RFC 4648) as Python's b64decode reads it: what is not of the alphabet is passed over, and the first
// complete padding ends the text.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plume::io {

inline std::string base64_encode(std::span<const std::byte> bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t here = bytes.size() - at < 3 ? bytes.size() - at : 3;
    std::uint32_t three = 0;
    for (std::size_t i = 0; i < 3; ++i)
      three = three << 8 | (i < here ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) out += i <= here ? digits[three >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

/// Nothing where the padding is not right or a character is not ASCII.
inline std::optional<std::vector<std::byte>> base64_decode(std::string_view text) {
  const auto value = [](unsigned char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  std::vector<std::byte> out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t held = 0;
  int digits = 0, pads = 0;
  bool done = false;
  for (const char character : text) {
    const auto c = static_cast<unsigned char>(character);
    if (c >= 0x80) return std::nullopt;
    if (done) continue;
    if (c == '=') {
      if (digits >= 2 && digits + ++pads >= 4) done = true;
      continue;
    }
    const int v = value(c);
    if (v < 0) continue;
    pads = 0;
    held = held << 6 | static_cast<std::uint32_t>(v);
    if (digits > 0) out.push_back(static_cast<std::byte>(held >> (6 - 2 * digits) & 0xFF));
    digits = (digits + 1) % 4;
  }
  if (!done && digits != 0) return std::nullopt;
  return out;
}

}  // namespace plume::io
