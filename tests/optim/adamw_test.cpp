#include "plume/optim/adamw.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "plume/autograd/backward.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/sum.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::test;

namespace {

template <Floating T>
void set_gradient(const Var<T>& p, const Tensor<T>& g) {
  p.zero_grad();
  backward(p, g);
}

// AdamW as its paper writes it, one double at a time.
struct Plain {
  AdamWOptions o;
  double p, m = 0, v = 0;
  int t = 0;
  void step(double g, double factor) {
    ++t;
    const double lr = o.learning_rate * factor;
    p -= lr * o.weight_decay * p;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, t));
    const double v_hat = v / (1 - std::pow(o.beta2, t));
    p -= lr * m_hat / (std::sqrt(v_hat) + o.eps);
  }
};

template <Floating T>
void against_plain(Tolerance tolerance) {
  Generator generator(5);
  const AdamWOptions options{.learning_rate = 0.01, .beta2 = 0.95, .weight_decay = 0.1};
  for (const Shape& shape : {Shape{0}, Shape{1}, Shape{3, 5}, Shape{20011}}) {
    const std::array<Var<T>, 1> p{trainable(normal<T>(shape, generator))};
    std::vector<Plain> plain;
    for (index_t i = 0; i < shape.numel(); ++i) {
      plain.push_back({options, static_cast<double>(p[0].value().data()[i])});
    }
    AdamW<T> optimizer{std::span<const Var<T>>(p), options};
    for (int step = 0; step < 20; ++step) {
      const Tensor<T> g = normal<T>(shape, generator, 0, 0.1);
      const double factor = step < 5 ? 0.2 * step : 1;
      set_gradient(p[0], g);
      optimizer.step(factor);
      for (index_t i = 0; i < shape.numel(); ++i) {
        plain[static_cast<std::size_t>(i)].step(static_cast<double>(g.data()[i]), factor);
      }
    }
    Tensor<double> expected(shape);
    for (index_t i = 0; i < shape.numel(); ++i) {
      expected.data()[i] = plain[static_cast<std::size_t>(i)].p;
    }
    const Comparison c = compare(p[0].value(), expected, tolerance);
    CHECK_MESSAGE(c.ok, c.message);
  }
}

TEST_CASE("adamw: twenty steps against the plain loop") {
  against_plain<double>({1e-13, 1e-13});
  against_plain<float>({2e-6, 2e-6});
}

// Three steps of torch.optim.AdamW worked out by hand: with a constant gradient, m_hat = g and
// v_hat = g^2, so every step is -lr sign(g) after the decay (up to eps).
TEST_CASE("adamw: a constant gradient moves a parameter by the learning rate") {
  const std::array<Var<double>, 1> p{trainable(Tensor<double>({2}, {1, -1}))};
  AdamW<double> optimizer{std::span<const Var<double>>(p),
                          {.learning_rate = 0.1, .eps = 1e-30, .weight_decay = 0}};
  for (int i = 0; i < 3; ++i) {
    set_gradient(p[0], Tensor<double>({2}, {1e-3, -50}));
    optimizer.step();
  }
  CHECK(p[0].value()(0) == doctest::Approx(0.7));
  CHECK(p[0].value()(1) == doctest::Approx(-0.7));
}

TEST_CASE("adamw: decay is decoupled: a zero gradient shrinks, none leaves alone") {
  const std::array<Var<double>, 2> p{trainable(ones<double>({1})), trainable(ones<double>({1}))};
  AdamW<double> optimizer{std::span<const Var<double>>(p),
                          {.learning_rate = 0.1, .weight_decay = 0.5}};
  set_gradient(p[0], zeros<double>({1}));
  optimizer.step();
  CHECK(p[0].value()(0) == doctest::Approx(0.95));
  CHECK(p[1].value()(0) == 1);
  CHECK(optimizer.slots()[0].steps == 1);
  CHECK(optimizer.slots()[1].steps == 0);
}

TEST_CASE("adamw: groups have their own settings; frozen parameters have no moments") {
  const std::array<Var<float>, 2> decayed{trainable(ones<float>({4})),
                                          Var<float>(ones<float>({1000000}))};
  const std::array<Var<float>, 1> plain{trainable(ones<float>({4}))};
  const std::size_t before = cpu_memory().stats()[MemoryTag::optimizer].current;
  AdamW<float> optimizer;
  optimizer.add_group(decayed, {.learning_rate = 0.1, .weight_decay = 1});
  optimizer.add_group(plain, {.learning_rate = 0.1, .weight_decay = 0});
  CHECK(cpu_memory().stats()[MemoryTag::optimizer].current - before == 4 * 4 * sizeof(float));
  CHECK(optimizer.slots().size() == 2);
  set_gradient(decayed[0], zeros<float>({4}));
  set_gradient(plain[0], zeros<float>({4}));
  optimizer.step();
  CHECK(decayed[0].value()(0) == doctest::Approx(0.9));
  CHECK(plain[0].value()(0) == 1);
  optimizer.zero_grad();
  CHECK(!plain[0].grad().defined());
}

