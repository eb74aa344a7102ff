#pragma once
// decode_png: PNG with libpng. Its settings are those of Pillow's own reader: nothing is corrected for gamma, of 16
// bits the upper 8 are kept (all of gray), alpha that a chunk beside the pixels states is left out. Link with libpng
// to use this header.

#include <png.h>

#include <csetjmp>
#include <cstdlib>

#include "plume/image/png_structure.hpp"

namespace plume::image {

namespace detail {

/// libpng's state. It reports errors by longjmp, so the frame that it passes over holds nothing to destroy.
struct PngState {
  png_structp png;
  png_infop info;
  Bytes file;
  std::size_t at, memory;
  bool refused;
  char message[128];
};

[[noreturn]] inline void png_failed(png_structp png, png_const_charp text) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::strncpy(state->message, text, sizeof state->message - 1);
  png_longjmp(png, 1);
}
inline void png_warned(png_structp, png_const_charp) {}
inline void png_take(png_structp png, png_bytep to, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state->file.size() - state->at) png_error(png, "not enough data");
  std::memcpy(to, state->file.data() + state->at, count);
  state->at += count;
}
/// libpng streams: it holds a few rows and inflate's window, so a block is bounded, not their sum.
inline png_voidp png_allocate(png_structp png, std::size_t bytes) {
  auto* state = static_cast<PngState*>(png_get_mem_ptr(png));
  if (bytes > state->memory) {
    state->refused = true;
    return nullptr;
  }
  return std::malloc(bytes);
}
inline void png_release(png_structp, png_voidp block) { std::free(block); }

/// Fills `to` with rows of `row` bytes, samples of less than 8 bits each in a byte of its own. False where libpng
/// gave up; `state` says why.
inline bool png_rows(PngState& state, bool indices, std::uint8_t* to, std::size_t row) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;
  png_set_read_fn(state.png, &state, png_take);
  png_set_user_limits(state.png, 0x7fffffffU, 0x7fffffffU);
  png_read_info(state.png, state.info);
  const int colour = png_get_color_type(state.png, state.info);
  const int depth = png_get_bit_depth(state.png, state.info);
  if (indices) {
    png_set_packing(state.png);
  } else if (depth < 8) {
    png_set_expand_gray_1_2_4_to_8(state.png);
  } else if (depth == 16 && colour != PNG_COLOR_TYPE_GRAY) {
    png_set_strip_16(state.png);
    if (colour == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(state.png);
  }
  const int passes = png_set_interlace_handling(state.png);
  png_read_update_info(state.png, state.info);
  if (png_get_rowbytes(state.png, state.info) != row) png_error(state.png, "rows of another size");
  const std::size_t rows = png_get_image_height(state.png, state.info);
  for (int pass = 0; pass < passes; ++pass)
    for (std::size_t y = 0; y < rows; ++y) png_read_row(state.png, to + y * row, nullptr);
  return true;
}

}  // namespace detail

/// Throws FormatError naming `name`, what was expected and what was got; CutError where the file ends too early.
inline Picture decode_png(const std::string& name, std::span<const std::byte> file,
                          const ImageLimits& limits = {}) {
  if (!detail::is_png(file)) detail::refuse_format(name, file);
  const detail::PngStructure png = detail::read_png_structure(name, file);
  detail::check_size(name, png.width, png.height, limits);
  Picture out{detail::mode_of(png), png.width, png.height, {}};
  const auto pixels = static_cast<std::size_t>(png.width * png.height);
  const bool indices = out.mode == Mode::palette;
  const bool wide = out.mode == Mode::gray16;
  const std::size_t sample = indices ? 1 : wide ? 2 : static_cast<std::size_t>(channels(out.mode));
  const std::size_t held = png.data_bytes + pixels * (sample + (indices ? 3 : wide ? 4 : 0));
  if (held >= static_cast<std::size_t>(limits.memory))
    detail::refuse_memory(name, png.width, png.height, limits);
  const std::vector<std::byte> needed = detail::needed_chunks(png);
  std::vector<std::uint8_t> rows(pixels * sample);
  detail::PngState state{};
  state.file = needed;
  state.memory = static_cast<std::size_t>(limits.memory) - held;
  state.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &state, detail::png_failed,
                                       detail::png_warned, &state, detail::png_allocate,
                                       detail::png_release);
  if (state.png != nullptr) state.info = png_create_info_struct(state.png);
  const bool read =
      state.info != nullptr &&
      detail::png_rows(state, indices, rows.data(), static_cast<std::size_t>(png.width) * sample);
  png_destroy_read_struct(&state.png, &state.info, nullptr);
  if (!read) {
    if (state.refused) detail::refuse_memory(name, png.width, png.height, limits);
    fail<FormatError>(name, "a picture that can be decoded", state.message);
  }
  if (indices) {
    out.bytes.resize(pixels * 3);
    for (std::size_t i = 0; i < pixels * 3; ++i)
      out.bytes[i] =
          std::to_integer<std::uint8_t>(png.palette[rows[i / 3] * std::size_t{3} + i % 3]);
  } else if (wide) {
    out.values.resize(pixels);
    for (std::size_t i = 0; i < pixels; ++i) out.values[i] = rows[2 * i] << 8 | rows[2 * i + 1];
  } else {
    out.bytes = std::move(rows);
  }
  return out;
}

}  // namespace plume::image
