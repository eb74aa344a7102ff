// seeds: tests/golden/weights/*.pt tests/golden/weights/hostile/*.pt tests/golden/weights/sharded-torch/*.bin
// runs: 70000
#include "plume/io/torch_file.hpp"

#include "plume/io/weights.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  return fuzz::read_or_refuse([&] {
    const io::TorchFile file(fuzz::source(data, size));
    index_t most = index_t{1} << 20;  // elements looked at, of views that repeat theirs
    for (const auto& [name, tensor] : file.tensors(*io::state_of(file.root(), "fuzz").tensors)) {
      most -= tensor.shape().numel();
      if (most < 0) return;
      (void)tensor.contiguous_bytes();
      fuzz::read_or_refuse([&, &t = tensor] { (void)t.to<float>(); });
    }
  });
}
