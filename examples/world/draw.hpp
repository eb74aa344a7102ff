#pragma once
// Pictures of scenes: shapes by their signed distances, anti-aliased, on a cloth of two near greys, with noise, as
// real JPEG files. Sizes, places and hues differ from picture to picture, by less than would make one thing,
// place or colour look like another.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "plume/image/picture.hpp"
#include "scene.hpp"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#endif
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace world {

using Rgb = std::array<double, 3>;

inline constexpr std::array<Rgb, 8> colour_values{{{214, 34, 34},
                                                   {246, 136, 20},
                                                   {242, 222, 44},
                                                   {34, 158, 60},
                                                   {46, 204, 216},
                                                   {38, 66, 212},
                                                   {146, 50, 176},
                                                   {22, 22, 24}}};

/// A figure of the picture. Lengths are in sides of the picture, the origin is the upper left corner.
struct Figure {
  index_t thing = 0;
  double x = 0, y = 0;  ///< its centre
  double radius = 0;    ///< half its height; a bar is lower than that
};

/// Everything that is drawn of a scene.
struct Look {
  std::vector<Figure> figures;
  Rgb colour{}, ground{};
  double contrast = 0;  ///< how much darker the cloth's pattern is
  double period = 0;    ///< of the pattern
  double phase_x = 0, phase_y = 0;
  std::uint64_t noise_stream = 0;
};

namespace detail {

inline double between(plume::Generator& random, double low, double high) {
  return low + (high - low) * random.uniform();
}

/// Where the figures of a group stand, in steps of their distance from the middle of the group.
inline std::vector<std::array<double, 2>> group(index_t count) {
  switch (count) {
    case 1:
      return {{0, 0}};
    case 2:
      return {{-0.5, -0.5}, {0.5, 0.5}};
    case 3:
      return {{0, -0.5}, {-0.5, 0.5}, {0.5, 0.5}};
    default:
      return {{-0.5, -0.5}, {0.5, -0.5}, {-0.5, 0.5}, {0.5, 0.5}};
  }
}

/// Distance from (x, y) to the box of these half sides around the origin; below 0 inside.
inline double to_box(double x, double y, double half_width, double half_height) {
  const double dx = std::abs(x) - half_width, dy = std::abs(y) - half_height;
  return std::hypot(std::max(dx, 0.0), std::max(dy, 0.0)) + std::min(std::max(dx, dy), 0.0);
}

/// The seven strokes of a digit as on a pocket calculator: top, upper left, upper right, middle, lower left, lower
/// right, bottom.
inline constexpr std::array<std::array<bool, 7>, 10> strokes{{{1, 1, 1, 0, 1, 1, 1},
                                                              {0, 0, 1, 0, 0, 1, 0},
                                                              {1, 0, 1, 1, 1, 0, 1},
                                                              {1, 0, 1, 1, 0, 1, 1},
                                                              {0, 1, 1, 1, 0, 1, 0},
                                                              {1, 1, 0, 1, 0, 1, 1},
                                                              {1, 1, 0, 1, 1, 1, 1},
                                                              {1, 0, 1, 0, 0, 1, 0},
                                                              {1, 1, 1, 1, 1, 1, 1},
                                                              {1, 1, 1, 1, 0, 1, 1}}};

inline double to_digit(index_t digit, double x, double y) {
  constexpr double wide = 0.5, high = 0.84, thick = 0.16;
  constexpr std::array<std::array<double, 4>, 7> box{{{0, -high, wide, 0},
                                                      {-wide, -high / 2, 0, high / 2},
                                                      {wide, -high / 2, 0, high / 2},
                                                      {0, 0, wide, 0},
                                                      {-wide, high / 2, 0, high / 2},
                                                      {wide, high / 2, 0, high / 2},
                                                      {0, high, wide, 0}}};
  double out = 10;
  for (std::size_t s = 0; s < box.size(); ++s) {
    if (!strokes[static_cast<std::size_t>(digit)][s]) continue;
    out = std::min(out, to_box(x - box[s][0], y - box[s][1], box[s][2], box[s][3]) - thick);
  }
  return out;
}

/// Distance to the edge of a thing of radius 1 around the origin; below 0 inside.
inline double to_edge(index_t thing, double x, double y) {
  switch (thing) {
    case 0:
      return std::hypot(x, y) - 1;
    case 1:
      return to_box(x, y, 0.88, 0.88);
    case 2: {
      constexpr double slope = 0.4472135955;  // of sides that rise 2 over 1: 1 / sqrt(5)
      return std::max(y - 0.9, (2 * std::abs(x) - y - 1) * slope);
    }
    case 3:
      return std::min(to_box(x, y, 1, 0.3), to_box(x, y, 0.3, 1));
    case 4:
      return std::abs(std::hypot(x, y) - 0.74) - 0.26;
    case 5:
      return to_box(x, y, 1.05, 0.36);
    default:
      return to_digit(thing - shapes, x, y);
  }
}

/// 0 or 1, smooth over `soft`: how much of the cloth's pattern is at (x, y), counted in periods.
inline double pattern(index_t cloth, double x, double y, double soft) {
  const auto wave = [](double t) { return std::abs(t - std::floor(t) - 0.5) * 2 - 0.5; };
  const auto step = [soft](double t) { return std::clamp(t / soft + 0.5, 0.0, 1.0); };
  switch (cloth) {
    case 1:
      return step(wave(x + y));
    case 2:
      return step(0.3 - std::hypot(x - std::floor(x) - 0.5, y - std::floor(y) - 0.5));
    case 3: {
      const double across = step(wave(x)), down = step(wave(y));
      return across + down - 2 * across * down;
    }
    default:
      return 0;
  }
}

}  // namespace detail

/// Chooses what the content leaves open.
inline Look look_of(const Scene& scene) {
  const Content& content = scene.content;
  plume::Generator random = scene.look;
  Look out;
  constexpr std::array<std::array<double, 2>, 5> middle{
      {{0.27, 0.5}, {0.73, 0.5}, {0.5, 0.27}, {0.5, 0.73}, {0.5, 0.5}}};
  const auto& at = middle[static_cast<std::size_t>(content.place)];
  const double x = at[0] + detail::between(random, -0.03, 0.03);
  const double y = at[1] + detail::between(random, -0.03, 0.03);
  const double radius = content.is_digit()   ? detail::between(random, 0.21, 0.235)
                        : content.count == 1 ? detail::between(random, 0.15, 0.19)
                                             : detail::between(random, 0.108, 0.116);
  const double step = 0.25;
  const bool mirrored = random.below(2) == 1;
  for (const auto& place : detail::group(content.count)) {
    out.figures.push_back(
        {content.thing,
         x + (mirrored ? -step : step) * place[0] + detail::between(random, -0.008, 0.008),
         y + step * place[1] + detail::between(random, -0.008, 0.008), radius});
  }
  const double ground = detail::between(random, 218, 240);
  for (std::size_t c = 0; c < 3; ++c) {
    out.colour[c] = std::clamp(colour_values[static_cast<std::size_t>(content.colour)][c] +
                                   detail::between(random, -12, 12),
                               0.0, 255.0);
    out.ground[c] = ground + detail::between(random, -4, 4);
  }
  out.contrast = detail::between(random, 60, 80);
  out.period = detail::between(random, 0.165, 0.185);
  out.phase_x = random.uniform();
  out.phase_y = random.uniform();
  out.noise_stream = random.next_stream();
  return out;
}

/// Of `side` times `side` pixels. The noise is triangular, of at most `noise` levels.
inline plume::image::Picture draw(const Scene& scene, index_t side, double noise = 6) {
  const Look look = look_of(scene);
  plume::image::Picture out{plume::image::Mode::rgb, side, side, {}};
  std::vector<double> pixels(static_cast<std::size_t>(side * side * 3));
  const double pixel = 1.0 / static_cast<double>(side);
  const auto channel = [&](index_t row, index_t column) {
    return pixels.data() + (row * side + column) * 3;
  };
  const auto centre = [&](index_t i) { return (static_cast<double>(i) + 0.5) * pixel; };
  for (index_t row = 0; row < side; ++row) {
    for (index_t column = 0; column < side; ++column) {
      const double darker =
          look.contrast *
          detail::pattern(scene.content.cloth, centre(column) / look.period + look.phase_x,
                          centre(row) / look.period + look.phase_y, 2 * pixel / look.period);
      for (std::size_t c = 0; c < 3; ++c) channel(row, column)[c] = look.ground[c] - darker;
    }
  }
  for (const Figure& figure : look.figures) {
    const auto first = [&](double at) {
      const auto i = static_cast<index_t>(std::floor((at - figure.radius * 1.1) / pixel)) - 1;
      return std::clamp(i, index_t{0}, side);
    };
    const auto past = [&](double at) {
      const auto i = static_cast<index_t>(std::ceil((at + figure.radius * 1.1) / pixel)) + 1;
      return std::clamp(i, index_t{0}, side);
    };
    for (index_t row = first(figure.y); row < past(figure.y); ++row) {
      for (index_t column = first(figure.x); column < past(figure.x); ++column) {
        const double edge =
            detail::to_edge(figure.thing, (centre(column) - figure.x) / figure.radius,
                            (centre(row) - figure.y) / figure.radius);
        const double inside = std::clamp(0.5 - edge * figure.radius / pixel, 0.0, 1.0);
        double* const to = channel(row, column);
        for (std::size_t c = 0; c < 3; ++c) to[c] += inside * (look.colour[c] - to[c]);
      }
    }
  }
  out.bytes.resize(pixels.size());
  std::array<std::uint8_t, 16> random{};
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (i % 8 == 0) {
      const auto words = plume::philox(scene.look.seed(), look.noise_stream, 1 + i / 8);
      std::memcpy(random.data(), words.data(), random.size());
    }
    const double two = random[i % 8 * 2] + random[i % 8 * 2 + 1];
    const double value = pixels[i] + noise * (two / 255 - 1) + 0.5;
    out.bytes[i] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
  }
  return out;
}

/// A JPEG file of an RGB picture; above quality 90 colours are as fine as brightness.
inline std::vector<std::byte> jpeg(const plume::image::Picture& picture, int quality = 90) {
  std::vector<std::byte> out;
  const auto append = [](void* to, void* data, int size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    static_cast<std::vector<std::byte>*>(to)->insert(
        static_cast<std::vector<std::byte>*>(to)->end(), bytes, bytes + size);
  };
  if (stbi_write_jpg_to_func(append, &out, static_cast<int>(picture.width),
                             static_cast<int>(picture.height), 3, picture.bytes.data(),
                             quality) == 0)
    plume::fail<plume::ValueError>("jpeg", "an RGB picture", "one that cannot be encoded");
  return out;
}

}  // namespace world