TEST_CASE("adamw: the square root of a loop, over every size of number") {
  double worst = 0;
  for (float x = 1.2e-38F; x < 3e38F; x *= 1.0009F) {
    const double exact = std::sqrt(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(plume::detail::root(x)) - exact) / exact;
    if (!(error <= worst)) worst = error;
  }
  CHECK(worst <= 2e-7);
  CHECK(plume::detail::root(0.0F) == 0);
  CHECK(plume::detail::root(HUGE_VALF) == HUGE_VALF);
  CHECK(std::isnan(plume::detail::root(std::nanf(""))));
  CHECK(plume::detail::root(1e-42F) < 1.1e-19F);
}

TEST_CASE("adamw: the same bits for every thread count") {
  std::vector<Tensor<float>> results;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    Generator generator(8);
    const std::array<Var<float>, 1> p{trainable(normal<float>({100003}, generator))};
    AdamW<float> optimizer{std::span<const Var<float>>(p)};
    for (int i = 0; i < 3; ++i) {
      set_gradient(p[0], normal<float>({100003}, generator));
      optimizer.step();
    }
    results.push_back(p[0].value());
  }
  set_thread_count(0);
  CHECK(same_bits(results[0], results[1]));
}

TEST_CASE("adamw: 16-bit parameters keep their moments in float") {
  const std::array<Var<bfloat16>, 1> p{trainable(ones<bfloat16>({3}))};
  AdamW<bfloat16> optimizer{std::span<const Var<bfloat16>>(p), {.learning_rate = 0.125}};
  static_assert(std::is_same_v<decltype(optimizer.slots()[0].m), Tensor<float>>);
  set_gradient(p[0], ones<bfloat16>({3}));
  optimizer.step();
  CHECK(static_cast<float>(p[0].value()(0)) == doctest::Approx(0.875).epsilon(0.01));
}

TEST_CASE("adamw: what is wrong is refused") {
  const std::array<Var<float>, 2> twice{trainable(ones<float>({2})), Var<float>()};
  AdamW<float> optimizer{std::span<const Var<float>>(twice)};
  CHECK_THROWS_AS(optimizer.add_group(twice, {}), ValueError);
  const std::array<Var<float>, 1> strided{trainable(ones<float>({2, 3}).permute({1, 0}))};
  CHECK_THROWS_AS(optimizer.add_group(strided, {}), ShapeError);
  CHECK_THROWS_AS(optimizer.add_group({}, {.learning_rate = -1}), ValueError);
  CHECK_THROWS_AS(optimizer.add_group({}, {.beta1 = 1}), ValueError);
  CHECK_THROWS_AS(optimizer.add_group({}, {.beta2 = std::nan("")}), ValueError);
  CHECK_THROWS_AS(optimizer.add_group({}, {.eps = 0}), ValueError);
  CHECK_THROWS_AS(optimizer.add_group({}, {.weight_decay = -0.1}), ValueError);
}

TEST_CASE("adamw: parameters of a module are updated whatever values they have by then") {
  struct Two : nn::Module {
    nn::Parameter<float> w{*this, "w", {2}, nn::Init::ones()};
  } model;
  initialize(model, 1);
  const std::vector<Var<float>> leaves{model.w()};
  AdamW<float> by_leaf{std::span<const Var<float>>(leaves)};
  AdamW<float> optimizer{nn::trainable_parameters<float>(model)};
  const auto step = [&](AdamW<float>& with) {
    backward(sum(model.w()));
    with.step();
    with.zero_grad();
  };
  step(by_leaf);
  freeze(model);
  freeze(model, false);
  step(optimizer);
  CHECK(model.w().value()(0) < 0.9995F);
  model.w.set_value(full<float>({2}, 5.0F));
  step(optimizer);
  CHECK(model.w().value()(1) < 5.0F);
  CHECK(optimizer.slots()[0].steps == 2);
  // A handle to a value that the parameter has no more trains nothing: it is refused.
  CHECK_THROWS_AS(step(by_leaf), ValueError);
  CHECK_THROWS_AS((AdamW<float>{std::span<const Var<float>>(leaves)}), ValueError);
  // Frozen, it is left alone; a strided view becomes its own numbers.
  freeze(model);
  optimizer.step();
  CHECK(optimizer.slots()[0].steps == 2);
  freeze(model, false);
  model.w.set_value(arange<float>(4).slice(0, 0, 4, 2));
  CHECK(model.w().value()(1) == 2);
  step(optimizer);
  CHECK(model.w().value()(1) < 2);
  CHECK_THROWS_AS(optimizer.step(std::nan("")), ValueError);
  CHECK_THROWS_AS(optimizer.step(HUGE_VAL), ValueError);
}

}  // namespace
