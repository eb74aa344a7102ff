#include "kernels/layer_norm.cuh"

#include "tests/kernels/support.hpp"

using namespace plume::kernels;
using namespace plume::kernels::test;

namespace {

/// Everything about one problem in double: inputs as stored, outputs exact.
template <class T, class P>
struct Problem {
  index_t N, D;
  std::vector<T> x, dy;
  std::vector<P> gamma, beta;
  std::vector<double> mean, rstd, y, dx, dgamma, dbeta;
  double eps = 1e-5;

  Problem(index_t N_, index_t D_, double centre = 0.5)
      : N(N_),
        D(D_),
        x(random_values<T>(N * D, 1, centre - 2, centre + 2)),
        dy(random_values<T>(N * D, 2, -1, 1)),
        gamma(random_values<P>(D, 3, 0.5, 1.5)),
        beta(random_values<P>(D, 4, -1, 1)) {
    const auto rows = static_cast<std::size_t>(N), columns = static_cast<std::size_t>(D);
    y.resize(x.size());
    dx.resize(x.size());
    dgamma.assign(columns, 0);
    dbeta.assign(columns, 0);
    for (std::size_t n = 0; n < rows; ++n) {
      const std::size_t row = n * columns;
      double mu = 0, variance = 0, mean_g = 0, mean_gx = 0;
      for (std::size_t d = 0; d < columns; ++d) mu += wide(x[row + d]) / static_cast<double>(D);
      for (std::size_t d = 0; d < columns; ++d)
        variance += std::pow(wide(x[row + d]) - mu, 2) / static_cast<double>(D);
      const double r = 1 / std::sqrt(variance + eps);
      mean.push_back(mu);
      rstd.push_back(r);
      for (std::size_t d = 0; d < columns; ++d) {
        const double xhat = (wide(x[row + d]) - mu) * r;
        y[row + d] = xhat * wide(gamma[d]) + wide(beta[d]);
        const double g = wide(dy[row + d]) * wide(gamma[d]);
        mean_g += g / static_cast<double>(D);
        mean_gx += g * xhat / static_cast<double>(D);
        dgamma[d] += wide(dy[row + d]) * xhat;
        dbeta[d] += wide(dy[row + d]);
      }
      for (std::size_t d = 0; d < columns; ++d) {
        const double xhat = (wide(x[row + d]) - mu) * r;
        dx[row + d] = r * (wide(dy[row + d]) * wide(gamma[d]) - mean_g - xhat * mean_gx);
      }
    }
  }
};

template <class T, class P>
void check_layer_norm(index_t N, index_t D, bool every_order = false) {
  CAPTURE(N);
  CAPTURE(D);
  using A = accumulate_t<T>;
  const Problem<T, P> problem(N, D);
  const auto rows = static_cast<std::size_t>(N), columns = static_cast<std::size_t>(D);
  DeviceArray<T> x(problem.x), dy(problem.dy);
  DeviceArray<P> gamma(problem.gamma), beta(problem.beta);
  DeviceArray<A> mean(rows), rstd(rows);
  const auto run = [&](auto f) { return every_order ? in_every_order(f) : f(); };

  const auto y = run([&] {
    DeviceArray<T> out(rows * columns);
    layer_norm_forward(x.data(), gamma.data(), beta.data(), out.data(), mean.data(), rstd.data(), N,
                       D, problem.eps, nullptr);
    return out.values();
  });
  CHECK(worst(
            y, [&](std::size_t i) { return problem.y[i]; }, 4, 16) <= 1);
  CHECK(worst(
            mean.values(), [&](std::size_t i) { return problem.mean[i]; }, 3, 16) <= 1);
  // A row of one element has variance 0: rstd is then 1 / sqrt(eps), and eps is a float.
  CHECK(worst(
            rstd.values(), [&](std::size_t i) { return problem.rstd[i]; }, 1, 16) <= 1);

  const auto workspace_size = static_cast<std::size_t>(layer_norm_backward_workspace(N, D));
  std::vector<P> dgamma, dbeta;
  const auto dx = run([&] {
    DeviceArray<T> out(rows * columns);
    DeviceArray<P> out_gamma(columns), out_beta(columns);
    DeviceArray<A> workspace(workspace_size);
    layer_norm_backward(x.data(), gamma.data(), mean.data(), rstd.data(), dy.data(), out.data(),
                        out_gamma.data(), out_beta.data(), workspace.data(), N, D, nullptr);
    if (!dgamma.empty()) CHECK(same_bits(dgamma, out_gamma.values()));
    dgamma = out_gamma.values();
    dbeta = out_beta.values();
    return out.values();
  });
  const double slope = D == 1 ? 400 : 8;  // rstd enters dx as a factor
  CHECK(worst(
            dx, [&](std::size_t i) { return problem.dx[i]; }, slope, 16) <= 1);
  const double sum_scale = 4 * std::sqrt(static_cast<double>(N)) + 4;
  CHECK(worst(
            dgamma, [&](std::size_t i) { return problem.dgamma[i]; }, sum_scale, 16) <= 1);
  CHECK(worst(
            dbeta, [&](std::size_t i) { return problem.dbeta[i]; }, sum_scale, 16) <= 1);

  // Frozen parameters: the same dx, and no workspace.
  DeviceArray<T> frozen(rows * columns);
  layer_norm_backward(x.data(), gamma.data(), mean.data(), rstd.data(), dy.data(), frozen.data(),
                      static_cast<P*>(nullptr), static_cast<P*>(nullptr), static_cast<A*>(nullptr),
                      N, D, nullptr);
  CHECK(same_bits(frozen.values(), dx));

  // Only the parameters: the same sums without dx.
  DeviceArray<P> only(columns);
  DeviceArray<A> workspace(workspace_size);
  layer_norm_backward(x.data(), gamma.data(), mean.data(), rstd.data(), dy.data(),
                      static_cast<T*>(nullptr), only.data(), static_cast<P*>(nullptr),
                      workspace.data(), N, D, nullptr);
  CHECK(same_bits(only.values(), dgamma));
}

}  // namespace

