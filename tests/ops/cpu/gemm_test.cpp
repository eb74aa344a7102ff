#include "plume/ops/cpu/gemm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

using namespace plume;
using kernel::Matrix;

namespace {

enum class Layout { row_major, col_major, spread, padded };
constexpr Layout layouts[] = {Layout::row_major, Layout::col_major, Layout::spread, Layout::padded};

// A matrix in one of the layouts, filled with numbers in [-1, 1).
template <class T>
struct Operand {
  std::vector<T> data;
  index_t row_stride = 0, col_stride = 0;

  Operand(index_t rows, index_t cols, Layout layout, std::uint32_t seed) {
    switch (layout) {
      case Layout::row_major:
        row_stride = cols, col_stride = 1;
        break;
      case Layout::col_major:
        row_stride = 1, col_stride = rows;
        break;
      case Layout::spread:
        row_stride = 2 * cols + 1, col_stride = 2;
        break;
      case Layout::padded:
        row_stride = cols + 3, col_stride = 1;
        break;
    }
    data.resize(static_cast<std::size_t>(2 * rows * cols + 3 * (rows + cols) + 1));
    for (auto& v : data) {
      seed = seed * 1664525U + 1013904223U;
      v = static_cast<T>(static_cast<float>(seed >> 8) / 8388608.0F - 1.0F);
    }
  }
  Matrix<const T> in() const { return {data.data(), row_stride, col_stride}; }
  Matrix<T> out() { return {data.data(), row_stride, col_stride}; }
  double at(index_t i, index_t j) const {
    return static_cast<double>(data[static_cast<std::size_t>(i * row_stride + j * col_stride)]);
  }
};

template <class T>
double epsilon() {
  return static_cast<double>(std::numeric_limits<accumulate_t<T>>::epsilon());
}
// The largest relative error of rounding to T.
template <class T>
double rounding() {
  return std::is_same_v<T, bfloat16> ? 1.0 / 256 : std::is_same_v<T, half> ? 1.0 / 2048 : 0.0;
}

// The worst error of C = alpha A B + beta C0 as a part of what is allowed:
// 2 sqrt(K) eps sum |a b| for the sum, and one rounding to TC.
template <class TC, class TA, class TB>
double error(index_t m, index_t n, index_t k, double alpha, const Operand<TA>& a,
             const Operand<TB>& b, double beta, const Operand<TC>& before, const Operand<TC>& c) {
  double worst = 0.0;
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < n; ++j) {
      double sum = 0.0, magnitude = 0.0;
      for (index_t s = 0; s < k; ++s) {
        sum += a.at(i, s) * b.at(s, j);
        magnitude += std::fabs(a.at(i, s) * b.at(s, j));
      }
      const double old = beta == 0.0 ? 0.0 : beta * before.at(i, j);
      const double want = alpha * sum + old;
      const double allowed = 2.0 * std::sqrt(static_cast<double>(k) + 1.0) * epsilon<TC>() *
                                 (std::fabs(alpha) * magnitude + std::fabs(old)) +
                             rounding<TC>() * std::fabs(want) + 1e-7 * rounding<TC>();
      const double e = std::fabs(c.at(i, j) - want);
      if (e != 0.0 && !(e <= worst * allowed)) worst = e / allowed;
    }
  }
  return worst;
}

template <class TC, class TA = TC, class TB = TC>
void check(index_t m, index_t n, index_t k, Layout la, Layout lb, Layout lc, double alpha,
           double beta) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  CAPTURE(static_cast<int>(la));
  CAPTURE(static_cast<int>(lb));
  CAPTURE(static_cast<int>(lc));
  CAPTURE(alpha);
  CAPTURE(beta);
  using R = accumulate_t<TC>;
  const Operand<TA> a(m, k, la, 1);
  const Operand<TB> b(k, n, lb, 2);
  Operand<TC> c(m, n, lc, 3);
  const Operand<TC> before = c;
  kernel::gemm<TC, TA, TB>(m, n, k, static_cast<R>(alpha), a.in(), b.in(), static_cast<R>(beta),
                           c.out());
  CHECK(error(m, n, k, alpha, a, b, beta, before, c) <= 1.0);

  // Nothing else is written.
  std::vector<bool> mine(c.data.size(), false);
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < n; ++j) {
      mine[static_cast<std::size_t>(i * c.row_stride + j * c.col_stride)] = true;
    }
  }
  index_t overwritten = 0;
  for (std::size_t i = 0; i < c.data.size(); ++i) {
    if (!mine[i] && std::memcmp(&c.data[i], &before.data[i], sizeof(TC)) != 0) ++overwritten;
  }
  CHECK(overwritten == 0);
}

