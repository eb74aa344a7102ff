#pragma once
// stb_image, compiled into each unit, with what is told to it: memory is counted, and colours at half width or
// height are spread as libjpeg does it.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace plume::image::detail {

/// The memory that stb_image holds on this thread.
struct StbMemory {
  std::size_t used = 0, most = 0;
  bool refused = false;
};
inline StbMemory& stb_memory() noexcept {
  static thread_local StbMemory memory;
  return memory;
}

inline constexpr std::size_t stb_header = alignof(std::max_align_t);

inline void* stb_grow(void* buffer, std::size_t bytes) noexcept {
  StbMemory& memory = stb_memory();
  char* block = buffer == nullptr ? nullptr : static_cast<char*>(buffer) - stb_header;
  std::size_t before = 0;
  if (block != nullptr) std::memcpy(&before, block, sizeof before);
  // Growing may copy, which holds both.
  if (bytes > memory.most || memory.used > memory.most - bytes) {
    memory.refused = true;
    return nullptr;
  }
  block = static_cast<char*>(std::realloc(block, bytes + stb_header));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  memory.used += bytes - before;
  return block + stb_header;
}
inline void* stb_allocate(std::size_t bytes) noexcept { return stb_grow(nullptr, bytes); }
inline void stb_free(void* buffer) noexcept {
  if (buffer == nullptr) return;
  char* block = static_cast<char*>(buffer) - stb_header;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  stb_memory().used -= bytes;
  std::free(block);
}

/// Twice as wide. Rows of two and fewer are repeated.
inline unsigned char* spread_row(unsigned char* out, const unsigned char* in, int w) noexcept {
  for (int i = 0; i < w; ++i) {
    const int mid = 3 * in[i];
    out[2 * i] = i == 0 || w <= 2 ? in[i] : static_cast<unsigned char>((mid + in[i - 1] + 1) >> 2);
    out[2 * i + 1] =
        i + 1 == w || w <= 2 ? in[i] : static_cast<unsigned char>((mid + in[i + 1] + 2) >> 2);
  }
  return out;
}
/// Twice as wide and high: a row between `near` and `far`.
inline unsigned char* spread_rows(unsigned char* out, const unsigned char* near,
                                  const unsigned char* far, int w) noexcept {
  int before = 0;
  int here = 3 * near[0] + far[0];
  for (int i = 0; i < w; ++i) {
    const int after = i + 1 < w ? 3 * near[i + 1] + far[i + 1] : 0;
    if (w <= 2) {
      out[2 * i] = out[2 * i + 1] = near[i];
    } else {
      out[2 * i] =
          static_cast<unsigned char>(i == 0 ? (here * 4 + 8) >> 4 : (here * 3 + before + 8) >> 4);
      out[2 * i + 1] = static_cast<unsigned char>(i + 1 == w ? (here * 4 + 7) >> 4
                                                             : (here * 3 + after + 7) >> 4);
    }
    before = here;
    here = after;
  }
  return out;
}

}  // namespace plume::image::detail

// stb_image refers to these three by name and defines them with parentheses: the macros rename its definitions. Its
// own, to 2.30, takes the wrong neighbour before the last column.
static unsigned char* stbi__resample_row_h_2(unsigned char* out, unsigned char* near,
                                             unsigned char*, int w, int) {
  return plume::image::detail::spread_row(out, near, w);
}
static unsigned char* stbi__resample_row_hv_2(unsigned char* out, unsigned char* near,
                                              unsigned char* far, int w, int) {
  return plume::image::detail::spread_rows(out, near, far, w);
}
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
static unsigned char* stbi__resample_row_hv_2_simd(unsigned char* out, unsigned char* near,
                                                   unsigned char* far, int w, int) {
  return plume::image::detail::spread_rows(out, near, far, w);
}
#define stbi__resample_row_h_2(a, b, c, d, e) stbi__not_used_h_2(a, b, c, d, e)
#define stbi__resample_row_hv_2(a, b, c, d, e) stbi__not_used_hv_2(a, b, c, d, e)
#define stbi__resample_row_hv_2_simd(a, b, c, d, e) stbi__not_used_hv_2_simd(a, b, c, d, e)
#define STBI_MALLOC(size) plume::image::detail::stb_allocate(size)
#define STBI_REALLOC(buffer, size) plume::image::detail::stb_grow(buffer, size)
#define STBI_FREE(buffer) plume::image::detail::stb_free(buffer)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 65535
#include <stb/stb_image.h>
#undef stbi__resample_row_h_2
#undef stbi__resample_row_hv_2
#undef stbi__resample_row_hv_2_simd
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
