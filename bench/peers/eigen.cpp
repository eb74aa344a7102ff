// Plain Eigen expressions. Compiled twice (see CMakeLists.txt), so nothing here has a name that the other
// copy has too: PLUME_BENCH_EIGEN names the table, and the second copy calls the namespace Eigen otherwise.

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

#include "bench/peers.hpp"

namespace {

using plume::index_t;
using Vector = Eigen::Map<Eigen::ArrayXf>;
using ConstVector = Eigen::Map<const Eigen::ArrayXf>;
using RowMajor = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<RowMajor>;
using ConstRows = Eigen::Map<const RowMajor>;
using Row = Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The body sees x (a, b) and y as arrays.
#define UNARY(expression)                     \
  [](const float* px, float* py, index_t n) { \
    const ConstVector x(px, n);               \
    Vector(py, n) = expression;               \
  }
#define BINARY(expression)                                     \
  [](const float* pa, const float* pb, float* py, index_t n) { \
    const ConstVector a(pa, n);                                \
    const ConstVector b(pb, n);                                \
    Vector(py, n) = expression;                                \
  }

constexpr float sqrt_half = 0.70710678F;
constexpr float inverse_sqrt_two_pi = 0.39894228F;

void softmax(const float* px, float* py, index_t rows, index_t columns) {
  const ConstRows x(px, rows, columns);
  Rows y(py, rows, columns);
  for (index_t r = 0; r < rows; ++r) {
    y.row(r) = (x.row(r) - x.row(r).maxCoeff()).exp();
    y.row(r) *= 1 / y.row(r).sum();
  }
}

void log_softmax(const float* px, float* py, index_t rows, index_t columns) {
  const ConstRows x(px, rows, columns);
  Rows y(py, rows, columns);
  for (index_t r = 0; r < rows; ++r) {
    const float most = x.row(r).maxCoeff();
    y.row(r) = x.row(r) - (most + std::log((x.row(r) - most).exp().sum()));
  }
}

void softmax_backward(const float* pg, const float* py, float* px, index_t rows, index_t columns) {
  const ConstRows dy(pg, rows, columns);
  const ConstRows y(py, rows, columns);
  Rows dx(px, rows, columns);
  for (index_t r = 0; r < rows; ++r) {
    dx.row(r) = y.row(r) * (dy.row(r) - (dy.row(r) * y.row(r)).sum());
  }
}

void layer_norm(const float* px, const float* pw, const float* pb, float* py, index_t rows,
                index_t columns) {
  const ConstRows x(px, rows, columns);
  const Row w(pw, columns);
  const Row b(pb, columns);
  Rows y(py, rows, columns);
  for (index_t r = 0; r < rows; ++r) {
    const float mean = x.row(r).mean();
    const float variance = (x.row(r) - mean).square().mean();
    y.row(r) = (x.row(r) - mean) * (1 / std::sqrt(variance + 1e-5F)) * w + b;
  }
}

// With mean and rstd of forward, which the rest of the program would have kept.
void layer_norm_backward(const float* pg, const float* px, const float* pw, float* pdx, float* pdw,
                         float* pdb, index_t rows, index_t columns) {
  const ConstRows x(px, rows, columns);
  const ConstRows dy(pg, rows, columns);
  const Row w(pw, columns);
  Rows dx(pdx, rows, columns);
  Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>> dw(pdw, columns);
  Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>> db(pdb, columns);
  dw.setZero();
  db.setZero();
  for (index_t r = 0; r < rows; ++r) {
    const float mean = x.row(r).mean();
    const float rstd = 1 / std::sqrt((x.row(r) - mean).square().mean() + 1e-5F);
    const auto normed = (x.row(r) - mean) * rstd;
    const float mean_g = (dy.row(r) * w).mean();
    const float mean_gx = (dy.row(r) * w * normed).mean();
    dx.row(r) = rstd * (dy.row(r) * w - mean_g - normed * mean_gx);
    dw += dy.row(r) * normed;
    db += dy.row(r);
  }
}

void rms_norm(const float* px, const float* pw, float* py, index_t rows, index_t columns) {
  const ConstRows x(px, rows, columns);
  const Row w(pw, columns);
  Rows y(py, rows, columns);
  for (index_t r = 0; r < rows; ++r) {
    y.row(r) = x.row(r) * (1 / std::sqrt(x.row(r).square().mean() + 1e-6F)) * w;
  }
}

void matmul(const float* a, const float* b, float* c, index_t m, index_t n, index_t k,
            bool transposed) {
  const Eigen::Map<const Matrix> A(a, m, k);
  Eigen::Map<Matrix> C(c, m, n);
  if (transposed) {
    C.noalias() = A * Eigen::Map<const Matrix>(b, n, k).transpose();
  } else {
    C.noalias() = A * Eigen::Map<const Matrix>(b, k, n);
  }
}

}  // namespace

