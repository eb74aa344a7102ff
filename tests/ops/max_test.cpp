#include "plume/ops/max.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("max") {
  for (const Dims& axes :
       {Dims{}, Dims{0}, Dims{1}, Dims{-1}, Dims{0, 1}, Dims{1, 2}, Dims{2, 0}}) {
    for (const Shape& shape : {Shape{3, 4, 5}, Shape{1, 1, 1}, Shape{2, 3, 33}}) {
      op.check(
          {random(shape)}, [&](const auto& x) { return max(x[0], axes); },
          [&](const auto& x) { return definition::max(x[0], axes); }, {.broadcast = false});
    }
  }
  op.check(
      {random({3, 4})}, [](const auto& x) { return max(x[0], {1}, true); },
      [](const auto& x) {
        return definition::max(x[0], {1}).reshape({3, 1});
      },
      {.broadcast = false});
  op.check(
      {random({40, 513})}, [](const auto& x) { return max(x[0], {0}); },
      [](const auto& x) { return definition::max(x[0], {0}); }, {.broadcast = false});

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("an axis that is not there", [&] { max(x, {2}); });
  op.refuses("an axis twice", [&] { max(x, {1, -1}); });
  op.refuses("no tensor", [] { max(Tensor<double>{}); });
}

}  // namespace
