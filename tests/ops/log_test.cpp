#include "plume/ops/log.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("log") {
  const auto f = [](const auto& x) { return log(x[0]); };
  const auto definition = [](const auto& x) { return definition::log(x[0]); };
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 5}, Shape{2, 1, 33}}) {
    op.check({random_between(shape, 0.2, 3)}, f, definition);
  }
  op.check({random_between({2, 4099}, 0.2, 3)}, f, definition);
  op.check_forward_in<bfloat16>({random_between({3, 37}, 0.2, 3)}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random_between({3, 37}, 0.2, 3)}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("no tensor", [] { log(Tensor<double>{}); });
  op.refuses("gradient of another shape", [&] { log_backward(ones<double>({3, 2}), x); });
  op.refuses("no gradient", [&] { log_backward(Tensor<double>{}, x); });
  op.refuses("nothing saved", [&] { log_backward(x, Tensor<double>{}); });
}

TEST_CASE("log: the ends of its domain") {
  const Tensor<float> y = log(Tensor<float>({3}, {0.0F, -1.0F, HUGE_VALF}));
  CHECK(y(0) == -HUGE_VALF);
  CHECK(std::isnan(y(1)));
  CHECK(y(2) == HUGE_VALF);
}

}  // namespace
