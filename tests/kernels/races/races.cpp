// The race checker finds what it should, with the line, and nothing else. Built by
// tests/guards/races: this file and the kernel tests with -fsanitize=thread, hooks.cpp without.
#include "tests/kernels/support.hpp"

using namespace plume::kernels::test;
using plume::simt::launch;

// --- Wrong ---------------------------------------------------------------------------------------

__global__ void missing_barrier(int* out) {
  PLUME_SHARED(int, buffer, 64);
  buffer[threadIdx.x] = 1;
  out[threadIdx.x] = buffer[63 - threadIdx.x];
}
__global__ void missing_second_barrier(int* out) {
  PLUME_SHARED(int, buffer, 64);
  for (int turn = 0; turn < 2; ++turn) {
    buffer[threadIdx.x] = turn;
    __syncthreads();
    out[threadIdx.x] = buffer[63 - threadIdx.x];  // and round again, while others still read
  }
}
__global__ void shuffle_is_no_barrier(int* out) {
  PLUME_SHARED(int, buffer, 32);
  buffer[threadIdx.x] = 1;
  __shfl_xor_sync(0xffffffffU, 0, 1);
  out[threadIdx.x] = buffer[31 - threadIdx.x];
}
constexpr int lost_line = __LINE__ + 1;
__global__ void lost_update(int* out) { out[0] += 1; }
__global__ void blocks_race(int* out) {
  if (threadIdx.x == 0) out[0] = static_cast<int>(blockIdx.x);
}
__global__ void blocks_are_not_ordered_by_barriers(int* out) {
  if (blockIdx.x == 0 && threadIdx.x == 0) out[0] = 1;
  __syncthreads();
  if (blockIdx.x == 1 && threadIdx.x == 0) out[1] = out[0];
}
__global__ void half_atomic(int* out) {
  if (threadIdx.x == 0) {
    out[0] = 1;
  } else {
    atomicAdd(out, 1);
  }
}
__global__ void unwritten(int* out) {
  PLUME_SHARED(int, buffer, 32);
  if (threadIdx.x < 31) buffer[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = buffer[threadIdx.x];
}
__global__ void reads_past_the_end(const float* x, float* out) {
  out[threadIdx.x] = x[threadIdx.x + 1];
}
__global__ void reads_past_shared(float* out) {
  PLUME_DYNAMIC_SHARED(float, buffer);
  buffer[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = buffer[threadIdx.x + 1];
}

// --- Right ---------------------------------------------------------------------------------------

__global__ void with_barriers(int* out) {
  PLUME_SHARED(int, buffer, 64);
  for (int turn = 0; turn < 3; ++turn) {
    buffer[threadIdx.x] = turn;
    __syncthreads();
    out[threadIdx.x] = buffer[63 - threadIdx.x];
    __syncthreads();
  }
}
__global__ void with_warp_barrier(int* out) {
  PLUME_SHARED(int, buffer, 64);
  const unsigned warp = threadIdx.x / 32 * 32, lane = threadIdx.x % 32;
  buffer[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = buffer[warp + 31 - lane];
}
__global__ void atomics(int* out) {
  atomicAdd(out, 1);
  atomicMax(out + 1, static_cast<int>(threadIdx.x));
}
__global__ void neighbouring_bytes(unsigned char* out) { out[threadIdx.x] = 1; }

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// The error of a launch of `blocks` times `threads`.
template <class Kernel, class... Arguments>
std::string error_in(Kernel kernel, unsigned blocks, unsigned threads, std::size_t shared,
                     const Arguments&... arguments) {
  return error_of([&] { launch("planted", kernel, blocks, threads, shared, arguments...); });
}

}  // namespace

TEST_CASE("planted mistakes are found, with the line") {
  DeviceArray<int> out(64);
  DeviceArray<float> x(32), y(32);
  CHECK(contains(error_in(missing_barrier, 1, 64, 0, out.data()),
                 "shared memory that nobody has written"));
  CHECK(
      contains(error_in(missing_second_barrier, 1, 64, 0, out.data()), "race on shared memory: "));
  CHECK(contains(error_in(shuffle_is_no_barrier, 1, 32, 0, out.data()), "race on shared memory: "));
  const std::string lost = error_in(lost_update, 1, 32, 0, out.data());
  const std::string at = " at races.cpp:" + std::to_string(lost_line);
  CHECK(contains(lost, ("race on device memory: read by thread 1 of block 0" + at).c_str()));
  CHECK(contains(lost, ("write by thread 0 of block 0" + at).c_str()));
  CHECK(contains(error_in(blocks_race, 2, 32, 0, out.data()), "write by thread 0 of block 1"));
  CHECK(contains(error_in(blocks_are_not_ordered_by_barriers, 2, 32, 0, out.data()),
                 "race on device memory"));
  CHECK(contains(error_in(half_atomic, 1, 32, 0, out.data()), "atomic read by thread 1"));
  CHECK(contains(error_in(unwritten, 1, 32, 0, out.data()),
                 "shared memory that nobody has written: read by thread 31"));
  CHECK(contains(
      error_in(reads_past_the_end, 1, 32, 0, static_cast<const float*>(x.data()), y.data()),
      "out of bounds: byte 128 of a device allocation (128 bytes): read by thread 31"));
  CHECK(contains(error_in(reads_past_shared, 1, 32, 128, y.data()),
                 "out of bounds: byte 128 of dynamic shared memory"));
}

TEST_CASE("correct kernels raise nothing") {
  DeviceArray<int> out(std::vector<int>(64, 0));
  DeviceArray<unsigned char> bytes(64);
  CHECK(error_in(with_barriers, 2, 64, 0, out.data()).find("race on shared") == std::string::npos);
  CHECK(error_in(with_barriers, 1, 64, 0, out.data()).empty());
  CHECK(error_in(with_warp_barrier, 1, 64, 0, out.data()).empty());
  CHECK(error_in(atomics, 4, 64, 0, out.data()).empty());
  CHECK(error_in(neighbouring_bytes, 1, 64, 0, bytes.data()).empty());
}
