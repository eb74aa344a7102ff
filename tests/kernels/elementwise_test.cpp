#include "kernels/elementwise.cuh"

#include "tests/kernels/support.hpp"

using namespace plume::kernels;
using namespace plume::kernels::test;

namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// Value and derivative in double; `low` is where the inputs start.
struct Reference {
  double (*value)(double);
  double (*slope)(double);
  double low = -4;
};

const Reference exp_reference{[](double x) { return std::exp(x); },
                              [](double x) { return std::exp(x); }};
const Reference log_reference{[](double x) { return std::log(x); }, [](double x) { return 1 / x; },
                              0.1};
const Reference tanh_reference{[](double x) { return std::tanh(x); },
                               [](double x) { return 1 - std::tanh(x) * std::tanh(x); }};
const Reference sigmoid_reference{logistic,
                                  [](double x) { return logistic(x) * (1 - logistic(x)); }};
const Reference relu_reference{[](double x) { return x > 0 ? x : 0; },
                               [](double x) { return x > 0 ? 1.0 : 0.0; }};
const Reference gelu_reference{[](double x) { return x * normal_cdf(x); },
                               [](double x) {
                                 return normal_cdf(x) + x * std::exp(-x * x / 2) /
                                                            std::sqrt(2 * 3.14159265358979323846);
                               }};
const Reference quick_gelu_reference{[](double x) { return x * logistic(1.702 * x); },
                                     [](double x) {
                                       const double s = logistic(1.702 * x);
                                       return s + 1.702 * x * s * (1 - s);
                                     }};
const Reference silu_reference{[](double x) { return x * logistic(x); },
                               [](double x) { return logistic(x) * (1 + x * (1 - logistic(x))); }};
const Reference square_reference{[](double x) { return x * x; }, [](double x) { return 2 * x; }};
const Reference sqrt_reference{[](double x) { return std::sqrt(x); },
                               [](double x) { return 0.5 / std::sqrt(x); }, 0.1};

/// Forward and backward against double, aligned and not, in several orders, and in place.
template <class T, class Op>
void check_unary(Op op, const Reference& reference) {
  for (const index_t n : awkward_sizes) {
    for (const index_t offset : {0, 1}) {  // 1: no 128-bit access possible
      CAPTURE(n);
      CAPTURE(offset);
      const auto x = random_values<T>(n + offset, 1, reference.low);
      const auto dy = random_values<T>(n + offset, 2);
      DeviceArray<T> device_x(x), device_dy(dy);
      const auto forward = in_every_order([&] {
        DeviceArray<T> y(static_cast<std::size_t>(n + offset));
        unary_forward("forward", op, device_x.data() + offset, y.data() + offset, n, nullptr);
        const auto all = y.values();
        return std::vector<T>(all.begin() + offset, all.end());
      });
      const auto at = [&](const auto& v, std::size_t i) {
        return wide(v[i + static_cast<std::size_t>(offset)]);
      };
      CHECK(worst(
                forward, [&](std::size_t i) { return reference.value(at(x, i)); }, 1) <= 1);

      // The saved output is what forward stored, so its rounding is part of what is allowed.
      DeviceArray<T> saved(Op::saves_output ? forward
                                            : std::vector<T>(x.begin() + offset, x.end()));
      const auto backward = in_every_order([&] {
        DeviceArray<T> dx(static_cast<std::size_t>(n));
        unary_backward("backward", op, saved.data(), device_dy.data() + offset, dx.data(), n,
                       nullptr);
        return dx.values();
      });
      const double ulps =
          Op::saves_output && sizeof(T) == 2 ? 8 * unit_roundoff<T>() / 0x1p-24 : 16;
      CHECK(worst(
                backward, [&](std::size_t i) { return at(dy, i) * reference.slope(at(x, i)); }, 8,
                ulps) <= 1);

      unary_forward("in_place", op, device_x.data() + offset, device_x.data() + offset, n, nullptr);
      const auto all = device_x.values();
      CHECK(same_bits(std::vector<T>(all.begin() + offset, all.end()), forward));
    }
  }
}

}  // namespace

