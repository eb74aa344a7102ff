#include "plume/ops/permute.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("permute") {
  struct Case {
    Shape shape;
    Dims axes;
  };
  for (const Case& c :
       {Case{{2, 3}, {1, 0}}, Case{{2, 3, 4}, {2, 0, 1}}, Case{{5}, {0}}, Case{{}, {}},
        Case{{2, 3, 4}, {0, 1, 2}}, Case{{0, 3}, {1, 0}}, Case{{1, 3, 1, 2}, {3, 2, 1, 0}}}) {
    op.check(
        {random(c.shape)}, [&](const auto& x) { return permute(x[0], c.axes); },
        [&](const auto& x) { return definition::permute(x[0], c.axes); });
  }
  op.check(
      {random({2, 3, 4})},
      [](const auto& x) {
        return permute(x[0], {-1, -3, -2});
      },
      [](const auto& x) {
        return definition::permute(x[0], {2, 0, 1});
      });
  op.check(
      {random({2, 3, 4})}, [](const auto& x) { return transpose(x[0], 0, -1); },
      [](const auto& x) {
        return definition::permute(x[0], {2, 1, 0});
      });
  op.check_forward_in<bfloat16>(
      {random({4, 6})}, [](const auto& x) { return transpose(x[0], 0, 1); },
      [](const auto& x) {
        return definition::permute(x[0], {1, 0});
      },
      {0, 0});

  const Var<double> x = constant(ones<double>({2, 3}));
  op.refuses("no tensor", [] { permute(Var<double>{}, {0}); });
  op.refuses("an axis twice", [&] { permute(x, {0, 0}); });
  op.refuses("too few axes", [&] { permute(x, {0}); });
  op.refuses("an axis that is not there", [&] { permute(x, {0, 2}); });
  op.refuses("transpose of an axis that is not there", [&] { transpose(x, 0, 2); });
}

TEST_CASE("permute: a view") {
  const Var<float> x = trainable(ones<float>({2, 3, 4}));
  CHECK(transpose(x, 0, 2).value().shares_storage(x.value()));
}

}  // namespace
