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
#include "plume/ops/attention.hpp"
#include "plume/ops/dropout.hpp"
#include "plume/ops/embedding.hpp"
#include "plume/ops/gated_residual.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/linear_cross_entropy.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/operators.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/rms_norm.hpp"
#include "plume/ops/softmax.hpp"
#include "plume/ops/split.hpp"
#include "plume/optim/adamw.hpp"
#include "plume/optim/clip.hpp"
#include "tests/support/sanitized.hpp"

using namespace plume;

namespace {
std::atomic<long> calls_of_new{0};
}  // namespace

#if !defined(PLUME_SANITIZED)
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

constexpr index_t B = 3, T = 70, D = 96, H = 3, V = 50;

struct Block {
  Var<float> gain, bias, qkv, out, gate, up, down;

  explicit Block(Generator& g)
      : gain(trainable(ones<float>({D}))),
        bias(trainable(zeros<float>({D}))),
        qkv(trainable(normal<float>({3 * D, D}, g, 0, 0.1))),
        out(trainable(normal<float>({D, D}, g, 0, 0.1))),
        gate(trainable(ones<float>({1}))),
        up(trainable(normal<float>({4 * D, D}, g, 0, 0.1))),
        down(trainable(normal<float>({D, 4 * D}, g, 0, 0.05))) {}
  Var<float> operator()(const Var<float>& x) const {
    const auto heads = [](const Var<float>& z) {
      return permute(reshape(z, {B, T, H, D / H}), {0, 2, 1, 3});
    };
    const auto [q, k, v] = split<3>(linear(layer_norm(x, gain, bias), qkv));
    const Var<float> y = attention(heads(q), heads(k), heads(v), {.causal = true});
    const Var<float> joined = reshape(permute(y, {0, 2, 1, 3}), {B, T, D});
    const Var<float> h = gated_residual(x, linear(joined, out), gate);
    return h + dropout(linear(gelu(linear(rms_norm(h, gain), up)), down), 0.1);
  }
};

TEST_CASE("allocation: a training step after warm-up takes nothing from the system") {
  Generator generator(1);
  const Block first(generator);
  const Block second(generator);
  const Var<float> table = trainable(normal<float>({V, D}, generator));
  std::vector<Var<float>> parameters{table};
  for (const Block* b : {&first, &second}) {
    for (const Var<float>& p : {b->gain, b->bias, b->qkv, b->out, b->gate, b->up, b->down}) {
      parameters.push_back(p);
    }
  }
  AdamW<float> optimizer{std::span<const Var<float>>(parameters)};
  Tensor<std::int64_t> ids(Shape{B, T});
  for (index_t i = 0; i < ids.numel(); ++i) ids.data()[i] = generator.below(V);

  const auto step = [&] {
    Var<float> x = first(embedding(table, ids));
    x = recompute([&](const Var<float>& in) { return second(in); }, x);
    const Var<float> regular = mean(mul(softmax(x, -1), x));
    const Var<float> loss = linear_cross_entropy(x, table, ids) + 0.1 * regular;
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
