#pragma once
// decode_stb: JPEG and PNG with stb_image, which is always there. What it would decode wrongly is refused by name.

#include "plume/image/jpeg_structure.hpp"
#include "plume/image/jpeg_tables.hpp"
#include "plume/image/png_structure.hpp"
#include "plume/image/stb.hpp"

namespace plume::image {

namespace detail {

inline void check_for_stb(const std::string& name, const JpegStructure& jpeg) {
  check_frame(name, jpeg);
  constexpr const char* with = " (libjpeg-turbo decodes it; stb_image is built in)";
  if (jpeg.process > 0xc2)
    fail<FormatError>(name, "a JPEG of Huffman codes", cat("arithmetic coding", with));
  if (jpeg.components == 4)
    fail<FormatError>(name, "a JPEG in gray or RGB", cat(colours_in_words(jpeg), with));
  // libjpeg believes JFIF and Adobe before the names of the components, stb_image after them.
  if (jpeg.components == 3 && jpeg.ids[0] == 'R' && jpeg.ids[1] == 'G' && jpeg.ids[2] == 'B' &&
      (jpeg.jfif || jpeg.adobe > 0))
    fail<FormatError>(name, "a JPEG that says one thing of its colours", cat("two", with));
  check_jpeg_tables(name, jpeg.picture);
}

/// Of `width` x `height` pixels with `wanted` channels; `load` gives them, or nothing.
template <class Load>
void take_from_stb(const std::string& name, const Picture& size, const ImageLimits& limits,
                   std::size_t held, Load load) {
  const auto most = static_cast<std::size_t>(limits.memory);
  stb_memory() = {0, most - std::min(held, most), false};
  const bool loaded = load();
  if (loaded) return;
  if (stb_memory().refused) refuse_memory(name, size.width, size.height, limits);
  const char* reason = stbi_failure_reason();
  fail<FormatError>(name, "a picture that can be decoded",
                    reason == nullptr || *reason == 0 ? "broken codes" : reason);
}

inline Picture read_with_stb(const std::string& name, Bytes file, Picture out,
                             const ImageLimits& limits, std::size_t copied) {
  if (file.size() > static_cast<std::size_t>(INT32_MAX))
    fail<FormatError>(name, "a picture below 2 GiB", file.size());
  const auto* data = reinterpret_cast<const unsigned char*>(file.data());
  const auto size = static_cast<int>(file.size());
  const auto wanted = static_cast<int>(channels(out.mode));
  const auto count =
      static_cast<std::size_t>(out.width * out.height) * static_cast<std::size_t>(wanted);
  const bool wide = out.mode == Mode::gray16;
  int width = 0;
  int height = 0;
  int in_file = 0;
  take_from_stb(name, out, limits, copied + count * (wide ? 4 : 1), [&] {
    const auto take = [&](auto* pixels, auto& to) {
      if (pixels == nullptr) return false;
      const bool same = width == out.width && height == out.height;
      if (same) to.assign(pixels, pixels + count);
      stbi_image_free(pixels);
      return same;
    };
    if (wide) {
      return take(stbi_load_16_from_memory(data, size, &width, &height, &in_file, 1), out.values);
    }
    return take(stbi_load_from_memory(data, size, &width, &height, &in_file, wanted), out.bytes);
  });
  return out;
}

}  // namespace detail

/// Throws FormatError naming `name`, what was expected and what was got; CutError where the file ends too early.
inline Picture decode_stb(const std::string& name, std::span<const std::byte> file,
                          const ImageLimits& limits = {}) {
  if (detail::is_png(file)) {
    const detail::PngStructure png = detail::read_png_structure(name, file);
    detail::check_size(name, png.width, png.height, limits);
    const std::vector<std::byte> needed = detail::needed_chunks(png);
    return detail::read_with_stb(name, needed, {detail::mode_of(png), png.width, png.height, {}},
                                 limits, needed.size());
  }
  if (!detail::is_jpeg(file)) detail::refuse_format(name, file);
  const detail::JpegStructure jpeg = detail::read_jpeg_structure(name, file);
  detail::check_size(name, jpeg.width, jpeg.height, limits);
  detail::check_for_stb(name, jpeg);
  const Mode mode = jpeg.components == 1 ? Mode::l : Mode::rgb;
  return detail::read_with_stb(name, jpeg.picture, {mode, jpeg.width, jpeg.height, {}}, limits, 0);
}

}  // namespace plume::image
