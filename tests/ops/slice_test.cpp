#include "plume/ops/slice.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("slice") {
  struct Case {
    Shape shape;
    int axis;
    index_t begin, end, step;
  };
  for (const Case& c :
       {Case{{5}, 0, 1, 4, 1}, Case{{4, 6}, 1, 0, 6, 1}, Case{{4, 6}, 1, 1, 6, 2},
        Case{{4, 6}, 0, 3, 4, 1}, Case{{2, 7, 3}, 1, 0, 7, 3}, Case{{2, 7, 3}, 1, 6, 7, 5},
        Case{{3, 4}, 1, 2, 2, 1}, Case{{3, 4}, 1, 4, 4, 1}, Case{{0, 4}, 1, 1, 3, 1}}) {
    op.check(
        {random(c.shape)},
        [&](const auto& x) { return slice(x[0], c.axis, c.begin, c.end, c.step); },
        [&](const auto& x) { return definition::slice(x[0], c.axis, c.begin, c.end, c.step); });
  }
  op.check(
      {random({3, 5})}, [](const auto& x) { return slice(x[0], -1, 1, 3); },
      [](const auto& x) { return definition::slice(x[0], 1, 1, 3); });
  op.check_forward_in<bfloat16>(
      {random({3, 5})}, [](const auto& x) { return slice(x[0], 1, 1, 3); },
      [](const auto& x) { return definition::slice(x[0], 1, 1, 3); }, {0, 0});

  const Var<double> x = constant(ones<double>({2, 3}));
  op.refuses("no tensor", [] { slice(Var<double>{}, 0, 0, 0); });
  op.refuses("an axis that is not there", [&] { slice(x, 2, 0, 1); });
  op.refuses("an end past the axis", [&] { slice(x, 1, 0, 4); });
  op.refuses("a negative begin", [&] { slice(x, 1, -1, 2); });
  op.refuses("begin after end", [&] { slice(x, 1, 2, 1); });
  op.refuses("a step of 0", [&] { slice(x, 1, 0, 2, 0); });
}

TEST_CASE("slice: a view, and overlapping slices add up in one gradient") {
  const Var<double> x = trainable(random({6}));
  const Var<double> a = slice(x, 0, 0, 4);
  const Var<double> b = slice(x, 0, 2, 6, 2);
  CHECK(a.value().shares_storage(x.value()));
  backward(b, Tensor<double>({2}, {10, 20}));
  const double* buffer = x.grad().data();
  backward(a, Tensor<double>({4}, {1, 2, 3, 4}));
  CHECK(same_bits(x.grad(), Tensor<double>({6}, {1, 2, 13, 4, 20, 0})));
  CHECK(buffer == x.grad().data());
}

}  // namespace
