#pragma once
// What all fuzz targets share: bytes from libFuzzer are read or refused. Anything but a refusal (a crash, a
// hang, memory beyond the limit of the run, another exception) is a finding.
//
// tests/guards/fuzz builds and runs the targets. One names its seeds in lines "// seeds: PATTERN ..." (files
// joined by + are put one after the other) or writes them out in lines "// seed: BYTES", escaped as for printf.
// Libraries it needs stand in a line "// link: FLAGS", the number of inputs of a check in a line "// runs: N".

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "plume/core/error.hpp"
#include "plume/io/mapped_file.hpp"

namespace plume::fuzz {

/// A copy of exactly that size, so that a read past its end is seen.
inline io::Source source(const std::uint8_t* data, std::size_t size) {
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  for (std::size_t i = 0; i < size; ++i) (*bytes)[i] = static_cast<std::byte>(data[i]);
  const io::Bytes view(*bytes);
  return {"fuzz", view, std::move(bytes)};
}
inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `read`; what it throws must be what Plume throws for files and values that do not fit.
template <class Read>
int read_or_refuse(Read read) {
  try {
    read();
  } catch (const FormatError&) {
  } catch (const std::invalid_argument&) {
  }
  return 0;
}

}  // namespace plume::fuzz
