#include "plume/optim/clip.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "plume/autograd/backward.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/scale.hpp"

using namespace plume;

namespace {

// A leaf whose gradient is `g`.
template <Floating T>
Var<T> with_gradient(const Tensor<T>& g) {
  const Var<T> leaf = trainable(zeros<T>(g.shape()));
  backward(leaf, g);
  return leaf;
}

TEST_CASE("clip: the norm is that of all gradients together, and is what remains") {
  const std::array<Var<float>, 3> p{with_gradient(Tensor<float>({2}, {3, 0})),
                                    with_gradient(Tensor<float>({1, 1}, {4})),
                                    Var<float>(ones<float>({7}))};  // frozen
  const std::span<const Var<float>> all(p);
  CHECK(gradient_norm(all) == 5);
  CHECK(clip_gradients(all, 10) == 5);
  CHECK(p[0].grad()(0) == 3);  // untouched
  CHECK(clip_gradients(all, 1) == 5);
  CHECK(p[0].grad()(0) == doctest::Approx(0.6));
  CHECK(p[1].grad()(0, 0) == doctest::Approx(0.8));
  CHECK(gradient_norm(all) == doctest::Approx(1));
  CHECK(!p[2].grad().defined());
}

TEST_CASE("clip: the cotangent that was passed to backward is not scaled with the gradient") {
  const Tensor<float> mine({2}, {30, 40});
  const std::array<Var<float>, 1> p{with_gradient(mine)};
  clip_gradients(std::span<const Var<float>>(p), 1);
  CHECK(mine(0) == 30);
  CHECK(p[0].grad()(0) == doctest::Approx(0.6));
}

TEST_CASE("clip: nothing to clip, and norms that are not finite") {
  CHECK(clip_gradients(std::span<const Var<float>>{}, 1) == 0);
  const std::array<Var<float>, 2> p{with_gradient(Tensor<float>({2}, {3, HUGE_VALF})),
                                    with_gradient(Tensor<float>({1}, {4}))};
  CHECK(std::isinf(clip_gradients(std::span<const Var<float>>(p), 1)));
  CHECK(p[1].grad()(0) == 4);
  CHECK_THROWS_AS(clip_gradients(std::span<const Var<float>>(p), 0), ValueError);
  CHECK_THROWS_AS(clip_gradients(std::span<const Var<float>>(p), std::nan("")), ValueError);
}

TEST_CASE("clip: the same bits for every thread count, also where squares overflow float") {
  Generator generator(3);
  const Tensor<float> g = normal<float>({300007}, generator, 0, 1e20);
  const std::array<Var<float>, 1> p{with_gradient(g)};
  const std::span<const Var<float>> all(p);
  set_thread_count(1);
  const double one = gradient_norm(all);
  set_thread_count(3);
  const double three = gradient_norm(all);
  set_thread_count(0);
  CHECK(std::memcmp(&one, &three, sizeof one) == 0);
  CHECK(one == doctest::Approx(1e20 * std::sqrt(300007.0)).epsilon(0.01));
}

TEST_CASE("clip: 16-bit gradients") {
  const std::array<Var<bfloat16>, 1> p{with_gradient(Tensor<float>({2}, {3, 4}).cast<bfloat16>())};
  const std::span<const Var<bfloat16>> all(p);
  CHECK(clip_gradients(all, 0.5) == 5);
  CHECK(gradient_norm(all) == doctest::Approx(0.5).epsilon(0.01));
}

}  // namespace
