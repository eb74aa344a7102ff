#pragma once
// Pictures for benches: made, not read, and stored as JPEG.

#include <cmath>
#include <cstddef>
#include <vector>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "plume/core/random.hpp"
#include "plume/image/picture.hpp"

namespace plume::bench {

/// Something smooth with edges and a little noise, as photographs are.
inline image::Picture picture(index_t width, index_t height) {
  image::Picture out{image::Mode::rgb, width, height, {}};
  Generator g(4);
  const Tensor<float> noise = normal<float>({height, width}, g);
  for (index_t y = 0; y < height; ++y) {
    for (index_t x = 0; x < width; ++x) {
      const double disc =
          std::hypot(static_cast<double>(x - width / 3), static_cast<double>(y - height / 2)) < 90
              ? 70
              : 0;
      const double v = 90 + 50 * std::sin(static_cast<double>(x) * 0.02) + disc +
                       4 * static_cast<double>(noise(y, x));
      for (const double c : {0.0, 20.0, -30.0})
        out.bytes.push_back(static_cast<std::uint8_t>(std::min(255.0, std::max(0.0, v + c))));
    }
  }
  return out;
}

inline std::vector<std::byte> jpeg(const image::Picture& p) {
  std::vector<std::byte> out;
  stbi_write_jpg_to_func(
      [](void* to, void* data, int size) {
        const auto* bytes = static_cast<const std::byte*>(data);
        auto& file = *static_cast<std::vector<std::byte>*>(to);
        file.insert(file.end(), bytes, bytes + size);
      },
      &out, static_cast<int>(p.width), static_cast<int>(p.height), 3, p.bytes.data(), 90);
  return out;
}

}  // namespace plume::bench
