#pragma once
// What a JPEG's Huffman tables claim, checked before stb_image builds them: versions of it up to 2.27 write
// past a table of more than 256 codes, and read whatever is in memory where a scan uses a table that no segment made.
//
//   file:  FFD8, segments, each  FF marker, length (16 bits, big endian, itself included), payload;
//          after a scan's segment (FFDA) come its codes, in which FF is followed by 00 or a restart mark
//   FFC4:  tables, each  class and number (1 byte), codes of each of 16 lengths (1 byte each), values
//   FFDA:  components (1 byte), for each its id and its tables (class 0 in the high half, class 1 in the low), the
//          first and last coefficient, bits (those that were sent before in the high half)
//   FFC2:  the picture is progressive: a scan of coefficient 0 uses class 0, others class 1

#include <algorithm>
#include <span>
#include <string>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::image::detail {

/// Throws FormatError where a table has more than 256 codes, or a scan uses one that is not there. What is wrong
/// otherwise is left to the decoder.
inline void check_jpeg_tables(const std::string& name, std::span<const std::byte> file) {
  std::size_t at = 2;
  bool made[2][16] = {};  // by class and number
  bool progressive = false;
  const auto byte = [&](std::size_t i) {
    return i < file.size() ? std::to_integer<int>(file[i]) : 0;
  };
  while (at < file.size()) {
    // To the next marker; between segments there may be padding, and codes after a scan.
    while (at < file.size() && byte(at) != 0xff) ++at;
    while (at < file.size() && byte(at) == 0xff) ++at;
    const int marker = byte(at++);
    if (marker == 0 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // no segment follows
    const auto length = static_cast<std::size_t>(byte(at) << 8 | byte(at + 1));
    if (marker == 0xc4) {
      for (std::size_t table = at + 2; table < at + length;) {
        std::size_t codes = 0;
        made[(byte(table) >> 4) & 1][byte(table) & 15] = true;
        for (std::size_t i = 1; i <= 16; ++i) codes += static_cast<std::size_t>(byte(table + i));
        if (codes > 256) fail<FormatError>(name, "Huffman tables of at most 256 codes", codes);
        table += 17 + codes;
      }
    }
    if (marker == 0xc2) progressive = true;
    if (marker == 0xda) {
      const auto components = static_cast<std::size_t>(byte(at + 2));
      const std::size_t after = at + 3 + 2 * components;
      const bool first = !progressive || (byte(after) == 0 && byte(after + 2) >> 4 == 0);
      const bool others = !progressive || byte(after) != 0;
      for (std::size_t i = 0; i < components; ++i) {
        const int tables = byte(at + 4 + 2 * i);
        if ((first && !made[0][tables >> 4]) || (others && !made[1][tables & 15]))
          fail<FormatError>(name, "the Huffman tables of each scan", "a scan without its own");
      }
    }
    if (marker == 0xd9) return;  // what follows the picture is none of its own
    at += std::max<std::size_t>(length, 2);
  }
}

}  // namespace plume::image::detail
