#include "plume/ops/concat.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("concat") {
  const auto f = [](const auto& x) { return concat({x[0], x[1]}, 1); };
  const auto definition = [](const auto& x) { return definition::concat(x[0], x[1]); };
  struct Case {
    Shape a, b;
  };
  for (const Case& c :
       {Case{{2, 3, 4}, {2, 5, 4}}, Case{{1, 1, 1}, {1, 1, 1}}, Case{{2, 0, 3}, {2, 2, 3}},
        Case{{0, 2, 3}, {0, 1, 3}}, Case{{3, 16, 33}, {3, 1, 33}}}) {
    op.check({random(c.a), random(c.b, 1)}, f, definition);
  }
  // The other axes.
  op.check(
      {random({2, 3, 4}), random({5, 3, 4}, 1)},
      [](const auto& x) {
        return concat({x[0], x[1]}, 0);
      },
      [](const auto& x) {
        return definition::concat(x[0].transpose(0, 1), x[1].transpose(0, 1)).transpose(0, 1);
      });
  op.check(
      {random({2, 3, 4}), random({2, 3, 1}, 1)},
      [](const auto& x) {
        return concat({x[0], x[1]}, -1);
      },
      [](const auto& x) {
        return definition::concat(x[0].transpose(1, 2), x[1].transpose(1, 2)).transpose(1, 2);
      });
  // One and three operands, one of them twice.
  op.check(
      {random({2, 3, 4})}, [](const auto& x) { return concat({x[0]}, 1); },
      [](const auto& x) { return x[0]; });
  op.check(
      {random({2, 3, 4}), random({2, 1, 4}, 1)},
      [](const auto& x) {
        return concat(std::vector{x[0], x[1], x[0]}, 1);
      },
      [](const auto& x) { return definition::concat(definition::concat(x[0], x[1]), x[0]); });
  op.check_forward_in<bfloat16>({random({2, 3, 4}), random({2, 1, 4}, 1)}, f, definition, {0, 0});

  const Tensor<double> x = ones<double>({2, 3});
  op.refuses("nothing", [] { concat(std::span<const Tensor<double>>{}, 0); });
  op.refuses("no tensor", [&] { concat({x, Tensor<double>{}}, 0); });
  op.refuses("an axis that is not there", [&] { concat({x, x}, 2); });
  op.refuses("another size", [&] { concat({x, ones<double>({2, 4})}, 0); });
  op.refuses("another rank", [&] { concat({x, ones<double>({2, 3, 1})}, 0); });
  op.refuses("Vars of other sizes", [&] {
    concat({constant(x), constant(ones<double>({3, 3}))}, 1);
  });
}

TEST_CASE("concat: frozen operands get no gradient") {
  const Var<float> a = trainable(ones<float>({2, 1}));
  const Var<float> b = constant(ones<float>({2, 2}));
  const Var<float> y = concat({b, a}, 1);
  backward(y, Tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  CHECK(same_bits(a.grad(), Tensor<float>({2, 1}, {3, 6})));
  CHECK(!b.grad().defined());
}

}  // namespace
