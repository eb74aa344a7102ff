#include "plume/autograd/saved.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <map>

#include "plume/autograd/recompute.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/registry.hpp"
#include "plume/optim/adamw.hpp"
#include "tests/support/compare.hpp"

// A value that was changed in place after an op saved it: backward must not give a gradient of another function.

using namespace plume;
using namespace plume::test;

namespace {

using V = Var<double>;

/// Ops of x [2, 4, 6, 4], positive, that need its value, or that of what they made, in backward.
std::map<std::string, std::function<V(const V&)>> ops_that_save() {
  Generator g(3);
  const V other = constant(normal<double>({2, 4, 6, 4}, g));
  const V w = trainable(normal<double>({4}, g)), b = trainable(normal<double>({4}, g));
  const V m = trainable(normal<double>({5, 4}, g)), gate = trainable(normal<double>({1}, g));
  const V table = trainable(normal<double>({9, 4}, g));
  return {
      {"gelu", [](const V& x) { return gelu(x); }},
      {"quick_gelu", [](const V& x) { return quick_gelu(x); }},
      {"silu", [](const V& x) { return silu(x); }},
      {"log", [](const V& x) { return log(x); }},
      {"max", [](const V& x) { return max(x, {1}); }},
      {"mul", [=](const V& x) { return mul(trainable(other.value()), x); }},
      {"div", [=](const V& x) { return div(trainable(other.value()), x); }},
      {"gated_residual", [=](const V& x) { return gated_residual(other, x, gate); }},
      {"layer_norm", [=](const V& x) { return layer_norm(x, w, b); }},
      {"rms_norm", [=](const V& x) { return rms_norm(x, w); }},
      {"linear", [=](const V& x) { return linear(x, m); }},
      {"matmul", [=](const V& x) { return matmul(x, transpose(m, 0, 1)); }},
      {"attention", [=](const V& x) { return attention(x, x, x); }},
      {"media_attention",
       [=](const V& x) {
         const V media = trainable(ones<double>({2, 4, 1, 3, 4}));
         return media_attention(x, media, media, zeros<std::int64_t>({2, 6}));
       }},
      {"cross_entropy",
       [](const V& x) {
         return cross_entropy(x, zeros<std::int64_t>({2, 4, 6}));
       }},
      {"recompute", [](const V& x) { return recompute([](const V& v) { return add(v, v); }, x); }},
  };
}

TEST_CASE("saved: every op that needs a value in backward tells when it was changed in place") {
  using Change = std::function<void(V&)>;
  const std::map<std::string, Change> changes{
      {"fill", [](V& x) { Tensor<double>(x.value()).fill(2); }},
      {"copy_from", [](V& x) { Tensor<double>(x.value()).copy_from(ones<double>(x.shape())); }},
      {"add", [](V& x) { Tensor<double>(x.value()).add(ones<double>(x.shape())); }},
      {"an element", [](V& x) { Tensor<double>(x.value())(0, 0, 0, 0) = 7; }},
      {"a part", [](V& x) { x.value().select(0, 1).fill(3); }},
      {"mutable_value", [](V& x) { x.mutable_value().data()[0] = 7; }},
      {"the optimizer",
       [](V& x) {
         const std::vector<V> all{x};
         AdamW<double> optimizer{std::span<const V>(all)};
         backward(sum(x));
         optimizer.step();
       }},
  };
  for (const auto& [operation, f] : ops_that_save()) {
    for (const auto& [name, change] : changes) {
      const auto& op = operation;  // clang 14 captures no structured binding
      const std::string& what = name;
      INFO(op, ", ", what);
      Generator g(8);
      V x = trainable(uniform<double>({2, 4, 6, 4}, g, 0.5, 2));
      const V untouched = f(x);
      CHECK_NOTHROW(backward(untouched, ones<double>(untouched.shape())));
      const V y = f(x);
      change(x);
      std::string said = "nothing";
      try {
        backward(y, ones<double>(y.shape()));
      } catch (const AutogradError& error) {
        said = error.what();
      }
      CHECK(said.starts_with(cat("[", op, "]")));
      CHECK(said.find("[2, 4, 6, 4]") != std::string::npos);
      CHECK(said.find("changed in place") != std::string::npos);
    }
  }
}

TEST_CASE("saved: ops that keep their result, and ids, tell too") {
  Generator g(4);
  const V x = trainable(normal<double>({3, 4}, g));
  using Op = V (*)(const V&);
  for (const Op op :
       {Op([](const V& v) { return exp(v); }), Op([](const V& v) { return tanh(v); }),
        Op([](const V& v) { return sigmoid(v); }), Op([](const V& v) { return relu(v); }),
        Op([](const V& v) { return softmax(v); }), Op([](const V& v) { return log_softmax(v); })}) {
    V y = op(x);
    y.mutable_value().fill(1);
    CHECK_THROWS_AS(backward(y, ones<double>(y.shape())), AutogradError);
  }
  Tensor<std::int64_t> ids = zeros<std::int64_t>({2, 2});
  const auto refused = [&](const V& y) {
    ids(1, 1) = 1;
    CHECK_THROWS_AS(backward(y, ones<double>(y.shape())), AutogradError);
  };
  refused(embedding(x, ids));
  refused(gather(x, 1, ids));
  Tensor<std::int64_t> targets = zeros<std::int64_t>({3});
  const V loss = cross_entropy(x, targets);
  targets.fill(1);
  CHECK_THROWS_AS(backward(loss), AutogradError);
  Tensor<bool> mask = full<bool>({1, 3}, true);
  const V q = trainable(normal<double>({1, 1, 3, 4}, g));
  const V y = attention(q, q, q, {.key_mask = mask});
  mask(0, 0) = false;
  CHECK_THROWS_AS(backward(y, ones<double>(y.shape())), AutogradError);
}

TEST_CASE("saved: what no gradient needs may change, and so may a clone") {
  Generator g(4);
  V x = trainable(normal<double>({3}, g)), y = trainable(normal<double>({3}, g));
  const V total = add(x, y);
  x.mutable_value().fill(0);
  CHECK_NOTHROW(backward(sum(total)));
  V frozen = constant(normal<double>({3}, g));
  const V product = mul(frozen, constant(ones<double>({3})));
  frozen.mutable_value().fill(1);
  const V z = mul(x, y);
  x.value().clone().fill(4);
  CHECK_NOTHROW(backward(sum(z)));
  // After backward anything may.
  x.mutable_value().fill(0);
}

}  // namespace
