#include "plume/ops/layer_norm.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("layer_norm") {
  const auto f = [](const auto& x) { return layer_norm(x[0], x[1], x[2]); };
  const auto definition = [](const auto& x) {
    return definition::layer_norm(x[0], x[1], x[2], 1e-5);
  };
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 3, 7}, Shape{4, 31}, Shape{1, 33}, Shape{6},
                             Shape{0, 4}, Shape{70, 9}}) {
    const Shape row{shape.back()};
    op.check({random(shape), random(row, 1), random(row, 2)}, f, definition);
  }
  // Every xhat is 0, and dx is what is left of dy w - mean(dy w): exactly 0 if dy w is exact (w a power of
  // two), else its rounding times rstd = 316 where the compiler fuses the difference.
  op.check({random({3, 1}), full<double>({1}, -2), random({1}, 1)}, f, definition);

  // Without a bias (MPT).
  op.check(
      {random({3, 6}), random({6})}, [](const auto& x) { return layer_norm(x[0], x[1]); },
      [](const auto& x) { return definition::layer_norm(x[0], x[1], {}, 1e-5); });

  // A mean a thousand times the deviation: E[x^2] - E[x]^2 would lose it.
  Tensor<double> shifted = random({4, 64});
  for (index_t i = 0; i < shifted.numel(); ++i) shifted.data()[i] += 1000;
  op.check(
      {shifted, random({64}), random({64}, 1)}, f, definition,
      {.forward = {1e-3, 1e-3}, .gradient_in_float = {1e-3, 1e-3}});  // the input has 6e-5 in float

  // The bias alone is trained: its gradient needs dy, and x is let go.
  const Tensor<double> frozen = random({3, 6});
  op.check(
      {random({6})},
      [&](const auto& b) {
        using T = typename std::decay_t<decltype(b[0])>::value_type;
        const Tensor<T> in = frozen.cast<T>().clone();
        const auto y = layer_norm(constant(in), constant(ones<T>({6})), b[0]);
        CHECK(in.unique());
        return y;
      },
      [&](const auto& b) { return definition::layer_norm(frozen, ones<double>({6}), b[0], 1e-5); });

  op.check_forward_in<bfloat16>({random({3, 37}), random({37}), random({37}, 1)}, f, definition,
                                forward_bfloat16);
  op.check_forward_in<half>({random({3, 37}), random({37}), random({37}, 1)}, f, definition,
                            forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  const Tensor<double> w = ones<double>({3});
  op.refuses("a scalar", [&] { layer_norm(scalar(1.0), w); });
  op.refuses("weight of another size", [&] { layer_norm(x, ones<double>({2})); });
  op.refuses("weight of rank 2", [&] { layer_norm(x, ones<double>({1, 3})); });
  op.refuses("bias of another size", [&] { layer_norm(x, w, ones<double>({4})); });
  op.refuses("gradient of another shape", [&] {
    layer_norm_backward(ones<double>({3, 2}), x, w, LayerNormSaved<double>{}, true, true, true);
  });
}

}  // namespace
