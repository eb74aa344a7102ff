#include "plume/ops/linear.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("linear") {
  const auto f = [](const auto& x) { return linear(x[0], x[1], x[2]); };
  const auto definition = [](const auto& x) { return definition::linear(x[0], x[1], x[2]); };
  const auto check = [&](const Shape& x, index_t N) {
    op.check({random(x), random({N, x.back()}, 1), random({N}, 2)}, f, definition);
  };
  check({3, 4}, 5);
  check({4}, 3);  // one vector
  check({2, 3, 7}, 5);
  check({2, 1, 3, 4}, 6);
  check({1, 1}, 1);
  check({17, 33}, 15);
  check({0, 3}, 2);
  check({2, 0}, 3);  // y is the bias
  check({2, 3}, 0);
  op.check({random({130, 390}), random({70, 390}, 1), random({70}, 2)}, f, definition,
           {.broadcast = false});

  op.check(
      {random({2, 3, 6}), random({5, 6}, 1)}, [](const auto& x) { return linear(x[0], x[1]); },
      [](const auto& x) { return definition::linear(x[0], x[1]); });

  const Inputs in{random({2, 5, 37}), random({9, 37}, 1), random({9}, 2)};
  op.check_forward_in<bfloat16>(in, f, definition, forward_bfloat16);
  op.check_forward_in<half>(in, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3});
  const Tensor<double> w = ones<double>({4, 3});
  op.refuses("inner sizes that differ", [&] { linear(ones<double>({2, 4}), w); });
  op.refuses("weight of rank 1", [&] { linear(x, ones<double>({3})); });
  op.refuses("a scalar", [&] { linear(scalar(1.0), w); });
  op.refuses("bias of another size", [&] { linear(x, w, ones<double>({3})); });
  op.refuses("a weight stored the other way round", [&] { linear(x, w.transpose(0, 1)); });
}

TEST_CASE("linear: a frozen operand keeps nothing alive") {
  const Tensor<float> x = random({4, 3}).cast<float>();
  const Tensor<float> w = random({5, 3}).cast<float>();
  const auto b = trainable(zeros<float>({5}));
  const auto kept = [&](bool train_x, bool train_w) {
    Tensor<float> x1 = x.clone();
    Tensor<float> w1 = w.clone();
    const Var<float> y = linear(Var<float>(x1, train_x), Var<float>(w1, train_w), b);
    return std::pair(!x1.unique(), !w1.unique());
  };
  CHECK(kept(true, true) == std::pair(true, true));
  CHECK(kept(true, false) == std::pair(false, true));
  CHECK(kept(false, true) == std::pair(true, false));
  CHECK(kept(false, false) == std::pair(false, false));
}

}  // namespace
