// seeds: tests/golden/images/files/*
// runs: 20000
#include "plume/image/decode.hpp"
#include "plume/image/resize.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  return fuzz::read_or_refuse([&] {
    const io::Source file = fuzz::source(data, size);
    // Large pictures are slow, not interesting.
    const image::Picture picture = image::decode("fuzz", file.bytes, {4096, index_t{1} << 18});
    image::resize(picture, 8, 8);
  });
}
