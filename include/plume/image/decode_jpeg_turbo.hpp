#pragma once
// decode_jpeg_turbo: JPEG with libjpeg-turbo, set as Pillow sets it: the slow integer transform, smooth upsampling,
// and the colours of the file (gray, RGB, or inks, which are taken for inverted ones). Link with it to use this header.

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "plume/image/jpeg_structure.hpp"
#include "plume/image/picture.hpp"

#include <jerror.h>

#ifndef LIBJPEG_TURBO_VERSION
#error "PLUME_WITH_JPEG needs libjpeg-turbo: other libjpegs decode to other pixels"
#endif

namespace plume::image {

namespace detail {

/// libjpeg's state. It reports errors by longjmp, so the frame that it passes over holds nothing to destroy.
struct TurboState {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
  bool cut, memory;
};

[[noreturn]] inline void turbo_error(j_common_ptr jpeg) {
  auto* state = static_cast<TurboState*>(jpeg->client_data);
  (*jpeg->err->format_message)(jpeg, state->message);
  const int code = jpeg->err->msg_code;
  state->memory = code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE;
  std::longjmp(state->back, 1);
}
inline void turbo_warning(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF)
    static_cast<TurboState*>(jpeg->client_data)->cut = true;
}

/// Fills `to` with rows of `width * components`. False where libjpeg gave up; `state` says why.
inline bool turbo_rows(TurboState& state, Bytes file, std::size_t memory, std::uint8_t* to) {
  jpeg_decompress_struct& jpeg = state.jpeg;
  jpeg.err = jpeg_std_error(&state.errors);
  state.errors.error_exit = turbo_error;
  state.errors.emit_message = turbo_warning;
  jpeg.client_data = &state;
  if (setjmp(state.back) != 0) {
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  jpeg_create_decompress(&jpeg);
  jpeg.client_data = &state;
  jpeg.mem->max_memory_to_use = static_cast<long>(memory);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()),
               static_cast<unsigned long>(file.size()));
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = jpeg.num_components == 1   ? JCS_GRAYSCALE
                         : jpeg.num_components == 4 ? JCS_CMYK
                                                    : JCS_RGB;
  jpeg.dct_method = JDCT_ISLOW;
  jpeg.do_fancy_upsampling = TRUE;
  jpeg_start_decompress(&jpeg);
  const std::size_t row =
      std::size_t{jpeg.output_width} * static_cast<std::size_t>(jpeg.output_components);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW at = to + jpeg.output_scanline * row;
    jpeg_read_scanlines(&jpeg, &at, 1);
  }
  jpeg_destroy_decompress(&jpeg);
  return true;
}

}  // namespace detail

/// Throws FormatError naming `name`, what was expected and what was got; CutError where the file ends too early.
inline Picture decode_jpeg_turbo(const std::string& name, std::span<const std::byte> file,
                                 const ImageLimits& limits = {}) {
  if (!detail::is_jpeg(file)) detail::refuse_format(name, file);
  const detail::JpegStructure jpeg = detail::read_jpeg_structure(name, file);
  detail::check_size(name, jpeg.width, jpeg.height, limits);
  detail::check_frame(name, jpeg);
  Picture out{jpeg.components == 1   ? Mode::l
              : jpeg.components == 3 ? Mode::rgb
                                     : Mode::cmyk,
              jpeg.width,
              jpeg.height,
              {}};
  const index_t held = jpeg.width * jpeg.height * channels(out.mode);
  if (held + detail::coefficient_bytes(jpeg) >= limits.memory)
    detail::refuse_memory(name, jpeg.width, jpeg.height, limits);
  out.bytes.resize(static_cast<std::size_t>(held));
  detail::TurboState state{};
  if (!detail::turbo_rows(state, jpeg.picture, static_cast<std::size_t>(limits.memory - held),
                          out.bytes.data())) {
    if (state.memory) detail::refuse_memory(name, jpeg.width, jpeg.height, limits);
    fail<FormatError>(name, "a picture that can be decoded", state.message);
  }
  if (state.cut) fail<CutError>(name, "a whole JPEG", "one with a scan that is cut");
  if (out.mode == Mode::cmyk)
    for (std::uint8_t& v : out.bytes) v = static_cast<std::uint8_t>(255 - v);
  return out;
}

}  // namespace plume::image