namespace plume::bench {

const EigenPeer& PLUME_BENCH_EIGEN() {
  static const EigenPeer table{
      .set_threads = [](int threads) { Eigen::setNbThreads(threads); },
      .add = BINARY(a + b),
      .sub = BINARY(a - b),
      .mul = BINARY(a * b),
      .div = BINARY(a / b),
      .scale_by_half = UNARY(0.5F * x),
      .exp = UNARY(x.exp()),
      .log = UNARY(x.log()),
      .tanh = UNARY(x.tanh()),
      .sigmoid = UNARY(x.logistic()),
      .relu = UNARY(x.max(0.0F)),
      .gelu = UNARY(0.5F * x * (1 + Eigen::erf(x * sqrt_half))),
      .quick_gelu = UNARY(x * (1.702F * x).logistic()),
      .silu = UNARY(x * x.logistic()),
      .exp_backward = BINARY(a * b),
      .log_backward = BINARY(a / b),
      .tanh_backward = BINARY(a * (1 - b * b)),
      .sigmoid_backward = BINARY(a * b * (1 - b)),
      .relu_backward = BINARY((b > 0.0F).select(a, 0.0F)),
      .gelu_backward = BINARY(a * (0.5F * (1 + Eigen::erf(b * sqrt_half)) +
                                   b * inverse_sqrt_two_pi * (-0.5F * b * b).exp())),
      .quick_gelu_backward =
          BINARY(a * (1.702F * b).logistic() * (1 + 1.702F * b * (1 - (1.702F * b).logistic()))),
      .silu_backward = BINARY(a * b.logistic() * (1 + b * (1 - b.logistic()))),
      .sum_all = [](const float* x, float* y, index_t n) { *y = ConstVector(x, n).sum(); },
      .mean_all = [](const float* x, float* y, index_t n) { *y = ConstVector(x, n).mean(); },
      .sum_rows =
          [](const float* x, float* y, index_t rows, index_t columns) {
            Vector(y, rows) = ConstRows(x, rows, columns).rowwise().sum();
          },
      .sum_columns =
          [](const float* x, float* y, index_t rows, index_t columns) {
            Vector(y, columns) = ConstRows(x, rows, columns).colwise().sum().transpose();
          },
      .max_rows =
          [](const float* x, float* y, index_t rows, index_t columns) {
            Vector(y, rows) = ConstRows(x, rows, columns).rowwise().maxCoeff();
          },
      .softmax = softmax,
      .log_softmax = log_softmax,
      .add_row =
          [](const float* x, const float* b, float* y, index_t rows, index_t columns) {
            Rows(y, rows, columns) = ConstRows(x, rows, columns).rowwise() + Row(b, columns);
          },
      .softmax_backward = softmax_backward,
      .layer_norm = layer_norm,
      .layer_norm_backward = layer_norm_backward,
      .rms_norm = rms_norm,
      .matmul = matmul,
  };
  return table;
}

}  // namespace plume::bench
