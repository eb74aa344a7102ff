#pragma once
// decode: JPEG and PNG from memory; no other format, and nothing larger than the limits. stb_image decodes, unless the
// program is compiled with PLUME_WITH_JPEG (and linked with libjpeg-turbo) or PLUME_WITH_PNG (with libpng), which give
// Pillow's pixels bit for bit. CMake's target plume::pictures sets both where the libraries are found. All units of a
// program must be compiled alike.

#include "plume/image/decode_stb.hpp"
#ifdef PLUME_WITH_JPEG
#include "plume/image/decode_jpeg_turbo.hpp"
#endif
#ifdef PLUME_WITH_PNG
#include "plume/image/decode_png.hpp"
#endif

namespace plume::image {

/// Throws FormatError naming `name`, what was expected and what was got; CutError where the file ends too early.
inline Picture decode(const std::string& name, std::span<const std::byte> file,
                      const ImageLimits& limits = {}) {
#ifdef PLUME_WITH_JPEG
  if (detail::is_jpeg(file)) return decode_jpeg_turbo(name, file, limits);
#endif
#ifdef PLUME_WITH_PNG
  if (detail::is_png(file)) return decode_png(name, file, limits);
#endif
  return decode_stb(name, file, limits);
}

}  // namespace plume::image
