#include "plume/ops/mean.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("mean") {
  for (const Dims& axes :
       {Dims{}, Dims{0}, Dims{1}, Dims{-1}, Dims{0, 1}, Dims{1, 2}, Dims{2, 0}}) {
    for (const Shape& shape : {Shape{3, 4, 5}, Shape{1, 1, 1}, Shape{2, 3, 33}}) {
      op.check(
          {random(shape)}, [&](const auto& x) { return mean(x[0], axes); },
          [&](const auto& x) { return definition::mean(x[0], axes); });
    }
  }
  op.check(
      {random({3, 4})}, [](const auto& x) { return mean(x[0], {1}, true); },
      [](const auto& x) {
        return definition::mean(x[0], {1}).reshape({3, 1});
      });
  op.check(
      {random({40, 513})}, [](const auto& x) { return mean(x[0], {0}); },
      [](const auto& x) { return definition::mean(x[0], {0}); });

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("an axis that is not there", [&] { mean(x, {2}); });
  op.refuses("an axis twice", [&] { mean(x, {1, -1}); });
  op.refuses("no tensor", [] { mean(Tensor<double>{}); });
}

}  // namespace
