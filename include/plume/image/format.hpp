#pragma once
// What a picture file is by its first bytes, what is refused, and the limits of decoding.

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::image {

struct ImageLimits {
  index_t side = 65500;  ///< libjpeg's own limit
  index_t pixels = index_t{1} << 25;
  index_t memory = index_t{1} << 29;  ///< bytes at a time, with all the decoder's buffers
};

/// A file that ends before its picture does.
struct CutError : FormatError {
  using FormatError::FormatError;
};

namespace detail {

using Bytes = std::span<const std::byte>;

inline int byte_at(Bytes b, std::size_t i) {
  return i < b.size() ? std::to_integer<int>(b[i]) : -1;
}
inline bool holds_at(Bytes b, std::size_t at, std::string_view text) {
  return at <= b.size() && b.size() - at >= text.size() &&
         std::memcmp(b.data() + at, text.data(), text.size()) == 0;
}
inline bool is_png(Bytes b) { return holds_at(b, 0, "\x89PNG\r\n\x1a\n"); }
inline bool is_jpeg(Bytes b) { return holds_at(b, 0, "\xff\xd8\xff"); }

/// What a file that is neither JPEG nor PNG is, in words.
inline std::string format_in_words(Bytes b) {
  using namespace std::string_view_literals;
  if (b.empty()) return "an empty file";
  constexpr std::pair<std::string_view, const char*> starts[] = {
      {"GIF8"sv, "a GIF"},
      {"II*\0"sv, "a TIFF"},
      {"MM\0*"sv, "a TIFF"},
      {"II+\0"sv, "a TIFF"},
      {"BM"sv, "a BMP"},
      {"\0\0\1\0"sv, "an ICO"},
      {"8BPS"sv, "a Photoshop file"},
      {"\xff\x0a"sv, "a JPEG XL"},
      {"\0\0\0\x0cJXL "sv, "a JPEG XL"},
      {"\0\0\0\x0cjP  "sv, "a JPEG 2000"},
      {"\xff\x4f\xff\x51"sv, "a JPEG 2000"},
      {"%PDF"sv, "a PDF"},
      {"PK\3\4"sv, "a zip"},
      {"\x1f\x8b"sv, "a gzip file"},
      {"version https://git-lfs"sv, "a Git LFS pointer"}};
  for (const auto& [start, words] : starts)
    if (holds_at(b, 0, start)) return words;
  if (holds_at(b, 0, "RIFF") && holds_at(b, 8, "WEBP")) return "a WebP";
  if (holds_at(b, 4, "ftyp")) {
    for (const std::string_view brand : {"avif"sv, "avis"sv})
      if (holds_at(b, 8, brand)) return "an AVIF";
    for (const std::string_view brand : {"heic"sv, "heix"sv, "hevc"sv, "mif1"sv, "msf1"sv})
      if (holds_at(b, 8, brand)) return "a HEIC";
    return "a video (MP4)";
  }
  // Markup may start with a byte order mark and blanks, and in either case.
  std::string head;
  for (const std::byte c : b.first(std::min<std::size_t>(b.size(), 512))) {
    const auto v = std::to_integer<unsigned char>(c);
    head += static_cast<char>(v >= 'A' && v <= 'Z' ? v + 32 : v);
  }
  if (head.starts_with("\xef\xbb\xbf")) head.erase(0, 3);
  head.erase(0, std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  if (head.starts_with("<!doctype html") || head.starts_with("<html")) return "an HTML page";
  if (head.starts_with("<svg") || (head.starts_with("<?xml") && head.find("<svg") != head.npos))
    return "an SVG";
  if (head.starts_with("<?xml")) return "an XML file";
  if (head.starts_with("<")) return "markup (HTML or XML)";
  std::string hex = "a file that starts with";
  for (const std::byte c : b.first(std::min<std::size_t>(b.size(), 8))) {
    constexpr const char* digits = "0123456789abcdef";
    const auto v = std::to_integer<unsigned>(c);
    hex += {' ', digits[v >> 4], digits[v & 15U]};
  }
  return hex;
}

[[noreturn]] inline void refuse_format(const std::string& name, Bytes file) {
  fail<FormatError>(name, "a JPEG or PNG picture", format_in_words(file));
}

inline void check_size(const std::string& name, index_t width, index_t height,
                       const ImageLimits& limits) {
  if (width < 1 || height < 1 || width > limits.side || height > limits.side ||
      width * height > limits.pixels) {
    fail<FormatError>(
        name, cat("a picture of at most ", limits.side, " a side and ", limits.pixels, " pixels"),
        cat(width, " x ", height));
  }
}

[[noreturn]] inline void refuse_memory(const std::string& name, index_t width, index_t height,
                                       const ImageLimits& limits) {
  fail<FormatError>(name, cat("a picture that is decoded in ", limits.memory, " bytes of memory"),
                    cat(width, " x ", height, " pixels that need more"));
}

}  // namespace detail
}  // namespace plume::image
