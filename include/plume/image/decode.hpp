#pragma once
// decode: JPEG and PNG from memory, with stb_image; no other format, and nothing larger than the limits.

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#include "plume/image/jpeg_tables.hpp"
#include "plume/image/picture.hpp"

namespace plume::image::detail {
/// A small PNG may inflate to gigabytes; no buffer of a picture within the limits needs as much as this.
inline constexpr std::size_t most_buffer = std::size_t{1} << 29;
inline void* stb_allocate(std::size_t bytes) noexcept {
  return bytes > most_buffer ? nullptr : std::malloc(bytes);
}
inline void* stb_grow(void* buffer, std::size_t bytes) noexcept {
  return bytes > most_buffer ? nullptr : std::realloc(buffer, bytes);
}
}  // namespace plume::image::detail

#define STBI_MALLOC(size) plume::image::detail::stb_allocate(size)
#define STBI_REALLOC(buffer, size) plume::image::detail::stb_grow(buffer, size)
#define STBI_FREE(buffer) std::free(buffer)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 16384
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace plume::image {

struct ImageLimits {
  index_t side = 16384;
  index_t pixels = index_t{1} << 25;
};

namespace detail {

using Bytes = std::span<const std::byte>;

inline bool is_png(Bytes b) {
  constexpr unsigned char magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return b.size() >= 33 && std::memcmp(b.data(), magic, sizeof magic) == 0;
}
inline bool is_jpeg(Bytes b) {
  return b.size() >= 4 && b[0] == std::byte{0xff} && b[1] == std::byte{0xd8} &&
         b[2] == std::byte{0xff};
}

/// The mode in which Pillow opens a file with this header.
inline Mode mode_of(Bytes file, int jpeg_channels) {
  if (!is_png(file)) return jpeg_channels == 1 ? Mode::l : Mode::rgb;
  const auto depth = static_cast<int>(file[24]);
  switch (static_cast<int>(file[25])) {
    case 0:
      return depth == 1 ? Mode::one_bit : depth == 16 ? Mode::gray16 : Mode::l;
    case 3:
      return Mode::palette;
    case 4:
      return depth == 16 ? Mode::rgba : Mode::la;
    case 6:
      return Mode::rgba;
    default:
      return Mode::rgb;
  }
}

}  // namespace detail

/// Throws FormatError naming `name`, what was expected and what was got.
inline Picture decode(const std::string& name, std::span<const std::byte> file,
                      const ImageLimits& limits = {}) {
  if (!detail::is_png(file) && !detail::is_jpeg(file))
    fail<FormatError>(name, "a JPEG or PNG picture", "something else");
  if (file.size() > static_cast<std::size_t>(INT32_MAX))
    fail<FormatError>(name, "a picture below 2 GiB", file.size());
  if (detail::is_jpeg(file)) detail::check_jpeg_tables(name, file);
  const auto* data = reinterpret_cast<const unsigned char*>(file.data());
  const auto size = static_cast<int>(file.size());
  int width = 0;
  int height = 0;
  int in_file = 0;
  if (stbi_info_from_memory(data, size, &width, &height, &in_file) == 0) {
    fail<FormatError>(name, "a picture that can be decoded", stbi_failure_reason());
  }
  if (width < 1 || height < 1 || width > limits.side || height > limits.side ||
      static_cast<index_t>(width) * height > limits.pixels) {
    fail<FormatError>(
        name, cat("a picture of at most ", limits.side, " a side and ", limits.pixels, " pixels"),
        cat(width, " x ", height));
  }
  Picture out{detail::mode_of(file, in_file), width, height, {}};
  const auto count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  const auto wanted = static_cast<int>(channels(out.mode));
  if (out.mode == Mode::gray16) {
    stbi_us* pixels = stbi_load_16_from_memory(data, size, &width, &height, &in_file, 1);
    if (pixels == nullptr)
      fail<FormatError>(name, "a picture that can be decoded", stbi_failure_reason());
    out.values.assign(pixels, pixels + count);
    stbi_image_free(pixels);
  } else {
    stbi_uc* pixels = stbi_load_from_memory(data, size, &width, &height, &in_file, wanted);
    if (pixels == nullptr)
      fail<FormatError>(name, "a picture that can be decoded", stbi_failure_reason());
    out.bytes.assign(pixels, pixels + count * static_cast<std::size_t>(wanted));
    stbi_image_free(pixels);
  }
  return out;
}

}  // namespace plume::image
