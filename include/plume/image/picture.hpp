#pragma once
// Picture: pixels as a file holds them, and the mode in which they are resized.
//
// The reference resizes a picture in the mode of its file and converts to RGB afterwards, so a palette is
// resized differently from a photograph; the modes are those of Pillow.

#include <cstdint>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::image {

enum class Mode {
  rgb,      ///< 3 channels
  rgba,     ///< 4 channels, alpha last
  l,        ///< gray
  la,       ///< gray and alpha
  palette,  ///< held as RGB, but resized by its nearest pixel
  one_bit,  ///< held as gray 0 or 255, resized by its nearest pixel
  gray16,   ///< gray of 16 bits
  cmyk,     ///< inks: 255 covers the paper
};

constexpr index_t channels(Mode mode) noexcept {
  return mode == Mode::rgba || mode == Mode::cmyk     ? 4
         : mode == Mode::rgb || mode == Mode::palette ? 3
         : mode == Mode::la                           ? 2
                                                      : 1;
}

/// Row-major, channels last. gray16 needs all 16 bits of a value; the others the lower 8.
struct Picture {
  Mode mode = Mode::rgb;
  index_t width = 0;
  index_t height = 0;
  std::vector<std::uint8_t> bytes;     ///< all modes but gray16
  std::vector<std::int32_t> values{};  ///< gray16
};

}  // namespace plume::image
