#include "plume/ops/cpu/attention_forward.hpp"

#include <doctest/doctest.h>

#include "plume/core/random.hpp"
#include "tests/support/compare.hpp"

using namespace plume;

namespace {

float exp2_of(float x) {
  kernel::Vector<float> v[] = {kernel::broadcast(x)};
  kernel::detail::exp2_of_negative(v, std::index_sequence<0>{});
  return v[0][0];
}

TEST_CASE("attention kernel: powers of two") {
  double worst = 0;
  for (float x = 0; x > -126; x -= 1.37e-4F) {
    const double exact = std::exp2(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(exp2_of(x)) - exact) / exact);
  }
  MESSAGE("largest relative error ", worst);
  CHECK(worst < 1.2e-7);
  CHECK(exp2_of(0) == 1);
  CHECK(exp2_of(-1) == 0.5F);
  CHECK(exp2_of(-126.6F) == 0);
  CHECK(exp2_of(-1e30F) == 0);
  CHECK(exp2_of(-kernel::infinity<float>) == 0);
  CHECK(std::isnan(exp2_of(std::nanf(""))));
}

TEST_CASE("attention kernel: a row is the same bits whatever rows are computed with it") {
  Generator generator(5);
  const index_t N = 100, S = 310, size = 20;
  const auto q = normal<float>({N, size}, generator), k = normal<float>({S, size}, generator);
  const auto v = normal<float>({S, size}, generator);
  for (const bool causal : {false, true}) {
    const kernel::AttentionHead<float, float> head{.q = {q.data(), size},
                                                   .k = {k.data(), size},
                                                   .v = {v.data(), size},
                                                   .queries = N,
                                                   .keys = S,
                                                   .size = size,
                                                   .scale = 0.3F,
                                                   .offset = S - N,
                                                   .causal = causal};
    Tensor<float> whole({N, size}), pieces({N, size}), sums({N}), sums_of_pieces({N});
    const auto run = [&](index_t begin, index_t end, Tensor<float>& y, Tensor<float>& lse) {
      kernel::attention_forward<float, float>(head, begin, end, {y.data(), size}, lse.data());
    };
    run(0, N, whole, sums);
    for (const index_t step : {1, 7, 16, 17, 33, 64}) {
      for (index_t t = 0; t < N; t += step) run(t, std::min(N, t + step), pieces, sums_of_pieces);
      CHECK(test::same_bits(whole, pieces));
      CHECK(test::same_bits(sums, sums_of_pieces));
    }
  }
}

}  // namespace
