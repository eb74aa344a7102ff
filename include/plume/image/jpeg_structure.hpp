#pragma once
// The segments of a JPEG, walked to the end of the picture itself: an Exif thumbnail inside a segment and what
// other programs append (videos, further pictures) are no part of it.
//
//   file:  FFD8, segments, each  FF marker, length (16 bits, big endian, itself included), payload;
//          after a scan's segment (FFDA) its codes, in which FF is followed by 00 or a restart mark; FFD9
//   SOF:   FFC0 to FFCF but C4, C8, CC:  bits, height, width, components; for each its id, sampling and table
//   APP14: "Adobe", ..., the transform in its last byte

#include <array>

#include "plume/image/format.hpp"

namespace plume::image::detail {

struct JpegStructure {
  Bytes picture{};  ///< from SOI to EOI
  int process = 0;  ///< the marker of its SOF: 0xc0 to 0xcf
  int bits = 0;
  index_t width = 0, height = 0;
  int components = 0;
  std::array<int, 4> ids{}, sampling{};  ///< sampling: across in the high half, down in the low
  int scans = 0;
  bool jfif = false;
  int adobe = -1;  ///< the transform of an Adobe segment
};

inline void read_frame(const std::string& name, Bytes payload, JpegStructure& out) {
  if (payload.size() < 6) fail<FormatError>(name, "a JPEG frame of 6 bytes", payload.size());
  out.bits = byte_at(payload, 0);
  out.height = byte_at(payload, 1) << 8 | byte_at(payload, 2);
  out.width = byte_at(payload, 3) << 8 | byte_at(payload, 4);
  out.components = byte_at(payload, 5);
  for (std::size_t i = 0; i < out.ids.size(); ++i) {
    out.ids[i] = byte_at(payload, 6 + 3 * i);
    out.sampling[i] = std::max(0, byte_at(payload, 7 + 3 * i));
  }
}

/// Throws CutError where the file ends before the picture, FormatError where there is none.
inline JpegStructure read_jpeg_structure(const std::string& name, Bytes file) {
  JpegStructure out;
  int& scans = out.scans;
  const auto cut = [&](const char* where) {
    fail<CutError>(name, "a whole JPEG", cat("one that is cut ", where));
  };
  for (std::size_t at = 2;;) {
    while (at < file.size() && byte_at(file, at) != 0xff) ++at;
    while (at < file.size() && byte_at(file, at) == 0xff) ++at;
    if (at >= file.size()) cut(scans > 0 ? "before its end mark" : "before its first scan");
    const int marker = byte_at(file, at++);
    if (marker <= 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // no segment follows
    if (marker == 0xd9) {
      if (scans == 0) fail<FormatError>(name, "a JPEG with a picture", "one without any scan");
      out.picture = file.first(at);
      return out;
    }
    if (at + 2 > file.size()) cut("in a segment");
    const auto length = static_cast<std::size_t>(byte_at(file, at) << 8 | byte_at(file, at + 1));
    if (length < 2) fail<FormatError>(name, "segments of at least 2 bytes", length);
    if (length > file.size() - at) cut("in a segment");
    const Bytes payload = file.subspan(at + 2, length - 2);
    if (marker == 0xe0 && holds_at(payload, 0, "JFIF")) out.jfif = true;
    if (marker == 0xee && payload.size() >= 12 && holds_at(payload, 0, "Adobe"))
      out.adobe = byte_at(payload, 11);
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      if (out.process != 0) fail<FormatError>(name, "a JPEG with one frame", "two");
      out.process = marker;
      read_frame(name, payload, out);
    }
    at += length;
    if (marker != 0xda) continue;
    if (out.process == 0) fail<FormatError>(name, "a frame before the first scan", "none");
    // Each scan of a progressive picture goes over all of it: a small file may ask for hours of work.
    if (++scans > 500) fail<FormatError>(name, "a JPEG of at most 500 scans", "more");
    const std::size_t codes = at;
    for (; at < file.size(); ++at) {
      if (byte_at(file, at) != 0xff) continue;
      const int next = byte_at(file, at + 1);
      if (next > 0 && next != 0xff && !(next >= 0xd0 && next <= 0xd7)) break;
    }
    if (at >= file.size()) cut("in a scan");
    if (at == codes) cut("in a scan that holds nothing");
  }
}

/// Bytes of the coefficients, which are held where more than one scan gives them.
inline index_t coefficient_bytes(const JpegStructure& jpeg) {
  if (jpeg.scans == 1 && jpeg.process != 0xc2 && jpeg.process != 0xca) return 0;
  index_t across = 1, down = 1, blocks = 0;
  for (const int s : jpeg.sampling) {
    across = std::max<index_t>(across, s >> 4);
    down = std::max<index_t>(down, s & 15);
    blocks += (s >> 4) * index_t{s & 15};
  }
  const auto units = [](index_t side, index_t of) { return (side + 8 * of - 1) / (8 * of); };
  return units(jpeg.width, across) * units(jpeg.height, down) * blocks * 64 * 2;
}

inline const char* colours_in_words(const JpegStructure& jpeg) {
  return jpeg.adobe == 2 ? "YCCK" : "CMYK";
}

/// Frames that no decoder here takes, as in Pillow.
inline void check_frame(const std::string& name, const JpegStructure& jpeg) {
  const int p = jpeg.process;
  if (p == 0xc3 || p == 0xc7 || p == 0xcb || p == 0xcf)
    fail<FormatError>(name, "a JPEG of discrete cosines", "a lossless one");
  if (p != 0xc0 && p != 0xc1 && p != 0xc2 && p != 0xc9 && p != 0xca)
    fail<FormatError>(name, "a sequential or progressive JPEG", "a hierarchical one");
  if (jpeg.bits != 8) fail<FormatError>(name, "a JPEG of 8 bits", cat("one of ", jpeg.bits));
  if (jpeg.components != 1 && jpeg.components != 3 && jpeg.components != 4)
    fail<FormatError>(name, "a JPEG of 1, 3 or 4 components", jpeg.components);
}

}  // namespace plume::image::detail
