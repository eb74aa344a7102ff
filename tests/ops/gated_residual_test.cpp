#include "plume/ops/gated_residual.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("gated_residual") {
  const auto f = [](const auto& x) { return gated_residual(x[0], x[1], x[2]); };
  const auto definition = [](const auto& x) {
    return definition::gated_residual(x[0], x[1], x[2]);
  };
  for (const Shape& shape :
       {Shape{3, 5}, Shape{}, Shape{1}, Shape{0, 3}, Shape{2, 3, 17}, Shape{2, 2053}}) {
    op.check({random(shape), random(shape, 1), random({1}, 2)}, f, definition);
  }
  op.check({random({3, 5}), random({3, 5}, 1), zeros<double>({1})}, f, definition);  // as it starts
  op.check({random({3, 5}), random({3, 5}, 1), full<double>({1}, -3.0)}, f, definition);
  // Several chunks of the parallel sum.
  op.check({random({40, 2053}), random({40, 2053}, 1), random({1}, 2)}, f, definition);
  op.check_forward_in<bfloat16>({random({3, 37}), random({3, 37}, 1), random({1}, 2)}, f,
                                definition, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37}), random({3, 37}, 1), random({1}, 2)}, f, definition,
                            forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  const Tensor<double> g = ones<double>({1});
  op.refuses("a branch of another shape", [&] { gated_residual(x, ones<double>({3}), g); });
  op.refuses("a gate of two elements", [&] { gated_residual(x, x, ones<double>({2})); });
  op.refuses("a gate of rank 0", [&] { gated_residual(x, x, scalar(1.0)); });
  op.refuses("no gate", [&] { gated_residual(x, x, Tensor<double>{}); });
  op.refuses("no input", [&] { gated_residual(Tensor<double>{}, x, g); });
  op.refuses("gradient of another shape", [&] {
    gated_residual_gate_backward(ones<double>({3, 2}), x, g);
  });
}

TEST_CASE("gated_residual: a gate of 0 passes x unchanged, and still learns") {
  const Tensor<float> x = random({100}).cast<float>();
  const Var<float> f = trainable(random({100}, 1).cast<float>());
  const Var<float> g = trainable(zeros<float>({1}));
  const Var<float> y = gated_residual(constant(x), f, g);
  CHECK(same_bits(y.value(), x));
  backward(y, ones<float>({100}));
  CHECK(g.grad()(0) != 0.0F);
  CHECK(compare(f.grad(), zeros<float>({100}), {0, 0}));
}

TEST_CASE("gated_residual: a frozen gate keeps nothing of the branch") {
  const Var<float> f = trainable(ones<float>({4}));
  const Var<float> y = gated_residual(constant(ones<float>({4})), f, constant(ones<float>({1})));
  backward(y, ones<float>({4}));
  CHECK(f.grad()(0) == doctest::Approx(std::tanh(1.0)));
  Var<float> branch = trainable(ones<float>({1 << 14}));
  const auto live = [] { return cpu_memory().stats().total.current; };
  const Var<float> result =
      gated_residual(constant(ones<float>({1 << 14})), branch, constant(ones<float>({1})));
  const auto before = live();
  branch = {};
  CHECK(before - live() >= (std::size_t{1} << 14) * sizeof(float));
}

}  // namespace
