#include "plume/autograd/recompute.hpp"

#include <doctest/doctest.h>

#include "plume/ops/exp.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"
#include "plume/ops/tanh.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using test::same_bits;

namespace {

struct Case {
  Var<double> x, w, outside;
  Case() {
    Generator g(9);
    x = trainable(normal<double>({4, 5}, g));
    w = trainable(normal<double>({5}, g));
    outside = trainable(normal<double>({4, 5}, g));
  }
};

// Three layers that share a weight and use an intermediate value made outside.
template <class Wrap>
Var<double> model(const Case& c, Wrap wrap) {
  const Var<double> shared = tanh(c.outside);
  Var<double> y = c.x;
  for (int i = 0; i < 3; ++i) {
    // By value: recompute calls it again after this function has returned.
    y = wrap([w = c.w, shared](
                 const Var<double>& h) { return mul(tanh(mul(h, w)), exp(scale(shared, 0.3))); },
             y);
  }
  return sum(mul(y, shared));
}

void check_same(const Case& a, const Case& b) {
  CHECK(same_bits(a.x.grad(), b.x.grad()));
  CHECK(same_bits(a.w.grad(), b.w.grad()));
  CHECK(same_bits(a.outside.grad(), b.outside.grad()));
}

TEST_CASE(
    "recompute: the same loss and the same gradients, to the bit where sums keep their order") {
  const Case plain;
  const Case checkpointed;
  const auto a = model(plain, [](const auto& f, const Var<double>& h) { return f(h); });
  const auto b =
      model(checkpointed, [](const auto& f, const Var<double>& h) { return recompute(f, h); });
  CHECK(a.value().item() == b.value().item());
  backward(a);
  backward(b);
  check_same(plain, checkpointed);
}

TEST_CASE("recompute: nests") {
  const Case plain;
  const Case nested;
  const auto a = model(plain, [](const auto& f, const Var<double>& h) { return f(h); });
  const auto b = model(nested, [](const auto& f, const Var<double>& h) {
    return recompute([f](const Var<double>& inner) { return recompute(f, inner); }, h);
  });
  backward(a);
  backward(b);
  check_same(plain, nested);
}

TEST_CASE("recompute: keeps the inputs alone") {
  Generator g(2);
  const auto x = trainable(normal<double>({1000}, g));
  const auto deep = [](const Var<double>& h) {
    Var<double> y = h;
    for (int i = 0; i < 20; ++i) y = tanh(scale(y, 1.1));
    return y;
  };
  const auto held = [&](auto f) {
    const auto before = cpu_memory().stats().total.current;
    const auto y = f();
    return cpu_memory().stats().total.current - before;
  };
  const auto plain = held([&] { return deep(x); });
  const auto checkpointed = held([&] { return recompute(deep, x); });
  CHECK(plain > 20 * 8000);
  CHECK(checkpointed < 2 * 8000);
}

TEST_CASE("recompute: what needs no gradient records nothing") {
  const auto x = constant(ones<double>({3}));
  CHECK_FALSE(recompute([](const Var<double>& h) { return exp(h); }, x).requires_grad());
  const auto w = trainable(ones<double>({3}));
  const auto y = recompute([&](const Var<double>& h) { return mul(h, w); }, x);
  REQUIRE(y.requires_grad());  // because of the weight it captured
  backward(sum(y));
  CHECK(w.grad()(0) == 1);
  CHECK_FALSE(no_grad([&] {
                return recompute([&](const Var<double>& h) { return mul(h, w); }, x);
              }).requires_grad());
}

TEST_CASE("recompute: random numbers are replayed, and the generator goes on as if nothing was") {
  const auto noisy = [](const Var<double>& h) {
    return mul(h, constant(normal<double>(h.shape(), default_generator())));
  };
  default_generator().set_state({42, 0});
  const auto x = trainable(ones<double>({50}));
  const auto y = recompute(noisy, x);
  const RandomState after_forward = default_generator().state();
  backward(sum(y));
  CHECK(default_generator().state() == after_forward);
  CHECK(same_bits(x.grad(), y.value()));  // d(x z)/dx = z, and x is 1
}

TEST_CASE("recompute: several inputs, some frozen") {
  const auto a = trainable(scalar(2.0));
  const auto b = constant(scalar(3.0));
  const auto y =
      recompute([](const Var<double>& u, const Var<double>& v) { return mul(u, mul(u, v)); }, a, b);
  backward(y);
  CHECK(a.grad().item() == 12);
}

}  // namespace
