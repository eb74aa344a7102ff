#pragma once
// What a file may ask for before it is refused. A reader checks these before it allocates anything.

#include <cstddef>

namespace plume::io {

struct Limits {
  std::size_t header_bytes = 100'000'000;  ///< safetensors header, as the format itself says
  std::size_t json_bytes = 256U << 20;     ///< a tokenizer, an index, a configuration
  int json_depth = 500;
  std::size_t tensors = 1'000'000;
  std::size_t name_bytes = 4096;
  std::size_t pickle_bytes = 64U << 20;
  std::size_t pickle_steps = 20'000'000;
  std::size_t pickle_depth = 64;
  std::size_t pickle_memo = 4'000'000;
  std::size_t pickle_memory = 256U << 20;  ///< bytes of all values a pickle builds
  std::size_t zip_entries = 1'000'000;
};

inline constexpr Limits default_limits{};

}  // namespace plume::io
