// What a program sees of plume::gpu: answers and clear errors without a GPU, real figures with one.
#include "plume/cuda/runtime.hpp"

#include <doctest/doctest.h>

#include <string>

#include "plume/core/tensor.hpp"

using namespace plume;

namespace {

template <class E, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("without a GPU every call says what is missing") {
  if (cuda_is_available()) return;
  CHECK(!gpu::is_available());
  CHECK(gpu::device_count() == 0);
  for (const auto& message : {message_of<DeviceError>([] { gpu::device_info(); }),
                              message_of<DeviceError>([] { gpu::synchronize(); }),
                              message_of<DeviceError>([] { gpu::memory_statistics(); }),
                              message_of<DeviceError>([] { gpu::Stream stream; }),
                              message_of<DeviceError>([] { Tensor<float> x({2}, cuda()); })}) {
    // Either the build has no CUDA, or it has and finds no device: both say so.
    CHECK((contains(message, "expected a build of Plume with CUDA") ||
           contains(message, "expected a CUDA device, got none")));
  }
}

TEST_CASE("with a GPU: devices, memory, streams") {
  if (!cuda_is_available() || dynamic_cast<gpu::Runtime*>(cuda_backend().load()) == nullptr) return;
  const gpu::DeviceInfo info = gpu::device_info();
  CHECK(!info.name.empty());
  CHECK(info.multiprocessors > 0);
  CHECK(info.memory_bytes >= info.free_bytes);

  gpu::reset_memory_peaks();
  const gpu::MemoryStatistics before = gpu::memory_statistics();
  {
    const Tensor<float> x({1024, 1024}, cuda());
    CHECK(gpu::memory_statistics().used >= before.used + (std::size_t{4} << 20));
  }
  gpu::synchronize();
  const gpu::MemoryStatistics after = gpu::memory_statistics();
  CHECK(after.used == before.used);
  CHECK(after.peak_used >= before.used + (std::size_t{4} << 20));
  CHECK(after.allocations == before.allocations + 1);

  gpu::Stream stream;
  const void* outside = gpu::current_stream();
  {
    const gpu::StreamScope scope(stream);
    CHECK(gpu::current_stream() == stream.native_handle());
    const Tensor<float> x = ones<float>({3}).to(cuda());
    CHECK(x.to(cpu)(2) == 1);
  }
  CHECK(gpu::current_stream() == outside);

  const std::string message =
      message_of<gpu::Error>([] { Tensor<float> x({index_t{1} << 50}, cuda()); });
  CHECK(contains(message, "out of memory on cuda:0: asked for 4503599627370496 bytes"));
  CHECK_THROWS_AS(Tensor<float>({2}, cuda(63)), DeviceError);
}