struct Threads {
  explicit Threads(int n) { set_thread_count(n); }
  ~Threads() { set_thread_count(0); }
};

}  // namespace

TEST_CASE("gemm: every edge size around the register tile") {
  for (const index_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 17, 25}) {
    for (const index_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 130}) {
      for (const index_t k : {1, 2, 15, 16, 33, 67}) {
        for (const Layout lb : {Layout::row_major, Layout::col_major}) {
          check<float>(m, n, k, Layout::row_major, lb, Layout::row_major, 1.0, 0.0);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm: all combinations of strides", T, float, double, bfloat16, half) {
  for (const Layout la : layouts) {
    for (const Layout lb : layouts) {
      for (const Layout lc : layouts) {
        check<T>(1, 37, 50, la, lb, lc, 1.0, 0.0);
        check<T>(3, 5, 17, la, lb, lc, 1.0, 1.0);
        check<T>(13, 35, 9, la, lb, lc, 1.0, 0.0);
        check<T>(14, 34, 300, la, lb, lc, -0.5, 2.0);
        check<T>(45, 1, 20, la, lb, lc, 1.0, 0.0);
        check<T>(41, 7, 70, la, lb, lc, 1.0, 1.0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm: past the blocks of k, n and m", T, float, double, bfloat16, half) {
  for (const Layout lb : {Layout::row_major, Layout::col_major}) {
    check<T>(1, 70, 1030, Layout::row_major, lb, Layout::row_major, 1.0, 0.5);
    check<T>(5, 4, 3000, Layout::row_major, lb, Layout::row_major, 1.0, 0.0);
    check<T>(121, 513, 257, Layout::col_major, lb, Layout::padded, 1.0, 1.0);
    check<T>(2, 4200, 20, Layout::row_major, lb, Layout::row_major, 2.0, 0.0);
    check<T>(9, 4200, 20, Layout::row_major, lb, Layout::row_major, 2.0, 0.0);
    check<T>(2900, 3, 270, Layout::row_major, lb, Layout::row_major, 1.0, 1.0);
    check<T>(2900, 35, 20, Layout::row_major, lb, Layout::row_major, 1.0, 1.0);
  }
}

TEST_CASE("gemm: operands of different types") {
  for (const index_t m : {1, 4, 20}) {
    for (const Layout lb : {Layout::row_major, Layout::col_major}) {
      check<float, float, bfloat16>(m, 70, 300, Layout::row_major, lb, Layout::row_major, 1.0, 0.0);
      check<bfloat16, float, bfloat16>(m, 70, 300, Layout::padded, lb, Layout::padded, 1.0, 1.0);
      check<float, half, float>(m, 33, 40, Layout::row_major, lb, Layout::row_major, 1.0, 0.0);
    }
  }
}

TEST_CASE("gemm: alpha and beta, empty sums, and a C that must not be read") {
  for (const double alpha : {0.0, 1.0, -2.0}) {
    for (const double beta : {0.0, 1.0, 0.25, -3.0}) {
      for (const index_t k : {0, 1, 600}) {
        for (const index_t m : {1, 6}) {
          for (const Layout l : layouts) {
            check<float>(m, 37, k, Layout::row_major, Layout::row_major, l, alpha, beta);
          }
          check<bfloat16>(m, 37, k, Layout::row_major, Layout::row_major, Layout::row_major, alpha,
                          beta);
        }
      }
    }
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const index_t m : {1, 2, 13}) {
    for (const index_t k : {0, 1, 300, 600}) {
      for (const Layout l : layouts) {
        const Operand<float> a(m, k, Layout::row_major, 1);
        const Operand<float> b(k, 40, l, 2);
        Operand<float> c(m, 40, l, 3);
        const Operand<float> before = c;
        for (auto& v : c.data) v = nan;
        kernel::gemm<float>(m, 40, k, 1.0F, a.in(), b.in(), 0.0F, c.out());
        CHECK(error(m, 40, k, 1.0, a, b, 0.0, before, c) <= 1.0);
        Operand<bfloat16> c16(m, 40, l, 3);
        for (auto& v : c16.data) v = bfloat16(nan);
        kernel::gemm<bfloat16, float, float>(m, 40, k, 1.0F, a.in(), b.in(), 0.0F, c16.out());
        bool finite = true;
        for (index_t i = 0; i < m; ++i) {
          for (index_t j = 0; j < 40; ++j) finite = finite && std::isfinite(c16.at(i, j));
        }
        CHECK(finite);
      }
    }
  }
}

TEST_CASE("gemm: a NaN of A or B reaches the elements that it belongs to, and no others") {
  for (const index_t m : {1, 3, 13}) {
    Operand<float> a(m, 50, Layout::row_major, 1);
    const Operand<float> b(50, 70, Layout::col_major, 2);
    Operand<float> c(m, 70, Layout::row_major, 3);
    a.data[static_cast<std::size_t>((m - 1) * 50 + 7)] = std::numeric_limits<float>::quiet_NaN();
    kernel::gemm<float>(m, 70, 50, 1.0F, a.in(), b.in(), 0.0F, c.out());
    for (index_t i = 0; i < m; ++i) {
      for (index_t j = 0; j < 70; ++j) CHECK(std::isnan(c.at(i, j)) == (i == m - 1));
    }
  }
}

TEST_CASE("gemm: nothing is touched where there are no rows or columns") {
  float c = 3.0F;
  kernel::gemm<float>(0, 5, 5, 1.0F, {nullptr, 5}, {nullptr, 5}, 0.0F, {&c, 5});
  kernel::gemm<float>(5, 0, 5, 1.0F, {nullptr, 5}, {nullptr, 5}, 0.0F, {&c, 5});
  CHECK(c == 3.0F);
  kernel::gemm<float>(1, 1, 0, 1.0F, {nullptr, 5}, {nullptr, 5}, 2.0F, {&c, 5});
  CHECK(c == 6.0F);
}

TEST_CASE_TEMPLATE("gemm: the same bits for every thread count", T, float, double, bfloat16) {
  using R = accumulate_t<T>;
  struct Size {
    index_t m, n, k;
  };
  for (const Size s : {Size{1, 3001, 700}, Size{3, 2050, 700}, Size{7, 1999, 513},
                       Size{130, 520, 600}, Size{600, 40, 300}}) {
    for (const Layout lb : {Layout::row_major, Layout::col_major}) {
      const Operand<T> a(s.m, s.k, Layout::row_major, 1);
      const Operand<T> b(s.k, s.n, lb, 2);
      std::vector<T> expected;
      for (const int threads : {1, 2, 3}) {
        const Threads scope(threads);
        Operand<T> c(s.m, s.n, Layout::row_major, 3);
        kernel::gemm<T>(s.m, s.n, s.k, R(1), a.in(), b.in(), R(1), c.out());
        if (threads == 1) expected = c.data;
        CHECK(std::memcmp(expected.data(), c.data.data(), sizeof(T) * expected.size()) == 0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm: the tall form gives the bits of the wide one", T, float, double,
                   bfloat16) {
  using R = accumulate_t<T>;
  using namespace kernel::detail;
  struct Size {
    index_t m, n, k;
  };
  for (const Size s : {Size{130, 4200, 40}, Size{2900, 35, 60}, Size{40, 70, 200}}) {
    const Operand<T> a(s.m, s.k, Layout::row_major, 1);
    const Operand<T> b(s.k, s.n, Layout::col_major, 2);
    Operand<T> wide(s.m, s.n, Layout::row_major, 3), tall(s.m, s.n, Layout::row_major, 3);
    gemm_wide<R, T, T, T>(s.m, s.n, s.k, R(1), a.in(), b.in(), R(1), wide.out(), n_task);
    gemm_tall<R, T, T, T>(s.m, s.n, s.k, R(1), a.in(), b.in(), R(1), tall.out(), m_task, n_task);
    CHECK(std::memcmp(wide.data.data(), tall.data.data(), sizeof(T) * wide.data.size()) == 0);
  }
}

TEST_CASE_TEMPLATE("batched_gemm equals gemm, bit for bit", T, float, double, bfloat16) {
  using R = accumulate_t<T>;
  struct Size {
    index_t batch, m, n, k;
  };
  for (const Size s : {Size{0, 3, 3, 3}, Size{1, 9, 9, 9}, Size{7, 13, 5, 33}, Size{40, 16, 33, 64},
                       Size{3, 150, 130, 300}, Size{5, 1, 64, 64}}) {
    const Operand<T> a(s.batch * s.m, s.k, Layout::row_major, 1);
    const Operand<T> b(s.k, s.n, Layout::col_major, 2);  // shared by the batch
    Operand<T> expected(s.batch * s.m, s.n, Layout::row_major, 3);
    const Operand<T> before = expected;
    for (index_t i = 0; i < s.batch; ++i) {
      kernel::gemm<T>(s.m, s.n, s.k, R(1), a.in().at(i * s.m, 0), b.in(), R(1),
                      expected.out().at(i * s.m, 0));
    }
    for (const int threads : {1, 2, 3}) {
      const Threads scope(threads);
      Operand<T> c = before;
      kernel::batched_gemm<T>(s.batch, s.m, s.n, s.k, R(1), a.in(), s.m * s.k, b.in(), 0, R(1),
                              c.out(), s.m * s.n);
      CHECK(std::memcmp(expected.data.data(), c.data.data(), sizeof(T) * c.data.size()) == 0);
    }
  }
}

TEST_CASE_TEMPLATE("packed panels and the micro-kernel, as a fused kernel uses them", R, float,
                   double) {
  constexpr index_t rows = kernel::tile_rows<R> + 1, cols = kernel::tile_cols<R> + 3, depth = 19;
  const Operand<R> a(rows, depth, Layout::spread, 1);
  const Operand<R> b(depth, cols, Layout::col_major, 2);
  std::vector<R> pa(
      static_cast<std::size_t>(kernel::packed_size<kernel::tile_rows<R>>(rows, depth)));
  std::vector<R> pb(
      static_cast<std::size_t>(kernel::packed_size<kernel::tile_cols<R>>(cols, depth)));
  kernel::pack_a(rows, depth, a.data.data(), a.row_stride, a.col_stride, pa.data());
  kernel::pack_b(cols, depth, b.data.data(), b.row_stride, b.col_stride, pb.data());
  std::vector<R> tile(static_cast<std::size_t>(kernel::tile_rows<R> * kernel::tile_cols<R>));
  for (index_t i = 0; i < rows; i += kernel::tile_rows<R>) {
    for (index_t j = 0; j < cols; j += kernel::tile_cols<R>) {
      kernel::multiply_panels(kernel::tile_rows<R>, depth, pa.data() + i * depth,
                              pb.data() + j * depth, kernel::tile_cols<R>, tile.data());
      for (index_t r = 0; r < kernel::tile_rows<R>; ++r) {
        for (index_t c = 0; c < kernel::tile_cols<R>; ++c) {
          double want = 0.0;
          if (i + r < rows && j + c < cols) {
            for (index_t k = 0; k < depth; ++k) want += a.at(i + r, k) * b.at(k, j + c);
          }
          const double got =
              static_cast<double>(tile[static_cast<std::size_t>(r * kernel::tile_cols<R> + c)]);
          CHECK(std::fabs(got - want) <= 40.0 * epsilon<R>());
        }
      }
    }
  }
}
