#pragma once
// The chunks of a PNG, walked to the end of its image data. As Pillow does it, what follows them is not needed: a
// file without its end, or with other bytes in its place, opens if the image data are whole.
//
//   file:  signature (8 bytes), chunks, each  length (32 bits, big endian), type (4 letters), data, CRC-32 of type and data
//   IHDR:  width, height (32 bits each), depth, colour type, compression, filter, interlace (1 byte each)

#include <cstdint>
#include <vector>

#include "plume/image/format.hpp"
#include "plume/image/picture.hpp"
#include "plume/io/zip.hpp"

namespace plume::image::detail {

struct PngStructure {
  index_t width = 0, height = 0;
  int depth = 0, colour = 0;
  bool interlaced = false;
  Bytes header{};  ///< the whole chunk
  std::vector<std::byte>
      palette{};  ///< 2^depth entries for colour type 3; those not in the file are black
  std::vector<Bytes> data{};  ///< of each IDAT chunk
  std::size_t data_bytes = 0;
};

inline std::uint32_t big_endian(Bytes b, std::size_t at) {
  std::uint32_t v = 0;
  for (std::size_t i = 0; i < 4; ++i) v = v << 8 | static_cast<std::uint32_t>(byte_at(b, at + i));
  return v;
}

inline void read_header(const std::string& name, Bytes chunk, PngStructure& out) {
  if (chunk.size() != 13) fail<FormatError>(name, "13 bytes of IHDR", chunk.size());
  out.width = big_endian(chunk, 0);
  out.height = big_endian(chunk, 4);
  out.depth = byte_at(chunk, 8);
  out.colour = byte_at(chunk, 9);
  out.interlaced = byte_at(chunk, 12) == 1;
  const int d = out.depth;
  const bool small = d == 1 || d == 2 || d == 4;
  const bool known = out.colour == 0   ? small || d == 8 || d == 16
                     : out.colour == 3 ? small || d == 8
                                       : (out.colour == 2 || out.colour == 4 || out.colour == 6) &&
                                             (d == 8 || d == 16);
  if (!known || byte_at(chunk, 10) != 0 || byte_at(chunk, 11) != 0 || byte_at(chunk, 12) > 1) {
    fail<FormatError>(
        name, "a PNG of the standard's kinds",
        cat("colour type ", out.colour, " of ", d, " bits, compression ", byte_at(chunk, 10),
            ", filter ", byte_at(chunk, 11), ", interlace ", byte_at(chunk, 12)));
  }
}

/// Throws CutError where the file ends before its image data, FormatError where a checksum is wrong.
inline PngStructure read_png_structure(const std::string& name, Bytes file) {
  PngStructure out;
  bool palette = false;
  const auto cut = [&](const char* where) {
    fail<CutError>(name, "a whole PNG", cat("one that is cut ", where));
  };
  for (std::size_t at = 8;;) {
    const bool ended = file.size() - at < 8;
    if (ended && out.data.empty()) cut("before its image data");
    if (ended) break;
    const std::string_view type(reinterpret_cast<const char*>(file.data()) + at + 4, 4);
    const bool image = type == "IDAT";
    if (!out.data.empty() && !image) break;  // image data are one run of chunks
    const std::size_t length = big_endian(file, at);
    if (out.header.empty() && type != "IHDR")
      fail<FormatError>(name, "a PNG with IHDR first", type);
    const std::size_t left = file.size() - at - 8;
    if (length > left) cut(image ? "in its image data" : "in a chunk");
    const Bytes chunk = file.subspan(at + 8, length);
    // Of the last chunk only the checksum may be missing.
    if (left - length < 4 && !image) cut("in a chunk");
    if (left - length >= 4 &&
        io::crc32(file.subspan(at + 4, length + 4)) != big_endian(file, at + 8 + length))
      fail<FormatError>(name, cat("the checksum of ", type, " that the file states"), "another");
    if (type == "IHDR") {
      if (!out.header.empty()) fail<FormatError>(name, "one IHDR", "two");
      read_header(name, chunk, out);
      out.header = file.subspan(at, length + 12);
    } else if (type == "PLTE" && out.colour == 3) {
      palette = true;
      out.palette.assign(chunk.begin(), chunk.end());
    } else if (image) {
      if (out.colour == 3 && !palette) fail<FormatError>(name, "a palette", "none");
      out.data.push_back(chunk);
      out.data_bytes += length;
    }
    if (left - length < 4) break;
    at += length + 12;
  }
  if (out.colour == 3) out.palette.resize(std::size_t{3} << out.depth);
  return out;
}

/// What a decoder needs of the file: IHDR, the palette, the image data and an end.
inline std::vector<std::byte> needed_chunks(const PngStructure& png) {
  std::vector<std::byte> out;
  out.reserve(png.data_bytes + png.palette.size() + 64 + 12 * png.data.size());
  const auto put = [&](std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(v >> shift));
  };
  const auto chunk = [&](std::string_view type, Bytes data) {
    put(static_cast<std::uint32_t>(data.size()));
    const std::size_t begin = out.size();
    for (const char c : type) out.push_back(static_cast<std::byte>(c));
    out.insert(out.end(), data.begin(), data.end());
    put(io::crc32(Bytes(out).subspan(begin)));
  };
  for (const char c : std::string_view("\x89PNG\r\n\x1a\n"))
    out.push_back(static_cast<std::byte>(c));
  out.insert(out.end(), png.header.begin(), png.header.end());
  if (png.colour == 3) chunk("PLTE", png.palette);
  for (const Bytes data : png.data) chunk("IDAT", data);
  chunk("IEND", {});
  return out;
}

/// The mode in which Pillow opens the file.
inline Mode mode_of(const PngStructure& png) {
  switch (png.colour) {
    case 0:
      return png.depth == 1 ? Mode::one_bit : png.depth == 16 ? Mode::gray16 : Mode::l;
    case 3:
      return Mode::palette;
    case 4:
      return png.depth == 16 ? Mode::rgba : Mode::la;
    case 6:
      return Mode::rgba;
    default:
      return Mode::rgb;
  }
}

}  // namespace plume::image::detail
