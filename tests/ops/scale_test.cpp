#include "plume/ops/scale.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("scale") {
  for (const double alpha : {0.0, 1.0, -2.5}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3, 5}, Shape{2, 4099}}) {
      op.check(
          {random(shape)}, [&](const auto& x) { return scale(x[0], alpha); },
          [&](const auto& x) { return definition::scale(x[0], alpha); });
    }
  }
  op.refuses("no tensor", [] { scale(Tensor<double>{}, 2); });
  op.refuses("no tensor in float", [] { scale(Tensor<float>{}, 2); });
  op.refuses("no tensor in half", [] { scale(Tensor<half>{}, 2); });
}

}  // namespace
