// What precedes the first protocol mark is skipped, so that whole files are seeds.
// seeds: tests/golden/weights/*.pt tests/golden/weights/hostile/*.pt
// runs: 5000
#include "plume/io/pickle.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  const std::size_t start = fuzz::text(data, size).find('\x80');
  if (start >= size) return 0;
  const io::Source source = fuzz::source(data + start, size - start);
  for (const bool torchscript : {false, true}) {
    fuzz::read_or_refuse([&] {
      io::Pickle pickle("fuzz", torchscript);
      pickle.allow_tail();
      io::Bytes bytes = source.bytes;
      pickle.load(bytes);
    });
  }
  return 0;
}
