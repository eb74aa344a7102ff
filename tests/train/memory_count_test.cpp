#include "plume/train/memory_count.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/sum.hpp"

using namespace plume;
using train::MemoryCount;

namespace {

std::string by_tag(MemoryTag tag) { return std::string(name(tag)); }

TEST_CASE("dry run: what is asked for is counted, and nothing is there") {
  const std::size_t before = cpu_memory().stats().total.current;
  {
    MemoryCount count(by_tag);
    CHECK(DryRun::active());
    constexpr index_t n = index_t{1} << 36;  // of which the machine need not have one
    {
      const MemoryScope scope(MemoryTag::data);
      const Tensor<float> huge(Shape{n});
      CHECK(huge(n - 1) == 0);
      const Tensor<float> twice = mul(huge, huge);
      CHECK(twice(n / 2) == 0);
    }
    const Tensor<double> small = arange<double>(8);
    CHECK(sum(small).item() == 28);  // what is short is computed
    CHECK(count.peak() >= 2 * sizeof(float) * n);
    CHECK(count.at_peak().at("data") == 2 * sizeof(float) * n);
  }
  CHECK_FALSE(DryRun::active());
  CHECK(cpu_memory().stats().total.current == before);
  CHECK(sum(ones<float>(Shape{100000})).item() == 100000);  // and all is as before
}

TEST_CASE("dry run: the same requests as a run with numbers") {
  const auto run = [] {
    const Var<float> w = trainable(zeros<float>({300, 200}));
    Var<float> x = constant(zeros<float>({500, 200}));
    const Var<float> y = linear(x, w);
    x = {};
    backward(sum(mul(y, y)));
    return w.grad();
  };
  std::size_t counted = 0;
  {
    MemoryCount count(by_tag);
    (void)run();
    counted = count.peak();
  }
  const std::size_t before = cpu_memory().stats().total.current;
  cpu_memory().reset_peak();
  (void)run();
  CHECK(counted == cpu_memory().stats().total.peak - before);
}

TEST_CASE("dry run: tensors outlive it, runs nest") {
  Tensor<float> kept;
  {
    MemoryCount outer(by_tag);
    {
      MemoryCount inner(by_tag);
      kept = Tensor<float>(Shape{1 << 20});
      CHECK(inner.peak() >= sizeof(float) << 20);
    }
    CHECK(DryRun::active());
    CHECK(outer.peak() < sizeof(float) << 20);
  }
  kept.fill(2);
  CHECK(kept((1 << 20) - 1) == 2);
}

}  // namespace
