#include "plume/ops/cpu/math.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "plume/core/parallel.hpp"

using namespace plume;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Worst {
  double relative = 0.0;  // over results that are normal floats
  double subnormal = 0.0;
  float magnitude = 0.0F;
  int special = 0;  // results that should have been infinite or NaN, or should not have been
};

// Runs f over floats of every exponent and both signs, one in 1009 of all there are: one by one in a loop that
// the compiler vectorises, and a register at a time.
template <class F, class Exact>
Worst sweep(F f, Exact exact) {
  constexpr int n = 4096;
  std::vector<float> x(2 * n), y(2 * n);
  Worst worst;
  const auto larger = [](double& a, double b) {
    if (!(b <= a)) a = b;
  };
  for (std::uint64_t start = 0; start < (std::uint64_t{1} << 32); start += 1009 * n) {
    for (int i = 0; i < n; ++i) {
      x[static_cast<std::size_t>(i)] = std::bit_cast<float>(
          static_cast<std::uint32_t>(start + 1009 * static_cast<std::uint64_t>(i)));
    }
    const float* in = x.data();
    float* out = y.data();
    PLUME_SIMD for (int i = 0; i < n; ++i) out[i] = f(in[i]);
    for (int i = 0; i < n; i += static_cast<int>(kernel::vector_size<float>)) {
      kernel::store(out + n + i, f(kernel::load(in + i)));
    }
    for (int i = 0; i < n; ++i) x[static_cast<std::size_t>(n + i)] = in[i];
    for (int i = 0; i < 2 * n; ++i) {
      const double want = exact(static_cast<double>(in[i]));
      const float rounded = static_cast<float>(want);
      if (!std::isfinite(rounded) || !std::isfinite(out[i])) {
        const bool same = std::isnan(rounded) ? std::isnan(out[i]) : out[i] == rounded;
        // Next to the end of the range, the rounding may go either way.
        const bool edge = std::fabs(want) > 3.4028232e38 && std::fabs(want) < 3.4028238e38;
        worst.special += same || edge ? 0 : 1;
        continue;
      }
      const double error = std::fabs(static_cast<double>(out[i]) - want);
      if (std::fabs(want) < 1.1754944e-38) {
        larger(worst.subnormal, error);
      } else {
        larger(worst.relative, error / std::fabs(want));
      }
      worst.magnitude = std::fmax(worst.magnitude, std::fabs(out[i]));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("math::exp") {
  const Worst worst =
      sweep([](auto x) { return math::exp(x); }, [](double x) { return std::exp(x); });
  CHECK(worst.relative <= 1.2e-7);
  CHECK(worst.subnormal <= 1.5e-45);
  CHECK(worst.special == 0);
  CHECK(math::exp(0.0F) == 1.0F);
  CHECK(math::exp(-infinity) == 0.0F);
  CHECK(math::exp(-1000.0F) == 0.0F);
  CHECK(math::exp(infinity) == infinity);
  CHECK(math::exp(88.8F) == infinity);
  CHECK(std::isfinite(math::exp(88.7F)));
  CHECK(std::isnan(math::exp(not_a_number)));
}

TEST_CASE("math::exp_below") {
  const Worst worst =
      sweep([](auto x) { return math::exp_below(math::detail::clamp(x, -infinity, 88.0F)); },
            [](double x) { return x < -87.33F ? 0.0 : std::exp(x > 88.0 ? 88.0 : x); });
  CHECK(worst.relative <= 1.2e-7);
  CHECK(worst.subnormal == 0);
  CHECK(worst.special == 0);
  CHECK(math::exp_below(0.0F) == 1.0F);
  CHECK(math::exp_below(-87.4F) == 0.0F);
  CHECK(math::exp_below(-infinity) == 0.0F);
  CHECK(std::isnan(math::exp_below(not_a_number)));
}

TEST_CASE("math::log") {
  const Worst worst =
      sweep([](auto x) { return math::log(x); }, [](double x) { return std::log(x); });
  CHECK(worst.relative <= 2e-7);
  CHECK(worst.special == 0);
  CHECK(math::log(1.0F) == 0.0F);
  CHECK(math::log(0.0F) == -infinity);
  CHECK(math::log(-0.0F) == -infinity);
  CHECK(math::log(infinity) == infinity);
  CHECK(std::isnan(math::log(-1.0F)));
  CHECK(std::isnan(math::log(-infinity)));
  CHECK(std::isnan(math::log(not_a_number)));
}

TEST_CASE("math::tanh") {
  const Worst worst =
      sweep([](auto x) { return math::tanh(x); }, [](double x) { return std::tanh(x); });
  CHECK(worst.relative <= 4e-7);
  CHECK(worst.subnormal <= 1.5e-45);
  CHECK(worst.special == 0);
  CHECK(worst.magnitude <= 1.0F);
  CHECK(math::tanh(0.0F) == 0.0F);
  CHECK(std::signbit(math::tanh(-0.0F)));
  CHECK(math::tanh(10.0F) == 1.0F);
  CHECK(std::isnan(math::tanh(not_a_number)));
}

TEST_CASE("math::erf") {
  const Worst worst =
      sweep([](auto x) { return math::erf(x); }, [](double x) { return std::erf(x); });
  CHECK(worst.relative <= 4e-7);
  CHECK(worst.subnormal <= 1.5e-45);
  CHECK(worst.special == 0);
  CHECK(worst.magnitude <= 1.0F);
  CHECK(math::erf(0.0F) == 0.0F);
  CHECK(math::erf(-4.2F) == -1.0F);
  CHECK(std::isnan(math::erf(not_a_number)));
}

TEST_CASE("math::sigmoid") {
  const Worst worst = sweep([](auto x) { return math::sigmoid(x); },
                            [](double x) { return 1.0 / (1.0 + std::exp(-x)); });
  CHECK(worst.relative <= 4e-7);
  CHECK(worst.subnormal <= 3e-45);
  CHECK(worst.special == 0);
  CHECK(worst.magnitude <= 1.0F);
  CHECK(math::sigmoid(0.0F) == 0.5F);
  CHECK(math::sigmoid(-infinity) == 0.0F);
  CHECK(math::sigmoid(infinity) == 1.0F);
  CHECK(std::isnan(math::sigmoid(not_a_number)));
}

TEST_CASE("the double functions are the standard library's") {
  for (const double x : {-700.0, -3.0, -1e-9, 0.0, 0.25, 2.0, 40.0}) {
    CHECK(math::exp(x) == std::exp(x));
    CHECK(math::tanh(x) == std::tanh(x));
    CHECK(math::erf(x) == std::erf(x));
    CHECK(math::sigmoid(x) == doctest::Approx(1.0 / (1.0 + std::exp(-x))).epsilon(1e-14));
    if (x > 0.0) CHECK(math::log(x) == std::log(x));
  }
}
