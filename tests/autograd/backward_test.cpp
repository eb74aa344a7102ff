#include "plume/autograd/backward.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "plume/autograd/grad_check.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/exp.hpp"
#include "plume/ops/log.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"
#include "plume/ops/tanh.hpp"
#include "tests/support/compare.hpp"

using namespace plume;

namespace {

Var<double> leaf(double value) { return trainable(scalar(value)); }

TEST_CASE("backward: a value used twice collects both gradients") {
  const auto x = leaf(3);
  backward(mul(x, x));
  CHECK(x.grad().item() == 6);
}

TEST_CASE("backward: a diamond waits for both sides") {
  const auto x = leaf(0.5);
  const auto y = exp(x);
  const auto a = scale(y, 2);
  const auto b = tanh(y);
  backward(mul(a, b));
  const double e = std::exp(0.5);
  const double t = std::tanh(e);
  CHECK(x.grad().item() == doctest::Approx((2 * t + 2 * e * (1 - t * t)) * e));
}

TEST_CASE("backward: leaves add up over calls until zero_grad") {
  const auto x = leaf(2);
  for (int i = 0; i < 3; ++i) backward(scale(x, 5));
  CHECK(x.grad().item() == 15);
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("backward: nothing is recorded below the first trainable value") {
  const auto frozen = constant(scalar(2.0));
  const auto y = exp(mul(frozen, frozen));
  CHECK_FALSE(y.requires_grad());
  const auto x = leaf(1);
  const auto z = mul(y, x);
  CHECK(z.node()->inputs[0] == nullptr);
  CHECK(z.node()->inputs[1] == x.node());
}

TEST_CASE("backward: no_grad and detach cut the graph") {
  const auto x = leaf(2);
  CHECK_FALSE(no_grad([&] { return exp(x); }).requires_grad());
  CHECK(exp(x).requires_grad());
  const auto y = mul(exp(x).detach(), x);
  backward(y);
  CHECK(x.grad().item() == doctest::Approx(std::exp(2.0)));
}

TEST_CASE("backward: a used graph, a missing graph and a wrong cotangent are refused") {
  const auto x = leaf(2);
  const auto y = exp(x);
  backward(y, {.retain_graph = true});
  backward(y);
  CHECK(x.grad().item() == doctest::Approx(2 * std::exp(2.0)));
  CHECK_THROWS_AS(backward(y), AutogradError);
  CHECK_THROWS_AS(backward(constant(scalar(1.0))), AutogradError);
  const auto v = trainable(ones<double>({3}));
  CHECK_THROWS_AS(backward(exp(v)), AutogradError);
  CHECK_THROWS_AS(backward(exp(v), ones<double>({2})), ShapeError);
}

TEST_CASE("backward: retain_grad keeps the gradient of an intermediate value") {
  const auto x = leaf(2);
  const auto y = scale(x, 3);
  y.retain_grad();
  const auto kept = exp(x);
  backward(mul(y, kept));
  CHECK(y.grad().item() == doctest::Approx(std::exp(2.0)));
  CHECK_FALSE(kept.grad().defined());
}

TEST_CASE("backward: a leaf's gradient is its own, never a view of the cotangent") {
  const auto x = trainable(zeros<double>({3}));
  const Tensor<double> cotangent = ones<double>({3});
  backward(add(x, constant(zeros<double>({3}))), cotangent);
  x.grad().fill(7);
  CHECK(cotangent(0) == 1);
  const auto y = trainable(zeros<double>({2, 2}));
  backward(sum(y));  // the gradient of sum is a broadcast view
  CHECK(y.grad().is_contiguous());
}

TEST_CASE("backward: a chain of 200,000 nodes neither recurses nor leaks") {
  const auto before = cpu_memory().stats().total.current;
  {
    const auto x = leaf(1);
    Var<double> y = x;
    for (int i = 0; i < 200000; ++i) y = scale(y, 1.0);
    backward(y);
    CHECK(x.grad().item() == 1);
    Var<double> never_used = x;
    for (int i = 0; i < 200000; ++i) never_used = scale(never_used, 1.0);
  }
  CHECK(cpu_memory().stats().total.current == before);
}

TEST_CASE("backward: activations are freed while it runs, not after") {
  const auto x = trainable(ones<double>({1000}));
  Var<double> y = x;
  for (int i = 0; i < 8; ++i) y = exp(scale(y, 0.1));
  const auto loss = sum(y);
  y = {};
  const auto held = cpu_memory().stats().total.current;
  backward(loss);
  CHECK(cpu_memory().stats().total.current + 7 * 8000 <= held);
}

TEST_CASE("anomaly guard: names the op, the module and the shape, forward") {
  const ModuleScope outer("blocks.3");
  const ModuleScope inner("ff");
  const auto x = trainable(Tensor<double>({2}, {1, -1}));
  CHECK(std::isnan(log(x).value()(1)));  // without the guard it passes
  const AnomalyGuard guard;
  CHECK_THROWS_WITH_AS(log(x),
                       "[log] expected finite values, got NaN or infinity in the forward result of "
                       "shape [2] in module blocks.3.ff",
                       NumericalError);
}

TEST_CASE("anomaly guard: names the op whose backward broke") {
  const auto x = trainable(Tensor<double>({2}, {1, 1e-320}));
  const AnomalyGuard guard;
  Var<double> y;
  {
    const ModuleScope scope("head");
    y = log(x);
  }
  CHECK_THROWS_WITH_AS(backward(sum(y)),
                       "[log] expected finite gradients, got NaN or infinity in backward for an "
                       "input of shape [2] of a result of shape [2] in module head",
                       NumericalError);
}

// A product whose backward is wrong in one factor.
Var<double> wrong_mul(const Var<double>& a, const Var<double>& b) {
  return record(
      "wrong_mul", mul(a.value(), b.value()), inputs(a, b),
      [x = a.value()](const Tensor<double>& dy, GradSink<double> da, GradSink<double> db) {
        if (da) da += mul(dy, x);
        if (db) db += mul(dy, x);
      });
}

TEST_CASE("grad_check: passes what is right and finds what is wrong") {
  Generator g(5);
  const std::vector<Tensor<double>> at{normal<double>({2, 3}, g), normal<double>({2, 3}, g)};
  const auto right = grad_check(
      [](const Vars& x) {
        return Vars{mul(x[0], x[1]), tanh(x[0])};
      },
      at);
  CHECK(right.passed(1e-9));
  CHECK(right.checked == 12);
  const auto wrong = grad_check([](const Vars& x) { return Vars{wrong_mul(x[0], x[1])}; }, at);
  CHECK_FALSE(wrong.passed(1e-6));
  CHECK(wrong.where.find("input 0") != std::string::npos);
  const auto lost = grad_check([](const Vars& x) { return Vars{mul(x[0], x[1].detach())}; }, at);
  CHECK_FALSE(lost.passed(1e-6));
  const auto nan =
      grad_check([](const Vars& x) { return Vars{log(x[0])}; }, {full<double>({2}, -1.0)});
  CHECK_FALSE(nan.passed(1e300));
  const auto empty =
      grad_check([](const Vars& x) { return Vars{exp(x[0])}; }, {zeros<double>({0})});
  CHECK_FALSE(empty.passed(1));  // nothing was compared
}

}  // namespace
