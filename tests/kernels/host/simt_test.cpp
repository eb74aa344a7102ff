// The host SIMT header itself: it does what CUDA does, and reports what CUDA leaves undefined.
#include "kernels/host/simt.hpp"

#include "tests/kernels/support.hpp"

using namespace plume::kernels::test;
using plume::simt::launch;
using plume::simt::options;

// --- Kernels that are right ----------------------------------------------------------------------

__global__ void reverse_kernel(int* x, int n) {
  PLUME_DYNAMIC_SHARED(int, buffer);
  const int i = static_cast<int>(threadIdx.x);
  buffer[i] = x[i];
  __syncthreads();
  x[i] = buffer[n - 1 - i];
}

__global__ void plain_shared_kernel(int* x) {
  __shared__ int tile[4][8];
  tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 8 + threadIdx.x];
  __syncthreads();
  x[threadIdx.y * 8 + threadIdx.x] = tile[3 - threadIdx.y][7 - threadIdx.x];
}

__global__ void index_kernel(unsigned* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = block * 1000 + thread;
}

__global__ void shuffle_kernel(int* out, int width) {
  const int lane = static_cast<int>(threadIdx.x);
  int* row = out + lane * 4;
  row[0] = __shfl_sync(0xffffffffU, lane, 5, width);
  row[1] = __shfl_up_sync(0xffffffffU, lane, 3, width);
  row[2] = __shfl_down_sync(0xffffffffU, lane, 3, width);
  row[3] = __shfl_xor_sync(0xffffffffU, lane, 6, width);
}

__global__ void vote_kernel(unsigned* out) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned odd = __ballot_sync(0xffffffffU, lane % 2 == 1);
  const int any = __any_sync(0xffffffffU, lane == 31);
  const int all = __all_sync(0xffffffffU, lane < 31);
  const int count = __syncthreads_count(threadIdx.x < 40);
  const int both = __syncthreads_and(threadIdx.x < 64);
  if (threadIdx.x == 0) {
    out[0] = odd;
    out[1] = static_cast<unsigned>(any * 10 + all);
    out[2] = static_cast<unsigned>(count);
    out[3] = static_cast<unsigned>(both);
  }
}

__global__ void half_warps_kernel(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  // Two disjoint masks in two branches: legal.
  if (lane < 16) {
    out[lane] = __shfl_xor_sync(0x0000ffffU, lane, 1);
  } else {
    out[lane] = __shfl_xor_sync(0xffff0000U, lane, 2);
  }
}

__global__ void histogram_kernel(const int* x, int n, int* bins) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) atomicAdd(bins + x[i], 1);
}

__global__ void leave_early_kernel(float* out) {
  if (threadIdx.x >= 40) return;  // without a barrier after it: fine
  out[threadIdx.x] = 1;
}

__global__ void tail_warp_kernel(
    unsigned* out) {  // 40 threads: the mask names lanes that do not exist
  if (threadIdx.x == 32) out[0] = 0;
  const unsigned votes = __ballot_sync(0xffffffffU, 1);
  if (threadIdx.x == 32) out[0] = votes;
}

// --- Kernels that are wrong, each in one way -----------------------------------------------------

