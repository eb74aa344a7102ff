#include "plume/core/scratch.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using namespace plume;

TEST_CASE("scratch frames nest, align and reuse their memory") {
  release_scratch();
  const auto use = [](index_t n) {
    const ScratchFrame outer;
    float* a = outer.array<float>(n);
    a[0] = 1.0F;
    a[n - 1] = 2.0F;
    for (int repeat = 0; repeat < 50; ++repeat) {
      const ScratchFrame inner;
      double* b = inner.array<double>(n * 3);
      char* c = inner.array<char>(1);
      double* d = inner.array<double>(n * 5);
      CHECK(reinterpret_cast<std::uintptr_t>(c) % 64 == 0);
      CHECK(reinterpret_cast<std::uintptr_t>(d) % 64 == 0);
      for (index_t i = 0; i < n * 3; ++i) b[i] = 3.0;
      for (index_t i = 0; i < n * 5; ++i) d[i] = 4.0;
      *c = 5;
      const ScratchFrame innermost;
      innermost.array<double>(n)[n - 1] = 6.0;
      CHECK(b[n * 3 - 1] == 3.0);
      CHECK(d[0] == 4.0);
      CHECK(*c == 5);
    }
    CHECK(a[0] == 1.0F);
    CHECK(a[n - 1] == 2.0F);
    return a;
  };
  use(100000);
  float* second = use(100000);
  CHECK(use(100000) == second);
  CHECK(use(10) == second);
  release_scratch();
  use(10);
}
