// seeds: tests/golden/images/files/* tests/cases/images/files/* tests/cases/images/*.jpg
// link: -ljpeg -lpng
// runs: 10000
#define PLUME_WITH_JPEG
#define PLUME_WITH_PNG
#include "plume/image/transform.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  const io::Source file = fuzz::source(data, size);
  const image::ImageLimits limits{4096,
                                  index_t{1} << 18};  // large pictures are slow, not interesting
  for (const auto decoder : {image::decode_stb, image::decode})
    fuzz::read_or_refuse([&] { image::fit(decoder("fuzz", file.bytes, limits), 8); });
  return 0;
}
