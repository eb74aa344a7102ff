#include "plume/ops/matmul.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("matmul") {
  const auto f = [](const auto& x) { return matmul(x[0], x[1]); };
  const auto definition = [](const auto& x) { return definition::matmul(x[0], x[1]); };
  const auto check = [&](const Shape& a, const Shape& b) {
    op.check({random(a), random(b, 1)}, f, definition);
  };
  check({3, 4}, {4, 5});
  check({1, 1}, {1, 1});
  check({1, 7}, {7, 1});
  check({17, 33}, {33, 31});  // past the register tile, odd
  check({2, 3, 4}, {4, 5});   // folded into one product
  check({2, 3, 1, 4}, {4, 5});
  check({3, 4}, {2, 4, 5});  // a is shared
  check({2, 3, 4}, {2, 4, 5});
  check({2, 1, 3, 4}, {5, 4, 2});  // both broadcast
  check({2, 3, 2, 4}, {3, 4, 2});
  check({1, 3, 4}, {2, 4, 3});
  check({0, 3}, {3, 2});  // no rows
  check({2, 0}, {0, 3});  // sums of nothing: zeros
  check({2, 3}, {3, 0});
  check({0, 2, 3}, {3, 2});  // a batch of none: db is 0
  check({2, 2, 0}, {2, 0, 2});

  // Past the blocks of k and the packed panels; too large for central differences of every element.
  op.check({random({130, 400}), random({400, 70}, 1)}, f, definition, {.broadcast = false});

  op.check_forward_in<bfloat16>({random({2, 5, 37}), random({37, 9}, 1)}, f, definition,
                                forward_bfloat16);
  op.check_forward_in<half>({random({2, 5, 37}), random({37, 9}, 1)}, f, definition, forward_half);

  const Tensor<double> a = ones<double>({2, 3});
  op.refuses("inner sizes that differ", [&] { matmul(a, a); });
  op.refuses("a vector on the right", [&] { matmul(a, ones<double>({3})); });
  op.refuses("a vector on the left", [&] { matmul(ones<double>({2}), a); });
  op.refuses("batch axes that do not broadcast", [&] {
    matmul(ones<double>({2, 1, 3}), ones<double>({3, 3, 1}));
  });
  op.refuses("a gradient of another shape", [&] {
    matmul_backward_a(ones<double>({2, 4}), a.transpose(0, 1), a.shape());
  });
}

TEST_CASE("matmul: gradients over 16-bit batches are summed in float and rounded once") {
  // 300 batches whose part of db is 1: in bfloat16 a running sum would stop at 256.
  const Tensor<bfloat16> dy = ones<bfloat16>({300, 1, 1});
  const Tensor<bfloat16> a = ones<bfloat16>({300, 1, 2});
  const Tensor<bfloat16> db = matmul_backward_b(dy, a, Shape{1, 2, 1});
  CHECK(static_cast<float>(db(0, 0, 0)) == 300.0F);
  const Tensor<bfloat16> da =
      matmul_backward_a(ones<bfloat16>({300, 2, 2}), ones<bfloat16>({300, 3, 2}), Shape{2, 3});
  CHECK(static_cast<float>(da(1, 2)) == 600.0F);
}

TEST_CASE("matmul: transposed and folded operands are not copied") {
  const Tensor<float> x = ones<float>({4, 64, 256});
  const Tensor<float> w = ones<float>({128, 256});
  (void)matmul(x, w.transpose(0, 1));  // warm: scratch memory
  const auto requested = [](const auto& f) {
    const auto before = cpu_memory().stats().total.count;
    f();
    return cpu_memory().stats().total.count - before;
  };
  // The result and the storage's control block.
  CHECK(requested([&] { (void)matmul(x, w.transpose(0, 1)); }) == 2);
  CHECK(requested([&] { (void)matmul(x.transpose(-1, -2), x); }) == 2);
}

TEST_CASE("matmul: batch axes fold into one product") {
  const auto plan = [](const Tensor<float>& a, const Tensor<float>& b, const Shape& c) {
    const Shape batch = broadcast_shapes("matmul", plume::detail::batch_axes(a.shape()),
                                         plume::detail::batch_axes(b.shape()));
    return plume::detail::plan_product(batch, a.shape(), a.strides(), b.shape(), b.strides(), c,
                                       c.row_major());
  };
  const Tensor<float> x(Shape{2, 3, 4, 5});
  const Tensor<float> w(Shape{7, 5});
  const Tensor<float> dy(Shape{2, 3, 4, 7});
  const auto forward = plan(x, w.transpose(0, 1), dy.shape());
  CHECK(forward.kept.empty());
  CHECK(forward.size == std::array<index_t, 3>{24, 7, 5});
  const auto dw = plan(dy.transpose(-1, -2), x, w.shape());
  CHECK(dw.summed.empty());
  CHECK(dw.size == std::array<index_t, 3>{7, 5, 24});
  // Heads in the middle: nothing folds, nothing is summed.
  const auto heads = plan(x.permute({0, 2, 1, 3}), x.permute({0, 2, 3, 1}), Shape{2, 4, 3, 3});
  CHECK(heads.kept == Dims{2, 4});
}

}  // namespace