__global__ void barrier_in_branch_kernel() {
  if (threadIdx.x < 32) __syncthreads();
}
__global__ void two_barriers_kernel() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void return_before_barrier_kernel(int* x) {
  if (threadIdx.x == 7) return;
  __syncthreads();
  x[threadIdx.x] = 1;
}
__global__ void not_in_own_mask_kernel() { __shfl_sync(0x0000ffffU, 1, 0); }
__global__ void absent_source_kernel() {
  if (threadIdx.x < 16) __shfl_sync(0x0000ffffU, 1, 20);
}
__global__ void divergent_shuffle_kernel(int* x) {
  if (threadIdx.x < 16) {
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffU, 1, 16);
  } else {
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffU, 2, 16);
  }
}
__global__ void overlapping_masks_kernel() {
  if (threadIdx.x < 16) {
    __syncwarp(0x0001ffffU);
  } else {
    __syncwarp(0xffff0000U);
  }
}
__global__ void warp_against_block_kernel() {
  if (threadIdx.x < 16) __syncwarp();
  __syncthreads();
}
__global__ void past_dynamic_kernel() {
  PLUME_DYNAMIC_SHARED(float, buffer);
  buffer[threadIdx.x] = 0;
}
__global__ void past_static_kernel() {
  PLUME_SHARED(float, buffer, 31);
  buffer[threadIdx.x] = 0;
}
__global__ void past_global_kernel(int* x) { x[threadIdx.x] = 0; }
__global__ void before_global_kernel(int* x) { x[static_cast<int>(threadIdx.x) - 1] = 0; }
__global__ void unwritten_shared_kernel(float* out) {
  PLUME_SHARED(float, buffer, 32);
  if (threadIdx.x != 5) buffer[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = buffer[threadIdx.x];
}
__global__ void missing_barrier_kernel(int* x) {
  PLUME_SHARED(int, buffer, 64);
  buffer[threadIdx.x] = static_cast<int>(threadIdx.x);
  x[threadIdx.x] = buffer[threadIdx.x / 2];  // in order this even works
}
__global__ void racing_blocks_kernel(int* x) { x[0] = static_cast<int>(blockIdx.x); }
__global__ void throwing_kernel() {
  if (threadIdx.x == 9) throw 42;
  __syncthreads();
}
__global__ void nothing_kernel() {}

namespace {
bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}
}  // namespace

TEST_CASE("barriers and shared memory work in every order") {
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    options().seed = seed;
    for (const int n : {1, 31, 32, 33, 1024}) {
      std::vector<int> x(static_cast<std::size_t>(n));
      for (int i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = i;
      DeviceArray<int> device(x);
      launch("reverse", reverse_kernel, 1, static_cast<unsigned>(n), x.size() * sizeof(int),
             device.data(), n);
      CHECK(device.values() == std::vector<int>(x.rbegin(), x.rend()));
    }
    std::vector<int> tile(32);
    for (int i = 0; i < 32; ++i) tile[static_cast<std::size_t>(i)] = i;
    DeviceArray<int> device(tile);
    launch("plain", plain_shared_kernel, 1, dim3(8, 4), 0, device.data());
    CHECK(device.values() == std::vector<int>(tile.rbegin(), tile.rend()));
  }
  options().seed = 0;
}

TEST_CASE("every thread of every block runs once, with its own indices") {
  for (const std::uint64_t seed : {0U, 5U, 6U}) {
    options().seed = seed;
    DeviceArray<unsigned> out(3 * 2 * 2 * 24);
    launch("index", index_kernel, dim3(3, 2, 2), dim3(4, 3, 2), 0, out.data());
    const auto values = out.values();
    bool right = true;
    for (unsigned i = 0; i < values.size(); ++i)
      right = right && values[i] == i / 24 * 1000 + i % 24;
    CHECK(right);
  }
  options().seed = 0;
}

TEST_CASE("shuffles follow CUDA's rules at the edges of a segment") {
  for (const int width : {32, 16, 8}) {
    DeviceArray<int> out(128);
    launch("shuffle", shuffle_kernel, 1, 32, 0, out.data(), width);
    const auto v = out.values();
    for (int lane = 0; lane < 32; ++lane) {
      const int start = lane / width * width;
      const auto* row = v.data() + lane * 4;
      CHECK(row[0] == start + 5);
      CHECK(row[1] == (lane - 3 >= start ? lane - 3 : lane));
      CHECK(row[2] == (lane + 3 < start + width ? lane + 3 : lane));
      CHECK(row[3] == (lane ^ 6));
    }
  }
}

TEST_CASE("votes, counts, half warps, atomics, absent lanes") {
  DeviceArray<unsigned> votes(4);
  launch("vote", vote_kernel, 1, 64, 0, votes.data());
  CHECK(votes.values() == std::vector<unsigned>{0xaaaaaaaaU, 10, 40, 1});

  DeviceArray<int> halves(32);
  launch("half_warps", half_warps_kernel, 1, 32, 0, halves.data());
  for (int lane = 0; lane < 32; ++lane)
    CHECK(halves.values()[static_cast<std::size_t>(lane)] == (lane ^ (lane < 16 ? 1 : 2)));

  std::vector<int> x(1000), zero(10, 0);
  for (int i = 0; i < 1000; ++i) x[static_cast<std::size_t>(i)] = i * i % 10;
  DeviceArray<int> device_x(x), bins(zero);
  launch("histogram", histogram_kernel, 8, 128, 0, device_x.data(), 1000, bins.data());
  CHECK(bins.values() == std::vector<int>{100, 200, 0, 0, 200, 100, 200, 0, 0, 200});

  DeviceArray<float> out(40);
  launch("leave_early", leave_early_kernel, 1, 64, 0, out.data());
  CHECK(out.values() == std::vector<float>(40, 1.0F));

  DeviceArray<unsigned> tail(1);
  launch("tail_warp", tail_warp_kernel, 1, 40, 0, tail.data());
  CHECK(tail.values()[0] == 0xffU);
}

