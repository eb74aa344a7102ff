#include "plume/ops/dropout.hpp"

#include <cmath>

#include "plume/autograd/recompute.hpp"
#include "plume/ops/mul.hpp"
#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("dropout") {
  const auto f = [](const auto& x) {
    Generator generator(7);
    return dropout(x[0], 0.3, true, generator);
  };
  const auto definition = [](const auto& x) {
    return definition::dropout(x[0], DropoutMask{7, 0, 0.3});
  };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 5}, Shape{63}, Shape{64},
                             Shape{65}, Shape{2, 3, 37}}) {
    op.check({random(shape)}, f, definition);
  }
  op.check({random({2, 4099})}, f, definition);
  op.check(
      {random({40})}, [](const auto& x) { return dropout(x[0], 0.0); },
      [](const auto& x) { return x[0]; });
  op.check(
      {random({40})}, [](const auto& x) { return dropout(x[0], 0.5, false); },
      [](const auto& x) { return x[0]; });
  op.check_forward_in<bfloat16>({random({3, 37})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37})}, f, definition, forward_half);

  const Var<double> x = constant(ones<double>({2, 3}));
  op.refuses("p = 1", [&] { dropout(x, 1.0); });
  op.refuses("p below 0", [&] { dropout(x, -0.1); });
  op.refuses("p is NaN", [&] { dropout(x, NAN); });
  op.refuses("p = 1 while not training", [&] { dropout(x, 1.0, false); });
  op.refuses("no tensor", [] { dropout(Var<double>{}, 0.5); });
  op.refuses("a mask with p = 2", [&] { dropout(x.value(), DropoutMask{1, 2, 2.0}); });
}

TEST_CASE("dropout: drops p of the elements and keeps the mean") {
  for (const double p : {0.1, 0.5, 0.9}) {
    Generator generator(3);
    const index_t n = 1000000;
    const Tensor<float> y = dropout(constant(ones<float>({n})), p, true, generator).value();
    index_t dropped = 0;
    index_t repeats = 0;  // neighbours with the same fate
    index_t others = 0;   // neither 0 nor scaled
    double sum = 0;
    for (index_t i = 0; i < n; ++i) {
      const float v = y.data()[i];
      others += v != 0.0F && v != static_cast<float>(1 / (1 - p));
      dropped += v == 0.0F;
      repeats += i > 0 && (v == 0.0F) == (y.data()[i - 1] == 0.0F);
      sum += static_cast<double>(v);
    }
    // Five standard deviations of a binomial.
    const double N = static_cast<double>(n);
    const auto near = [N](index_t count, double rate) {
      return std::abs(static_cast<double>(count) - N * rate) <=
             5 * std::sqrt(N * rate * (1 - rate));
    };
    CHECK(others == 0);
    CHECK(near(dropped, p));
    CHECK(near(repeats, p * p + (1 - p) * (1 - p)));
    CHECK(sum / N == doctest::Approx(1).epsilon(0.02));
  }
}

TEST_CASE("dropout: every call has its own mask, and a generator's copy repeats it") {
  const Var<float> x = constant(ones<float>({256}));
  Generator a(5);
  Generator b = a;
  const Tensor<float> first = dropout(x, 0.5, true, a).value();
  const Tensor<float> second = dropout(x, 0.5, true, a).value();
  CHECK(!same_bits(first, second));
  CHECK(same_bits(first, dropout(x, 0.5, true, b).value()));
}

TEST_CASE("dropout: nothing is drawn and nothing recorded when there is nothing to drop") {
  Generator generator(5);
  const Var<float> x = trainable(ones<float>({4}));
  CHECK(dropout(x, 0.0, true, generator).node() == x.node());
  CHECK(dropout(x, 0.5, false, generator).node() == x.node());
  CHECK(generator.state() == RandomState{5, 0});
}

TEST_CASE("dropout: what is dropped is gone, infinite or not") {
  const Var<float> x = constant(full<float>({64}, HUGE_VALF));
  Generator generator(5);
  const Tensor<float> y = dropout(x, 0.5, true, generator).value();
  for (index_t i = 0; i < 64; ++i) CHECK(!std::isnan(y(i)));
}

TEST_CASE("dropout: keeps nothing of the size of its input") {
  const Var<float> x = trainable(ones<float>({1 << 16}));
  const auto live = [] { return cpu_memory().stats().total.current; };
  const auto before = live();
  Var<float> y = dropout(x, 0.5);
  y = Var<float>(Tensor<float>{}, y.node());  // the graph without the result
  CHECK(live() - before < 4096);
}

TEST_CASE("dropout: recompute draws the same mask again") {
  const auto block = [](const Var<double>& x) { return dropout(mul(x, x), 0.5); };
  const auto gradient = [&](bool again) {
    default_generator() = Generator(11);
    const Var<double> x = trainable(random({50}));
    const Var<double> y = again ? recompute(block, x) : block(x);
    const Var<double> z = dropout(y, 0.5);  // a stream that follows
    backward(z, ones<double>({50}));
    return std::vector{z.value(), x.grad(), random({1})};
  };
  const auto plain = gradient(false);
  const auto state = default_generator().state();
  const auto replayed = gradient(true);
  CHECK(default_generator().state() == state);
  CHECK(same_bits(plain[0], replayed[0]));
  CHECK(same_bits(plain[1], replayed[1]));
}

}  // namespace
