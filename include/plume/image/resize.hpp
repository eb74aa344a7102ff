#pragma once
// resize: as Pillow does it, bit for bit. Bicubic (Keys, a = -1/2) with the support stretched when shrinking,
// horizontally first, weights in 22-bit fixed point, 8-bit values in between. Pictures with alpha are
// premultiplied around it; palettes and 1-bit pictures take the nearest pixel; 16-bit gray is computed in double.

#include <algorithm>
#include <cmath>

#include "plume/core/parallel.hpp"
#include "plume/image/picture.hpp"

namespace plume::image {

/// A part of a picture.
struct Window {
  index_t left = 0, top = 0, width = 0, height = 0;
};

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

/// Of `out` places of the whole, the `kept` ones from `left` on.
inline Taps make_taps(index_t in, index_t out, index_t left, index_t kept) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = 2 * stretch;
  Taps taps;
  taps.count = static_cast<index_t>(std::ceil(support)) * 2 + 1;
  taps.weights.assign(static_cast<std::size_t>(kept * taps.count), 0);
  for (index_t i = 0; i < kept; ++i) {
    const double centre = (static_cast<double>(i + left) + 0.5) * scale;
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

/// One pass over lines: place i of line l at [l * line + i * place + c].
struct Pass {
  index_t lines, channels;
  index_t line_in, place_in, line_out, place_out;
};

inline void bicubic_pass(const std::uint8_t* from, std::uint8_t* to, const Taps& taps,
                         const Pass& p) {
  const index_t places = std::ssize(taps.first);
  const std::vector<std::int32_t> weights = fixed_weights(taps);
  parallel_for(p.lines, places * p.channels * taps.count, [&](index_t begin, index_t end) {
    for (index_t l = begin; l < end; ++l) {
      for (index_t i = 0; i < places; ++i) {
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

inline void bicubic_pass(const std::int32_t* from, std::int32_t* to, const Taps& taps,
                         const Pass& p) {
  for (index_t l = 0; l < p.lines; ++l) {
    for (index_t i = 0; i < std::ssize(taps.first); ++i) {
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

/// The part `w` of `in` at `width` x `height`. Only the rows and columns that it is made of are read: `prepare` makes
/// of a row of `in` from a column on, so many columns, what is resized.
template <class P, class Prepare>
std::vector<P> bicubic(const Picture& in, const std::vector<P>& pixels, index_t width,
                       index_t height, const Window& w, Prepare prepare) {
  const index_t c = channels(in.mode);
  const Taps across = make_taps(in.width, width, w.left, w.width);
  const Taps down = make_taps(in.height, height, w.top, w.height);
  const bool wider = width != in.width;
  const bool higher = height != in.height;
  const index_t left = wider ? across.first.front() : w.left;
  const index_t columns =
      (wider ? across.first.back() + across.used.back() : w.left + w.width) - left;
  const index_t top = higher ? down.first.front() : w.top;
  const index_t rows = (higher ? down.first.back() + down.used.back() : w.top + w.height) - top;
  const auto count = [](index_t a, index_t b, index_t d) {
    return static_cast<std::size_t>(a * b * d);
  };
  std::vector<P> half(count(rows, w.width, c));
  Taps here = across;
  for (index_t& first : here.first) first -= left;
  constexpr index_t band = 64;  // rows at a time
  std::vector<P> source(count(std::min(band, rows), columns, c));
  for (index_t y = 0; y < rows; y += band) {
    const index_t lines = std::min(band, rows - y);
    for (index_t l = 0; l < lines; ++l) {
      P* to = source.data() + l * columns * c;
      std::copy_n(pixels.data() + ((top + y + l) * in.width + left) * c, columns * c, to);
      prepare(to, columns * c);
    }
    P* to = half.data() + y * w.width * c;
    if (wider) {
      bicubic_pass(source.data(), to, here, {lines, c, columns * c, c, w.width * c, c});
    } else {
      std::copy_n(source.data(), lines * columns * c, to);
    }
  }
  if (!higher) return half;
  here = down;
  for (index_t& first : here.first) first -= top;
  std::vector<P> out(count(w.height, w.width, c));
  bicubic_pass(half.data(), out.data(), here, {w.width, c, c, w.width * c, c, w.width * c});
  return out;
}

inline std::vector<std::uint8_t> nearest(const Picture& in, index_t width, index_t height,
                                         const Window& w) {
  const index_t c = channels(in.mode);
  const auto places = [](index_t from, index_t to, index_t left, index_t kept) {
    std::vector<index_t> out;
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    double at =
        scale * 0.5;  // added up, not multiplied: that is where Pillow's rounding comes from
    for (index_t i = 0; i < left + kept; ++i, at += scale)
      if (i >= left) out.push_back(std::min(from - 1, static_cast<index_t>(at)));
    return out;
  };
  const auto xs = places(in.width, width, w.left, w.width);
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(w.width * w.height * c));
  for (const index_t y : places(in.height, height, w.top, w.height)) {
    for (const index_t x : xs) {
      const std::uint8_t* pixel = in.bytes.data() + (y * in.width + x) * c;
      out.insert(out.end(), pixel, pixel + c);
    }
  }
  return out;
}

/// Colours times alpha / 255, rounded as Pillow does; alpha is the last of `c` channels.
inline void premultiply(std::uint8_t* pixels, index_t count, index_t c) {
  for (index_t i = 0; i < count; i += c) {
    const unsigned alpha = pixels[i + c - 1];
    for (index_t k = 0; k + 1 < c; ++k) {
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

/// The part `w` of what `in` is at width x height, in its own mode: the same bits as of the whole. Throws ShapeError
/// for an empty size, and where the part is not within.
inline Picture resize(const Picture& in, index_t width, index_t height, const Window& w) {
  if (width < 1 || height < 1 || in.width < 1 || in.height < 1) {
    fail<ShapeError>("resize", "sizes >= 1",
                     cat(in.width, " x ", in.height, " to ", width, " x ", height));
  }
  if (w.left < 0 || w.top < 0 || w.width < 1 || w.height < 1 || w.left > width - w.width ||
      w.top > height - w.height) {
    fail<ShapeError>("resize", cat("a part of ", width, " x ", height),
                     cat(w.width, " x ", w.height, " at ", w.left, ", ", w.top));
  }
  Picture out{in.mode, w.width, w.height, {}};
  const index_t c = channels(in.mode);
  const bool same = width == in.width && height == in.height;
  const bool alpha = !same && (in.mode == Mode::rgba || in.mode == Mode::la);
  if (in.mode == Mode::palette || in.mode == Mode::one_bit) {
    out.bytes = detail::nearest(in, width, height, w);
  } else if (in.mode == Mode::gray16) {
    out.values = detail::bicubic(in, in.values, width, height, w, [](auto*, index_t) {});
  } else {
    out.bytes =
        detail::bicubic(in, in.bytes, width, height, w, [&](std::uint8_t* row, index_t count) {
          if (alpha) detail::premultiply(row, count, c);
        });
    if (alpha) detail::unpremultiply(out.bytes, c);
  }
  return out;
}

inline Picture resize(const Picture& in, index_t width, index_t height) {
  return resize(in, width, height, {0, 0, width, height});
}

}  // namespace plume::image
