#include "plume/core/random.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/compare.hpp"

using namespace plume;

namespace {

TEST_CASE("random: Philox4x32-10 gives the published words") {
  // Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
  CHECK(philox(0, 0, 0) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint64_t all = ~std::uint64_t{0};
  CHECK(philox(all, all, all) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: the numbers do not depend on the thread count") {
  set_thread_count(1);
  Generator one(7);
  const Tensor<float> a = normal<float>({100003}, one);
  set_thread_count(3);
  Generator three(7);
  const Tensor<float> b = normal<float>({100003}, three);
  set_thread_count(0);
  CHECK(test::same_bits(a, b));
}

TEST_CASE("random: a longer tensor begins like a shorter one; streams differ; states repeat") {
  Generator g(3);
  const RandomState start = g.state();
  const Tensor<double> a = uniform<double>({10}, g);
  const Tensor<double> b = uniform<double>({10}, g);
  g.set_state(start);
  const Tensor<double> c = uniform<double>({4}, g);
  CHECK(test::same_bits(a.slice(0, 0, 4), c));
  CHECK_FALSE(test::same_bits(a, b));
  Generator other(4);
  CHECK_FALSE(test::same_bits(a, uniform<double>({10}, other)));
}

TEST_CASE("random: moments and ranges") {
  Generator g(11);
  const index_t n = 200000;
  const auto moments = [](const Tensor<double>& x) {
    double mean = 0;
    double square = 0;
    for (index_t i = 0; i < n; ++i) mean += x.data()[i] / static_cast<double>(n);
    for (index_t i = 0; i < n; ++i)
      square += std::pow(x.data()[i] - mean, 2) / static_cast<double>(n);
    return std::pair(mean, square);
  };
  const auto [mean, variance] = moments(normal<double>({n}, g, 2, 3));
  CHECK(std::abs(mean - 2) < 5 * 3 / std::sqrt(n));
  CHECK(std::abs(variance - 9) < 0.15);
  const Tensor<double> u = uniform<double>({n}, g, -1, 1);
  const auto [centre, spread] = moments(u);
  CHECK(std::abs(centre) < 5 * 0.58 / std::sqrt(n));
  CHECK(std::abs(spread - 1.0 / 3) < 0.01);
  bool inside = true;
  for (index_t i = 0; i < n; ++i) inside = inside && u.data()[i] >= -1 && u.data()[i] < 1;
  CHECK(inside);
  for (int i = 0; i < 1000; ++i) {
    const index_t k = g.below(7);
    CHECK(k >= 0);
    CHECK(k < 7);
  }
}

}  // namespace
