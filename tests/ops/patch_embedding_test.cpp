#include "plume/ops/patch_embedding.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("patch_embedding") {
  const auto f = [](const auto& x) { return patch_embedding(x[0], x[1], x[2]); };
  const auto definition = [](const auto& x) {
    return definition::patch_embedding(x[0], x[1], x[2]);
  };
  const auto check = [&](const Shape& images, index_t W, index_t p, CheckOptions options = {}) {
    op.check({random(images), random({W, images[1], p, p}, 1), random({W}, 2)}, f, definition,
             options);
  };
  check({2, 3, 4, 4}, 5, 2);
  check({1, 1, 1, 1}, 1, 1);
  check({2, 2, 3, 9}, 4, 3);  // one row of three patches
  check({3, 1, 6, 4}, 3, 1);  // each pixel a patch
  check({0, 2, 4, 4}, 3, 2);
  check({2, 2, 0, 4}, 3, 2);                          // no patches
  check({2, 0, 2, 2}, 3, 2);                          // no channels: y is the bias
  check({9, 1, 16, 16}, 2, 2, {.broadcast = false});  // several blocks of images

  op.check(
      {random({2, 3, 4, 6}), random({5, 3, 2, 2}, 1)},
      [](const auto& x) { return patch_embedding(x[0], x[1]); },
      [](const auto& x) { return definition::patch_embedding(x[0], x[1]); });

  const Inputs in{random({2, 3, 4, 4}), random({5, 3, 2, 2}, 1), random({5}, 2)};
  op.check_forward_in<bfloat16>(in, f, definition, forward_bfloat16);
  op.check_forward_in<half>(in, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3, 4, 4});
  const Tensor<double> w = ones<double>({5, 3, 2, 2});
  const auto weight = [&](const Shape& shape) { patch_embedding(x, ones<double>(shape)); };
  op.refuses("a height that p does not divide", [&] {
    patch_embedding(ones<double>({2, 3, 5, 4}), w);
  });
  op.refuses("a width that p does not divide", [&] {
    patch_embedding(ones<double>({2, 3, 4, 3}), w);
  });
  op.refuses("other channels", [&] { weight({5, 2, 2, 2}); });
  op.refuses("patches that are not square", [&] { weight({5, 3, 2, 4}); });
  op.refuses("patches of nothing", [&] { weight({5, 3, 0, 0}); });
  op.refuses("one image without its batch axis", [&] {
    patch_embedding(ones<double>({3, 4, 4}), w);
  });
  op.refuses("bias of another size", [&] { patch_embedding(x, w, ones<double>({3})); });
}

TEST_CASE("patch_embedding: patches row by row, a patch as channel, row, column") {
  Tensor<float> x(Shape{1, 2, 4, 6});
  for (index_t i = 0; i < x.numel(); ++i) x.data()[i] = static_cast<float>(i);
  // Output o picks element o of the patch's vector.
  Tensor<float> w = zeros<float>({8, 2, 2, 2});
  for (index_t o = 0; o < 8; ++o) w.data()[o * 8 + o] = 1;
  const Tensor<float> y = patch_embedding(x, w);
  REQUIRE(y.shape() == Shape{1, 6, 8});
  const Tensor<float> fourth = y.select(0, 0).select(0, 4);  // row 1, column 1 of the grid
  CHECK(same_bits(fourth, Tensor<float>({8}, {14, 15, 20, 21, 38, 39, 44, 45})));
}

TEST_CASE("patch_embedding: frozen weights keep no images, and patches are not stored at once") {
  const Tensor<float> w = random({8, 3, 4, 4}).cast<float>();
  const auto b = trainable(zeros<float>({8}));
  Tensor<float> images = ones<float>({32, 3, 64, 64});
  cpu_memory().reset_peak();
  const std::size_t before = cpu_memory().stats().total.current;
  const auto y = patch_embedding(constant(images), constant(w), b);
  CHECK(images.unique());
  const std::size_t y_bytes = static_cast<std::size_t>(y.numel()) * sizeof(float);
  const std::size_t image_bytes = static_cast<std::size_t>(images.numel()) * sizeof(float);
  CHECK(cpu_memory().stats().total.peak - before < y_bytes + image_bytes / 10);
}

}  // namespace
