// seeds: tests/golden/weights/*.safetensors tests/golden/weights/hostile/*.safetensors
// seeds: tests/golden/models/resampler-video/*.safetensors
// runs: 70000
#include "plume/io/safetensors.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  return fuzz::read_or_refuse([&] {
    for (const auto& [name, tensor] : io::read_safetensors(fuzz::source(data, size)).tensors) {
      (void)tensor.contiguous_bytes();
      fuzz::read_or_refuse([&, &t = tensor] { (void)t.to<float>(); });
    }
  });
}
