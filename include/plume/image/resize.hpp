#pragma once
// resize: as Pillow does it, bit for bit. Bicubic (Keys, a = -1/2) with the support stretched when shrinking,
// horizontally first, weights in 22-bit fixed point, 8-bit values in between. Pictures with alpha are
// premultiplied around it; palettes and 1-bit pictures take the nearest pixel; 16-bit gray is computed in double.

#include <algorithm>
#include <cmath>

#include "plume/core/parallel.hpp"
#include "plume/image/picture.hpp"

namespace plume::image {

namespace detail {

/// For each place of the output: which inputs, from `first` on, with which weights.
struct Taps {
  index_t count = 0;  ///< weights per place
  std::vector<index_t> first, used;
  std::vector<double> weights;  ///< [places, count]
};

inline double keys_cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

inline Taps make_taps(index_t in, index_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = 2 * stretch;
  Taps taps;
  taps.count = static_cast<index_t>(std::ceil(support)) * 2 + 1;
  taps.weights.assign(static_cast<std::size_t>(out * taps.count), 0);
  for (index_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const index_t begin = std::max<index_t>(0, static_cast<index_t>(centre - support + 0.5));
    const index_t end = std::min(in, static_cast<index_t>(centre + support + 0.5));
    double* w = taps.weights.data() + i * taps.count;
    double sum = 0;
    for (index_t j = 0; j < end - begin; ++j) {
      w[j] = keys_cubic((static_cast<double>(j + begin) - centre + 0.5) * (1 / stretch));
      sum += w[j];
    }
    for (index_t j = 0; j < end - begin && sum != 0; ++j) w[j] /= sum;
    taps.first.push_back(begin);
    taps.used.push_back(end - begin);
  }
  return taps;
}

inline constexpr int fixed_bits = 22;

inline std::vector<std::int32_t> fixed_weights(const Taps& taps) {
  std::vector<std::int32_t> out;
  out.reserve(taps.weights.size());
  for (const double w : taps.weights) {
    out.push_back(static_cast<std::int32_t>(w * (1 << fixed_bits) + (w < 0 ? -0.5 : 0.5)));
  }
  return out;
}

/// One pass over lines of `in` places: place i of line l at [l * line + i * place + c].
struct Pass {
  index_t lines, in, out, channels;
  index_t line_in, place_in, line_out, place_out;
};

inline void bicubic_pass(const std::uint8_t* from, std::uint8_t* to, const Pass& p) {
  const Taps taps = make_taps(p.in, p.out);
  const std::vector<std::int32_t> weights = fixed_weights(taps);
  parallel_for(p.lines, p.out * p.channels * taps.count, [&](index_t begin, index_t end) {
    for (index_t l = begin; l < end; ++l) {
      for (index_t i = 0; i < p.out; ++i) {
        const auto k = static_cast<std::size_t>(i);
        const std::uint8_t* source = from + l * p.line_in + taps.first[k] * p.place_in;
        const std::int32_t* w = weights.data() + i * taps.count;
        for (index_t c = 0; c < p.channels; ++c) {
          std::int32_t sum = 1 << (fixed_bits - 1);
          for (index_t j = 0; j < taps.used[k]; ++j) sum += source[j * p.place_in + c] * w[j];
          to[l * p.line_out + i * p.place_out + c] =
              static_cast<std::uint8_t>(std::clamp(sum >> fixed_bits, 0, 255));
        }
      }
    }
  });
}

inline void bicubic_pass(const std::int32_t* from, std::int32_t* to, const Pass& p) {
  const Taps taps = make_taps(p.in, p.out);
  for (index_t l = 0; l < p.lines; ++l) {
    for (index_t i = 0; i < p.out; ++i) {
      const auto k = static_cast<std::size_t>(i);
      double sum = 0;
      for (index_t j = 0; j < taps.used[k]; ++j) {
        sum += static_cast<double>(from[l * p.line_in + (taps.first[k] + j) * p.place_in]) *
               taps.weights[static_cast<std::size_t>(i * taps.count + j)];
      }
      // Pillow keeps each of the two bytes within 0 to 255 by itself.
      const int v = sum < 0 ? 0 : static_cast<int>(sum + 0.5);
      to[l * p.line_out + i * p.place_out] = v % 256 + 256 * std::min(v / 256, 255);
    }
  }
}

template <class P>
std::vector<P> bicubic(const std::vector<P>& in, index_t width, index_t height, index_t c,
                       index_t new_width, index_t new_height) {
  std::vector<P> rows = in;
  if (new_width != width) {
    rows.assign(static_cast<std::size_t>(new_width * height * c), P{});
    bicubic_pass(in.data(), rows.data(),
                 {height, width, new_width, c, width * c, c, new_width * c, c});
  }
  if (new_height == height) return rows;
  std::vector<P> out(static_cast<std::size_t>(new_width * new_height * c));
  bicubic_pass(rows.data(), out.data(),
               {new_width, height, new_height, c, c, new_width * c, c, new_width * c});
  return out;
}

inline std::vector<std::uint8_t> nearest(const Picture& in, index_t new_width, index_t new_height) {
  const index_t c = channels(in.mode);
  const auto places = [](index_t from, index_t to) {
    std::vector<index_t> out;
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    double at =
        scale * 0.5;  // added up, not multiplied: that is where Pillow's rounding comes from
    for (index_t i = 0; i < to; ++i, at += scale)
      out.push_back(std::min(from - 1, static_cast<index_t>(at)));
    return out;
  };
  const auto xs = places(in.width, new_width);
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(new_width * new_height * c));
  for (const index_t y : places(in.height, new_height)) {
    for (const index_t x : xs) {
      const std::uint8_t* pixel = in.bytes.data() + (y * in.width + x) * c;
      out.insert(out.end(), pixel, pixel + c);
    }
  }
  return out;
}

/// Colours times alpha / 255, rounded as Pillow does; alpha is the last of `c` channels.
inline void premultiply(std::vector<std::uint8_t>& pixels, index_t c) {
  for (std::size_t i = 0; i < pixels.size(); i += static_cast<std::size_t>(c)) {
    const unsigned alpha = pixels[i + static_cast<std::size_t>(c) - 1];
    for (std::size_t k = 0; k + 1 < static_cast<std::size_t>(c); ++k) {
      const unsigned t = pixels[i + k] * alpha + 128;
      pixels[i + k] = static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
    }
  }
}
inline void unpremultiply(std::vector<std::uint8_t>& pixels, index_t c) {
  for (std::size_t i = 0; i < pixels.size(); i += static_cast<std::size_t>(c)) {
    const unsigned alpha = pixels[i + static_cast<std::size_t>(c) - 1];
    if (alpha == 0 || alpha == 255) continue;
    for (std::size_t k = 0; k + 1 < static_cast<std::size_t>(c); ++k) {
      pixels[i + k] = static_cast<std::uint8_t>(std::min(255U, 255U * pixels[i + k] / alpha));
    }
  }
}

}  // namespace detail

/// `in` at another size, in its own mode. Throws ShapeError for an empty size.
inline Picture resize(const Picture& in, index_t width, index_t height) {
  if (width < 1 || height < 1 || in.width < 1 || in.height < 1) {
    fail<ShapeError>("resize", "sizes >= 1",
                     cat(in.width, " x ", in.height, " to ", width, " x ", height));
  }
  Picture out{in.mode, width, height, {}};
  const index_t c = channels(in.mode);
  const bool alpha = in.mode == Mode::rgba || in.mode == Mode::la;
  if (width == in.width && height == in.height) return in;
  if (in.mode == Mode::palette || in.mode == Mode::one_bit) {
    out.bytes = detail::nearest(in, width, height);
  } else if (in.mode == Mode::gray16) {
    out.values = detail::bicubic(in.values, in.width, in.height, 1, width, height);
  } else if (alpha) {
    std::vector<std::uint8_t> pixels = in.bytes;
    detail::premultiply(pixels, c);
    out.bytes = detail::bicubic(pixels, in.width, in.height, c, width, height);
    detail::unpremultiply(out.bytes, c);
  } else {
    out.bytes = detail::bicubic(in.bytes, in.width, in.height, c, width, height);
  }
  return out;
}

}  // namespace plume::image
