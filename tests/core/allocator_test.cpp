#include "plume/core/allocator.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "plume/core/tensor.hpp"

using namespace plume;

namespace {

TEST_CASE("allocator: blocks are aligned, writable to the last byte, and reused") {
  MemoryPool pool;
  for (const std::size_t bytes :
       {1UL, 63UL, 64UL, 65UL, 1000UL, 4096UL, (2UL << 20) - 1, (2UL << 20) + 1}) {
    void* p = pool.allocate(bytes, MemoryTag::other);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    std::memset(p, 0xab, bytes);
    pool.deallocate(p, bytes, MemoryTag::other);
    const auto calls = pool.stats().system_calls;
    void* q = pool.allocate(bytes, MemoryTag::other);
    CHECK(q == p);
    CHECK(pool.stats().system_calls == calls);
    pool.deallocate(q, bytes, MemoryTag::other);
  }
  CHECK(pool.stats().cached > 0);
  pool.trim();
  CHECK(pool.stats().cached == 0);
}

TEST_CASE("allocator: 0 bytes are an aligned address that is not null and holds nothing") {
  MemoryPool pool;
  void* p = pool.allocate(0, MemoryTag::other);
  CHECK(p != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
  pool.deallocate(p, 0, MemoryTag::other);
  CHECK(pool.stats().system_calls == 0);
  CHECK(pool.stats().cached == 0);
}

TEST_CASE("allocator: every size has room, at most a quarter more than asked for") {
  MemoryPool pool;
  for (std::size_t bytes = 1; bytes < 20000; bytes += 7) {
    void* p = pool.allocate(bytes, MemoryTag::other);
    pool.deallocate(p, bytes, MemoryTag::other);
    const std::size_t held = pool.stats().cached;
    CHECK(held >= bytes);
    CHECK(held <= bytes + bytes / 4 + 64);
    pool.trim();
  }
}

TEST_CASE("allocator: bytes are counted under the tag of the scope") {
  const auto before = cpu_memory().stats();
  {
    const MemoryScope scope(MemoryTag::optimizer);
    const Tensor<float> x({1000});
    const auto now = cpu_memory().stats();
    CHECK(now[MemoryTag::optimizer].current == before[MemoryTag::optimizer].current + 4000);
    CHECK(now[MemoryTag::optimizer].count == before[MemoryTag::optimizer].count + 1);
    CHECK(now.total.current >= before.total.current + 4000);
  }
  const auto after = cpu_memory().stats();
  CHECK(after[MemoryTag::optimizer].current == before[MemoryTag::optimizer].current);
  CHECK(after[MemoryTag::optimizer].peak >= before[MemoryTag::optimizer].current + 4000);
  cpu_memory().reset_peak();
  CHECK(cpu_memory().stats()[MemoryTag::optimizer].peak == after[MemoryTag::optimizer].current);
}

TEST_CASE("allocator: what cannot be had is an error that names the sum and its holders") {
  const Tensor<float> holder({1000});
  try {
    cpu_memory().allocate(std::size_t{1} << 59, MemoryTag::data);
    FAIL("expected OutOfMemory");
  } catch (const OutOfMemory& error) {
    const std::string text = error.what();
    CHECK(text.find("576460752303423488 more bytes") != std::string::npos);
    CHECK(text.find("other ") != std::string::npos);
  }
  CHECK_THROWS_AS(cpu_memory().allocate(std::size_t{1} << 62, MemoryTag::data), OutOfMemory);
  CHECK(cpu_memory().stats()[MemoryTag::data].current == 0);
}

TEST_CASE("allocator: threads may allocate and free each other's tensors") {
  std::vector<Tensor<int>> made(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round) {
        for (int i = t; i < 64; i += 4) {
          made[static_cast<std::size_t>(i)] = full<int>({i + 1}, i);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 64; ++i) CHECK(made[static_cast<std::size_t>(i)](i) == i);
}

}  // namespace