TEST_CASE("layer_norm in float, every variant of the kernel") {
  for (const index_t D :
       {1, 31, 32, 33, 255, 256, 257, 260, 512, 513, 1020, 1023, 1024, 1025, 1028}) {
    for (const index_t N : {1, 7, 8, 9}) check_layer_norm<float, float>(N, D);
  }
  for (const index_t D : {4096, 4099, 4100}) check_layer_norm<float, float>(3, D, true);
}

TEST_CASE("layer_norm in bfloat16, half and double") {
  for (const index_t D : {31, 64, 256, 264, 1024, 1032, 4096, 4104}) {
    check_layer_norm<bfloat16, float>(5, D);
    check_layer_norm<bfloat16, bfloat16>(9, D);
  }
  check_layer_norm<half, half>(9, 264);
  for (const index_t D : {33, 256, 512, 514, 4098}) check_layer_norm<double, double>(5, D);
}

TEST_CASE("layer_norm with more rows than partial sums") {
  check_layer_norm<float, float>(2100, 12);   // 263 blocks of 8 rows for 256: two turns
  check_layer_norm<float, float>(258, 1028);  // a block for each row, sums in registers
  check_layer_norm<float, float>(258, 513);   // the same, sums in memory
}

TEST_CASE("layer_norm of nothing") {
  DeviceArray<float> x(1), dgamma(7), dbeta(7), workspace(100);
  layer_norm_forward<float, float>(x.data(), nullptr, nullptr, x.data(), nullptr, nullptr, 0, 7,
                                   1e-5, nullptr);
  layer_norm_forward<float, float>(x.data(), nullptr, nullptr, x.data(), nullptr, nullptr, 7, 0,
                                   1e-5, nullptr);
  layer_norm_backward<float, float>(x.data(), nullptr, x.data(), x.data(), x.data(), x.data(),
                                    dgamma.data(), dbeta.data(), workspace.data(), 0, 7, nullptr);
  CHECK(dgamma.values() == std::vector<float>(7, 0.0F));  // a sum over no rows
  CHECK(dbeta.values() == std::vector<float>(7, 0.0F));
}

TEST_CASE("layer_norm without parameters, and on unaligned pointers") {
  const index_t N = 9, D = 64;
  const Problem<float, float> problem(N, D);
  std::vector<float> shifted(problem.x);
  shifted.insert(shifted.begin(), 0);
  DeviceArray<float> x(problem.x), x_unaligned(shifted), gamma(problem.gamma), beta(problem.beta),
      y(shifted.size());
  layer_norm_forward<float, float>(x.data(), nullptr, nullptr, y.data(), nullptr, nullptr, N, D,
                                   1e-5, nullptr);
  auto all = y.values();
  all.pop_back();
  const auto columns = static_cast<std::size_t>(D);
  CHECK(worst(
            all,
            [&](std::size_t i) {
              return (problem.y[i] - wide(problem.beta[i % columns])) /
                     wide(problem.gamma[i % columns]);
            },
            4, 16) <= 1);
  layer_norm_forward<float, float>(x_unaligned.data() + 1, gamma.data(), beta.data(), y.data() + 1,
                                   nullptr, nullptr, N, D, 1e-5, nullptr);
  all = y.values();
  all.erase(all.begin());
  CHECK(worst(
            all, [&](std::size_t i) { return problem.y[i]; }, 4, 16) <= 1);
}

TEST_CASE("the variance survives a large mean") {
  const index_t N = 4, D = 1024;
  const Problem<float, float> problem(
      N, D, 10000);  // x^2 - mean^2 would keep no digit of a variance of 1.3
  DeviceArray<float> x(problem.x), y(problem.x.size());
  DeviceArray<float> mean(4), rstd(4), gamma(problem.gamma), beta(problem.beta);
  layer_norm_forward(x.data(), gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), N, D,
                     1e-5, nullptr);
  // The mean is a float near 10000, off by up to 5e-4; that is all the error there may be.
  CHECK(worst(
            y.values(), [&](std::size_t i) { return problem.y[i]; }, 10000, 8) <= 1);
  CHECK(worst(
            rstd.values(), [&](std::size_t i) { return problem.rstd[i]; }, 1, 16) <= 1);
}
