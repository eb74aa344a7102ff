// A training step after warm-up asks the system for no memory: neither through the pool behind tensors and
// graph nodes, nor through operator new.

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "plume/autograd/backward.hpp"
#include "plume/autograd/recompute.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/softmax.hpp"
#include "plume/ops/sum.hpp"
#include "plume/optim/adamw.hpp"
#include "plume/optim/clip.hpp"

using namespace plume;

namespace {
std::atomic<long> calls_of_new{0};
}  // namespace

// Sanitizers bring their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(std::size_t bytes) {
  calls_of_new.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(bytes != 0 ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  calls_of_new.fetch_add(1, std::memory_order_relaxed);
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace {

struct Block {
  Var<float> gain, bias, up, down;

  explicit Block(Generator& g)
      : gain(trainable(ones<float>({96}))),
        bias(trainable(zeros<float>({96}))),
        up(trainable(normal<float>({96, 384}, g, 0, 0.1))),
        down(trainable(normal<float>({384, 96}, g, 0, 0.05))) {}
  Var<float> operator()(const Var<float>& x) const {
    const Var<float> h = layer_norm(x, gain, bias);
    return add(x, matmul(gelu(matmul(h, up)), down));
  }
};

TEST_CASE("allocation: a training step after warm-up takes nothing from the system") {
  Generator generator(1);
  const Block first(generator);
  const Block second(generator);
  std::vector<Var<float>> parameters;
  for (const Block* b : {&first, &second}) {
    for (const Var<float>& p : {b->gain, b->bias, b->up, b->down}) parameters.push_back(p);
  }
  AdamW<float> optimizer{std::span<const Var<float>>(parameters)};
  const Tensor<float> data = normal<float>({4, 130, 96}, generator);

  const auto step = [&] {
    Var<float> x = first(constant(data));
    x = recompute([&](const Var<float>& in) { return second(in); }, x);
    const Var<float> p = softmax(x, -1);
    const Var<float> loss = mean(mul(p, x));
    optimizer.zero_grad();
    backward(loss);
    clip_gradients<float>(parameters, 1);
    optimizer.step();
    return loss.value().item();
  };

  for (const int threads : {1, 2}) {
    set_thread_count(threads);
    // A busy machine may let a thread sleep through the warm-up, whose scratch memory is then met later. So
    // not a certain step is asked for, but that there comes an end: six steps in a row without a call.
    long calls = -1;
    std::size_t system_calls = 0;
    std::size_t grown = 0;
    for (int round = 0; round < 10 && (calls != 0 || system_calls != 0); ++round) {
      const MemoryPool::Stats before = cpu_memory().stats();
      const long before_new = calls_of_new.load();
      for (int i = 0; i < 6; ++i) (void)step();
      calls = calls_of_new.load() - before_new;
      const MemoryPool::Stats after = cpu_memory().stats();
      system_calls = after.system_calls - before.system_calls;
      grown = after.total.current - before.total.current;
    }
    CHECK(calls == 0);
    CHECK(system_calls == 0);
    CHECK(grown == 0);
  }
  set_thread_count(0);
}

}  // namespace