TEST_CASE("unary kernels, float and bfloat16: value and derivative against double") {
  SUBCASE("exp") {
    check_unary<float>(unary::Exp{}, exp_reference);
    check_unary<bfloat16>(unary::Exp{}, exp_reference);
  }
  SUBCASE("log") { check_unary<float>(unary::Log{}, log_reference); }
  SUBCASE("tanh") {
    check_unary<float>(unary::Tanh{}, tanh_reference);
    check_unary<bfloat16>(unary::Tanh{}, tanh_reference);
  }
  SUBCASE("sigmoid") { check_unary<float>(unary::Sigmoid{}, sigmoid_reference); }
  SUBCASE("relu") {
    check_unary<float>(unary::Relu{}, relu_reference);
    check_unary<bfloat16>(unary::Relu{}, relu_reference);
  }
  SUBCASE("gelu") {
    check_unary<float>(unary::Gelu{}, gelu_reference);
    check_unary<bfloat16>(unary::Gelu{}, gelu_reference);
  }
  SUBCASE("quick_gelu") { check_unary<float>(unary::QuickGelu{}, quick_gelu_reference); }
  SUBCASE("silu") { check_unary<float>(unary::Silu{}, silu_reference); }
  SUBCASE("square") { check_unary<float>(unary::Square{}, square_reference); }
  SUBCASE("sqrt") { check_unary<float>(unary::Sqrt{}, sqrt_reference); }
}

TEST_CASE("unary kernels, half and double") {
  check_unary<half>(unary::Gelu{}, gelu_reference);
  check_unary<double>(unary::Gelu{}, gelu_reference);
}

TEST_CASE("unary kernels at the edges of the number line") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  DeviceArray<float> x(std::vector<float>{nan, inf, -inf, 0.0F, -0.0F, 100.0F, -100.0F});
  DeviceArray<float> y(7);
  const auto apply = [&](auto op) {
    unary_forward("edges", op, x.data(), y.data(), 7, nullptr);
    return y.values();
  };
  const auto relu = apply(unary::Relu{});
  CHECK(std::isnan(relu[0]));
  CHECK(relu[1] == inf);
  CHECK(relu[2] == 0.0F);
  const auto sigmoid = apply(unary::Sigmoid{});
  CHECK(std::isnan(sigmoid[0]));
  CHECK(sigmoid[1] == 1.0F);
  CHECK(sigmoid[2] == 0.0F);
  CHECK(sigmoid[5] == 1.0F);
  CHECK(sigmoid[6] < 1e-40F);
  const auto gelu = apply(unary::Gelu{});
  CHECK(gelu[1] == inf);
  CHECK(gelu[5] == 100.0F);
  CHECK(gelu[6] == 0.0F);
}

TEST_CASE("axpy adds to what is there") {
  for (const index_t n : awkward_sizes) {
    const auto x = random_values<bfloat16>(n, 1), y = random_values<bfloat16>(n, 2);
    DeviceArray<bfloat16> device_x(x), device_y(y);
    axpy(device_x.data(), device_y.data(), n, -0.75, nullptr);
    const auto want = [&](std::size_t i) { return wide(y[i]) - 0.75 * wide(x[i]); };
    CHECK(worst(device_y.values(), want, 4) <= 1);
  }
}

TEST_CASE("scale, fill and cast") {
  for (const index_t n : awkward_sizes) {
    CAPTURE(n);
    const auto x = random_values<float>(n, 5);
    DeviceArray<float> device_x(x);
    const auto scaled = in_every_order([&] {
      DeviceArray<float> y(static_cast<std::size_t>(n));
      unary_forward("scale", unary::Scale{-2.5}, device_x.data(), y.data(), n, nullptr);
      return y.values();
    });
    CHECK(worst(
              scaled, [&](std::size_t i) { return -2.5 * wide(x[i]); }, 0, 1) <= 1);

    DeviceArray<bfloat16> narrowed(static_cast<std::size_t>(n));
    DeviceArray<double> widened(static_cast<std::size_t>(n));
    cast(device_x.data(), narrowed.data(), n, nullptr);
    cast(narrowed.data(), widened.data(), n, nullptr);
    const auto back = widened.values();
    CHECK(worst(
              narrowed.values(), [&](std::size_t i) { return wide(x[i]); }, 0, 0) <= 1);
    CHECK(worst(
              back, [&](std::size_t i) { return wide(narrowed.values()[i]); }, 0, 1) == 0);

    DeviceArray<half> filled(static_cast<std::size_t>(n + 2));
    fill(filled.data() + 1, n, narrow<half>(1.5F), nullptr);
    const auto all = filled.values();
    for (index_t i = 1; i <= n; ++i) CHECK(wide(all[static_cast<std::size_t>(i)]) == 1.5);
    CHECK(std::isnan(wide(all.front())));  // neighbours untouched: device memory starts as NaN
    CHECK(std::isnan(wide(all.back())));
  }
}
