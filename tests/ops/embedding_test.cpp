#include "plume/ops/embedding.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

/// Uneven, with repetitions: 0, 1, 4, 9, ... modulo V.
template <class I = index_t>
Tensor<I> some_ids(const Shape& shape, index_t V) {
  Tensor<I> ids(shape);
  for (index_t i = 0; i < ids.numel(); ++i) ids.data()[i] = static_cast<I>(i * i % V);
  return ids;
}

OP_TEST("embedding") {
  const auto check = [&](const Shape& table, const auto& ids) {
    op.check(
        {random(table)}, [ids](const auto& x) { return embedding(x[0], ids); },
        [ids](const auto& x) { return definition::embedding(x[0], ids); });
  };
  check({5, 3}, some_ids({4}, 5));
  check({5, 3}, some_ids<std::int32_t>({2, 3}, 5));
  check({1, 1}, some_ids({3}, 1));
  check({7, 17}, some_ids({}, 7));      // one id
  check({7, 300}, some_ids({40}, 7));   // past a strip of columns
  check({3, 9}, some_ids({5, 30}, 3));  // runs longer than a block of places
  check({4, 2}, some_ids({0, 3}, 4));
  check({4, 0}, some_ids({2}, 4));
  check({5000, 2}, some_ids({90}, 5000));  // two digits of the sort
  check({5, 3}, some_ids({3, 4}, 5).transpose(0, 1));

  const auto ids = some_ids({9}, 5);
  const auto f = [ids](const auto& x) { return embedding(x[0], ids); };
  const auto definition = [ids](const auto& x) { return definition::embedding(x[0], ids); };
  op.check_forward_in<bfloat16>({random({5, 19})}, f, definition, {0, 0});
  op.check_forward_in<half>({random({5, 19})}, f, definition, {0, 0});

  const Tensor<double> table = ones<double>({4, 3});
  const auto embed = [&](std::initializer_list<index_t> list) {
    embedding(table, Tensor<index_t>({static_cast<index_t>(list.size())}, list));
  };
  op.refuses("an id of V", [&] { embed({0, 4}); });
  op.refuses("a negative id", [&] { embed({-1}); });
  op.refuses("a table of rank 1", [&] { embedding(ones<double>({4}), ids); });
  op.refuses("ids into an empty table", [&] {
    embedding(ones<double>({0, 3}), zeros<index_t>({1}));
  });
  op.refuses("a gradient of another shape", [&] {
    embedding_backward(ones<double>({3, 3}), ids, 4);
  });
}

TEST_CASE("embedding: the message names the id, the vocabulary and the place") {
  const Tensor<std::int32_t> ids({2, 2}, {0, 1, 7, 2});
  CHECK_THROWS_WITH_AS(embedding(ones<float>({4, 3}), ids),
                       "[embedding] expected ids in [0, 4), got 7 at [1, 0]", ValueError);
}

TEST_CASE("embedding: a gradient in 16 bits is summed in float and rounded once") {
  const Tensor<index_t> ids = zeros<index_t>({300});
  const Tensor<bfloat16> g = embedding_backward(ones<bfloat16>({300, 2}), ids, 2);
  CHECK(static_cast<float>(g(0, 1)) == 300.0F);
  CHECK(static_cast<float>(g(1, 1)) == 0.0F);
}

TEST_CASE("embedding: accumulating a gradient takes no second table") {
  const auto table = trainable(ones<float>({1000, 64}));
  const auto ids = some_ids({50}, 1000);
  const auto step = [&] {
    const auto y = embedding(table, ids);
    backward(y, ones<float>(y.shape()));
  };
  step();
  const auto before = cpu_memory().stats().total.current;
  cpu_memory().reset_peak();
  step();
  const std::size_t extra = cpu_memory().stats().total.peak - before;
  CHECK(extra < std::size_t{1000 * 64 * 4 / 2});
  CHECK(table.grad()(4, 0) == 2.0F);  // 4 occurs once, in both steps
}

}  // namespace
