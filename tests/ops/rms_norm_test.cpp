#include "plume/ops/rms_norm.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("rms_norm") {
  const auto f = [](const auto& x) { return rms_norm(x[0], x[1], 1e-5); };
  const auto definition = [](const auto& x) { return definition::rms_norm(x[0], x[1], 1e-5); };
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 3, 7}, Shape{4, 31}, Shape{1, 33}, Shape{6},
                             Shape{0, 4}, Shape{3, 0}, Shape{70, 9}}) {
    op.check({random(shape), random({shape.back()}, 1)}, f, definition);
  }
  // D = 1: xhat is +-1 but for eps, so dx is all cancellation; a large eps leaves something to check.
  op.check(
      {random({3, 1}), random({1}, 1)}, [](const auto& x) { return rms_norm(x[0], x[1], 0.5); },
      [](const auto& x) { return definition::rms_norm(x[0], x[1], 0.5); });
  op.check({random({2, 2053}), random({2053}, 1)}, f, definition);
  op.check({zeros<double>({2, 3}), random({3})}, f, definition,
           {.gradient = 1e-4});  // 1 / sqrt(eps) is steep: central differences lose digits
  op.check_forward_in<bfloat16>({random({3, 37}), random({37}, 1)}, f, definition,
                                forward_bfloat16);
  op.check_forward_in<half>({random({3, 37}), random({37}, 1)}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  const Tensor<double> w = ones<double>({3});
  op.refuses("a scalar", [&] { rms_norm(scalar(1.0), w); });
  op.refuses("no tensor", [&] { rms_norm(Tensor<double>{}, w); });
  op.refuses("no weight", [&] { rms_norm(x, Tensor<double>{}); });
  op.refuses("weight of another size", [&] { rms_norm(x, ones<double>({2})); });
  op.refuses("weight of rank 2", [&] { rms_norm(x, ones<double>({1, 3})); });
  op.refuses("gradient of another shape", [&] {
    rms_norm_backward(ones<double>({3, 2}), x, w, ones<double>({2}), true, true);
  });
  op.refuses("rstd of another batch",
             [&] { rms_norm_backward(x, x, w, ones<double>({3}), true, true); });
}

TEST_CASE("rms_norm: a frozen weight costs no gradient, a frozen input none either") {
  const Tensor<double> x = random({3, 4});
  const Tensor<double> w = random({4});
  Tensor<double> rstd;
  rms_norm(x, w, 1e-6, &rstd);
  const auto only_dx = rms_norm_backward(x, x, w, rstd, true, false);
  CHECK(only_dx.dx.defined());
  CHECK(!only_dx.dw.defined());
  const auto only_dw = rms_norm_backward(x, x, w, rstd, false, true);
  CHECK(!only_dw.dx.defined());
  CHECK(only_dw.dw.defined());
}

}  // namespace
