#pragma once
// The transform every picture goes through before the vision encoder, in training and evaluation, as open_clip
// does it: shorter side to `size` (bicubic, in the mode of the file), centre crop, RGB, /255, normalise.

#include "plume/core/tensor.hpp"
#include "plume/image/decode.hpp"
#include "plume/image/normalization.hpp"
#include "plume/image/resize.hpp"

namespace plume::image {

/// Any mode to RGB, without resizing: gray is repeated, alpha dropped (not composited), 16-bit gray clipped at 255,
/// of inks the paper is shown that they leave free.
inline Picture to_rgb(const Picture& in) {
  if (in.mode == Mode::rgb) return in;
  Picture out{Mode::rgb, in.width, in.height, {}};
  const auto count = static_cast<std::size_t>(in.width * in.height);
  out.bytes.resize(count * 3);
  const auto c = static_cast<std::size_t>(channels(in.mode));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      std::uint8_t& to = out.bytes[i * 3 + k];
      if (in.mode == Mode::gray16) {
        to = static_cast<std::uint8_t>(std::clamp(in.values[i], 0, 255));
      } else if (in.mode == Mode::cmyk) {
        const int paper = 255 - in.bytes[i * 4 + 3];
        const int t = in.bytes[i * 4 + k] * paper + 128;
        to = static_cast<std::uint8_t>(std::clamp(paper - (((t >> 8) + t) >> 8), 0, 255));
      } else {
        to = in.bytes[i * c + (c >= 3 ? k : 0)];
      }
    }
  }
  return out;
}

/// Resized so that the shorter side is `size`, and of that the middle size x size, RGB. Only what is kept is resized.
inline Picture fit(const Picture& in, index_t size) {
  const index_t shorter = std::min(in.width, in.height), longer = std::max(in.width, in.height);
  if (shorter < 1) fail<ShapeError>("fit", "a picture", cat(in.width, " x ", in.height));
  const index_t other = size * longer / shorter;  // truncates, as int() does
  const index_t width = in.width <= in.height ? size : other;
  const index_t height = in.width <= in.height ? other : size;
  const auto middle = [size](index_t whole) {  // halves round to even
    return static_cast<index_t>(std::nearbyint(static_cast<double>(whole - size) / 2));
  };
  return to_rgb(resize(in, width, height, {middle(width), middle(height), size, size}));
}

/// An RGB picture as [3, H, W]: (v / 255 - mean) / deviation in float.
inline Tensor<float> normalize(const Picture& rgb, const Normalization& n = {}) {
  Tensor<float> out(Shape{3, rgb.height, rgb.width});
  const index_t count = rgb.width * rgb.height;
  for (std::size_t c = 0; c < 3; ++c) {
    float* to = out.data() + static_cast<index_t>(c) * count;
    for (index_t i = 0; i < count; ++i) {
      const auto v = static_cast<float>(rgb.bytes[static_cast<std::size_t>(i) * 3 + c]);
      to[i] = (v / 255.0F - n.mean[c]) / n.deviation[c];
    }
  }
  return out;
}

/// A picture file in memory to [3, size, size].
inline Tensor<float> transform(const std::string& name, std::span<const std::byte> file,
                               index_t size, const Normalization& n = {}) {
  return normalize(fit(decode(name, file), size), n);
}

}  // namespace plume::image
