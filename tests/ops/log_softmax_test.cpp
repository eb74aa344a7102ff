#include "plume/ops/log_softmax.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("log_softmax") {
  const auto f = [](const auto& x) { return log_softmax(x[0]); };
  const auto definition = [](const auto& x) { return definition::log_softmax(x[0]); };
  for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{4, 1}, Shape{0, 3}, Shape{3, 0},
                             Shape{2, 3, 17}, Shape{3, 63}, Shape{2, 64}, Shape{2, 65}}) {
    op.check({random(shape)}, f, definition);
  }
  op.check({random({3, 2053})}, f, definition);
  for (const index_t axis : {0, 1, -2, -3}) {
    op.check(
        {random({4, 3, 6})}, [axis](const auto& x) { return log_softmax(x[0], axis); },
        [axis](const auto& x) { return definition::log_softmax(x[0], axis); });
  }
  op.check({random_between({3, 20}, 90, 110)}, f, definition);  // exp(90) is no float
  op.check({random_between({3, 20}, -200, 0)}, f, definition);  // softmax would vanish
  op.check_forward_in<bfloat16>({random({3, 37})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random({3, 37})}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [] { log_softmax(Tensor<double>{}); });
  op.refuses("a scalar", [] { log_softmax(scalar(1.0)); });
  op.refuses("an axis that is not there", [&] { log_softmax(x, -3); });
  op.refuses("gradient of another shape", [&] { log_softmax_backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { log_softmax_backward(Tensor<double>{}, x); });
}

TEST_CASE("log_softmax: masked elements and masked rows") {
  const float inf = HUGE_VALF;
  const Var<float> x = trainable(Tensor<float>({2, 2}, {3.0F, -inf, -inf, -inf}));
  const Var<float> y = log_softmax(x);
  CHECK(same_bits(y.value(), Tensor<float>({2, 2}, {0.0F, -inf, -inf, -inf})));
  backward(y, Tensor<float>({2, 2}, {2, 0, 4, 5}));
  CHECK(compare(x.grad(), zeros<float>({2, 2}), {0, 0}));
}

}  // namespace