TEST_CASE("divergent barriers are reported, with who waits where") {
  DeviceArray<int> x(64);
  const auto branch = error_of([] { launch("branch", barrier_in_branch_kernel, 1, 64, 0); });
  CHECK(contains(branch, "[branch] grid (1, 1, 1) block (64, 1, 1)"));
  CHECK(contains(branch, "divergent synchronisation: threads 0-31 wait in __syncthreads at "));
  CHECK(contains(branch, "simt_test.cpp:"));
  CHECK(contains(branch, "threads 32-63 have returned"));
  CHECK(contains(error_of([] { launch("two", two_barriers_kernel, 1, 64, 0); }),
                 "different barriers in one block"));
  const auto returned =
      error_of([&] { launch("early", return_before_barrier_kernel, 1, 64, 0, x.data()); });
  CHECK(contains(returned, "threads 0-6,8-63 wait in __syncthreads"));
  CHECK(contains(returned, "threads 7 have returned"));
}

TEST_CASE("wrong warp operations are reported") {
  DeviceArray<int> x(64);
  CHECK(contains(error_of([] { launch("a", not_in_own_mask_kernel, 1, 32, 0); }),
                 "lane 16 is not in its own mask 0x0000ffff"));
  CHECK(contains(error_of([] { launch("b", absent_source_kernel, 1, 32, 0); }),
                 "reads from lane 20, which takes no part"));
  CHECK(contains(error_of([&] { launch("c", divergent_shuffle_kernel, 1, 32, 0, x.data()); }),
                 "meets other lanes of its mask"));
  CHECK(contains(error_of([] { launch("d", overlapping_masks_kernel, 1, 32, 0); }),
                 "overlaps mask 0x0001ffff"));
  CHECK(contains(error_of([] { launch("e", warp_against_block_kernel, 1, 32, 0); }),
                 "threads 0-15 wait in __syncwarp"));
}

TEST_CASE("impossible launches are reported") {
  CHECK(contains(error_of([] { launch("a", nothing_kernel, 1, 2048, 0); }),
                 "more than 1024 threads"));
  CHECK(contains(error_of([] { launch("b", nothing_kernel, 1, dim3(1, 1, 65), 0); }),
                 "more than 1024 threads"));
  CHECK(contains(error_of([] { launch("c", nothing_kernel, 0, 32, 0); }), "an empty grid"));
  CHECK(contains(error_of([] { launch("d", nothing_kernel, dim3(1, 65536), 32, 0); }),
                 "a grid beyond"));
  CHECK(contains(error_of([] { launch("e", nothing_kernel, 1, 32, 228 * 1024); }),
                 "more shared memory"));
  int host = 0;
  CHECK(contains(error_of([&] { launch("f", past_global_kernel, 1, 1, 0, &host); }),
                 "argument 0 is not a device pointer"));
}

// AddressSanitizer stops the program at the very access instead.
#if !PLUME_SIMT_ASAN
TEST_CASE("writes out of bounds are reported") {
  CHECK(contains(error_of([] { launch("a", past_dynamic_kernel, 1, 32, 31 * 4); }),
                 "wrote at byte 124 of dynamic shared memory (124 bytes)"));
  CHECK(contains(error_of([] { launch("b", past_static_kernel, 1, 32, 0); }),
                 "wrote at byte 124 of shared array buffer (124 bytes)"));
  for (const bool past : {true, false}) {
    void* raw = plume::simt::detail::device_memory().allocate(31 * sizeof(int));
    auto* x = static_cast<int*>(raw);
    const auto message = error_of(
        [&] { launch("c", past ? past_global_kernel : before_global_kernel, 1, 32, 0, x); });
    CHECK(contains(message, past ? "wrote at byte 124 of the device allocation of argument 0"
                                 : "wrote at byte -1 of"));
    CHECK(!error_of([&] {
             plume::simt::detail::device_memory().release(raw);
           }).empty());  // and again when freed
  }
}
#endif

