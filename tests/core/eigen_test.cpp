#include "plume/core/eigen.hpp"

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

using namespace plume;

namespace {

template <class X>
concept MatrixView = requires(X x) {
  eigen_matrix(std::forward<X>(x));
};

TEST_CASE("eigen: a tensor seen as a matrix shares its numbers") {
  Tensor<float> x({2, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  auto m = eigen_matrix(x);
  REQUIRE(m.rows() == 4);
  REQUIRE(m.cols() == 3);
  CHECK(m(3, 1) == 10);
  m(3, 1) = -1;
  CHECK(x(1, 1, 1) == -1);

  const Tensor<float>& fixed = x;
  CHECK(eigen_matrix(fixed)(0, 2) == 2);
  CHECK(eigen_vector(fixed).sum() == doctest::Approx(55.0));
  eigen_vector(x).setZero();
  CHECK(x(0, 0, 1) == 0);

  const Tensor<float> empty(Shape{3, 0});
  CHECK(eigen_matrix(empty).rows() == 3);
  CHECK(eigen_matrix(empty).cols() == 0);
  static_assert(!MatrixView<Tensor<float>>, "a view of a temporary must not compile");
  static_assert(!MatrixView<const Tensor<float>>);
  static_assert(MatrixView<Tensor<float>&>);
}

TEST_CASE("eigen: what cannot be seen as a matrix is refused") {
  Tensor<float> x = zeros<float>({2, 3});
  const Tensor<float> transposed = x.permute({1, 0});
  CHECK_THROWS_AS(eigen_matrix(transposed), ShapeError);
  CHECK_THROWS_AS(eigen_vector(transposed), ShapeError);
  const Tensor<float> number = scalar(1.0F);
  CHECK_THROWS_AS(eigen_matrix(number), ShapeError);
  CHECK(eigen_vector(number).size() == 1);
}

TEST_CASE("eigen: expressions are copied to tensors, row by row") {
  Eigen::Matrix2d m;  // column-major
  m << 1, 2, 3, 4;
  const Tensor<double> x = to_tensor(2 * m);
  CHECK(x.shape() == Shape{2, 2});
  CHECK(x(0, 1) == 4);
  CHECK(x(1, 0) == 6);
  CHECK(to_tensor(m.row(1)).shape() == Shape{2});
  CHECK(to_tensor(m.row(1))(1) == 4);
  CHECK(to_tensor(m.col(1))(1) == 4);
  CHECK(to_tensor(m.transpose())(0, 1) == 3);
  static_assert(std::is_same_v<decltype(to_tensor((m.array() > 2.0).eval())), Tensor<bool>>);
  CHECK(to_tensor((m.array() > 2.0).eval())(1, 0));
  CHECK(to_tensor(Eigen::MatrixXi(0, 3)).shape() == Shape{0, 3});
}

}  // namespace