TEST_CASE("unwritten shared memory reads as NaN") {
  DeviceArray<float> out(32);
  for (int launches = 0; launches < 2;
       ++launches) {  // the second block does not see the first one's values
    launch("unwritten", unwritten_shared_kernel, 1, 32, 0, out.data());
    const auto values = out.values();
    for (std::size_t i = 0; i < 32; ++i) CHECK(std::isnan(values[i]) == (i == 5));
  }
}

TEST_CASE("another order shows what a missing barrier or racing blocks hide") {
  DeviceArray<int> x(64), winner(1);
  const auto run = [&](std::uint64_t seed) {
    options().seed = seed;
    launch("missing", missing_barrier_kernel, 1, 64, 0, x.data());
    launch("racing", racing_blocks_kernel, 16, 1, 0, winner.data());
    options().seed = 0;
    return std::pair(x.values(), winner.values()[0]);
  };
  const auto in_order = run(0);
  CHECK(run(3).first != in_order.first);
  bool differs = false;
  for (const std::uint64_t seed : {3U, 7U, 11U})
    differs = differs || run(seed).second != in_order.second;
  CHECK(differs);
}

TEST_CASE("a kernel's exception reaches the host, and the next launch works") {
  CHECK_THROWS_AS(launch("throwing", throwing_kernel, 1, 32, 0), int);
  DeviceArray<float> out(40);
  launch("leave_early", leave_early_kernel, 1, 64, 0, out.data());
  CHECK(out.values() == std::vector<float>(40, 1.0F));
}

TEST_CASE("16-bit floats round as the device does") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const __half h{static_cast<std::uint16_t>(i)};
    const __nv_bfloat16 b{static_cast<std::uint16_t>(i)};
    const float fh = __half2float(h), fb = __bfloat162float(b);
    const bool right =
        std::isnan(fh) ? std::isnan(__half2float(__float2half(fh))) : __float2half(fh).bits == i;
    const bool right_b = std::isnan(fb) ? std::isnan(__bfloat162float(__float2bfloat16(fb)))
                                        : __float2bfloat16(fb).bits == i;
    if (!right || !right_b) FAIL("16-bit pattern ", i);
  }
  CHECK(__float2half(65519.996F).bits == 0x7bff);
  CHECK(__float2half(65520.0F).bits == 0x7c00);
  CHECK(__float2half(0x1p-25F).bits == 0);
  CHECK(__float2half(0x1.8p-25F).bits == 1);
  CHECK(__float2half(1 + 0x1p-11F).bits == 0x3c00);  // halfway: to even
  CHECK(__float2half(1 + 3 * 0x1p-11F).bits == 0x3c02);
  CHECK(__float2bfloat16(1 + 0x1p-8F).bits == 0x3f80);
  CHECK(__float2bfloat16(1 + 3 * 0x1p-8F).bits == 0x3f82);
}

TEST_CASE("launches of plume::kernels leave a trace") {
  auto& log = plume::kernels::launch_log();
  const auto before = log.count();
  for (int i = 0; i < 40; ++i) {
    plume::kernels::launch({"nothing", 2, 32, 0, nullptr}, {{"turn", i}}, nothing_kernel);
  }
  CHECK(log.count() == before + 40);
  const auto text = log.text();
  CHECK(contains(text, "nothing(turn = 39) grid 2x1x1 block 32x1x1 shared 0"));
  CHECK(contains(text, "(turn = 8)"));
  CHECK(!contains(text, "(turn = 7)"));  // the log keeps 32
  CHECK(contains(plume::kernels::error_text("where", "what"), "[where] CUDA error: what"));
  CHECK_THROWS_AS(plume::kernels::launch({"huge", 1LL << 31, 32, 0, nullptr}, {}, nothing_kernel),
                  plume::kernels::LaunchError);
}
