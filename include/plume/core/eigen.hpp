#pragma once
// Eigen and Tensor: a contiguous CPU tensor seen as an Eigen matrix or vector, and Eigen copied to a Tensor.
//
//   eigen_matrix(x)   x [.., D] as (numel / D, D), row-major      eigen_vector(x)   x as (numel)
//
// Views copy nothing and own nothing: the tensor must outlive them, so a temporary is refused. No other
// header of Plume includes Eigen, and no op computes with it (docs/design_notes.md says why).

#include <Eigen/Core>

#include "plume/core/tensor.hpp"

namespace plume {

/// The scalars that Eigen and Plume share.
template <class T>
concept EigenScalar = Scalar<T> && std::is_arithmetic_v<T>;

template <EigenScalar T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <EigenScalar T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

namespace detail {
template <Scalar T>
void check_for_eigen(std::string_view op, const Tensor<T>& x) {
  if (!x.device().is_cpu()) fail<DeviceError>(op, "a tensor on the CPU", x.device());
  if (!x.is_contiguous()) {
    fail<ShapeError>(op, "a contiguous tensor (call contiguous() first)",
                     cat("shape ", x.shape(), " with strides ", x.strides()));
  }
}
inline index_t eigen_columns(const Shape& shape) {
  if (shape.rank() < 1) fail<ShapeError>("eigen_matrix", "a tensor of rank >= 1", shape);
  return shape.back();
}
inline index_t eigen_rows(const Shape& shape) {
  index_t rows = 1;
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  return rows;
}
}  // namespace detail

template <EigenScalar T>
Eigen::Map<const EigenMatrix<T>> eigen_matrix(const Tensor<T>& x) {
  detail::check_for_eigen("eigen_matrix", x);
  const index_t columns = detail::eigen_columns(x.shape());
  return {x.data(), detail::eigen_rows(x.shape()), columns};
}
template <EigenScalar T>
Eigen::Map<EigenMatrix<T>> eigen_matrix(Tensor<T>& x) {
  detail::check_for_eigen("eigen_matrix", x);
  const index_t columns = detail::eigen_columns(x.shape());
  return {x.data(), detail::eigen_rows(x.shape()), columns};
}
template <EigenScalar T>
void eigen_matrix(const Tensor<T>&& temporary) = delete;  // name the tensor first

template <EigenScalar T>
Eigen::Map<const EigenVector<T>> eigen_vector(const Tensor<T>& x) {
  detail::check_for_eigen("eigen_vector", x);
  return {x.data(), x.numel()};
}
template <EigenScalar T>
Eigen::Map<EigenVector<T>> eigen_vector(Tensor<T>& x) {
  detail::check_for_eigen("eigen_vector", x);
  return {x.data(), x.numel()};
}
template <EigenScalar T>
void eigen_vector(const Tensor<T>&& temporary) = delete;  // name the tensor first

/// A copy of any dense Eigen expression: [n] of a compile-time vector, else [rows, columns].
template <class Derived>
auto to_tensor(const Eigen::DenseBase<Derived>& expression) {
  using T = typename Derived::Scalar;
  static_assert(EigenScalar<T>, "the scalar of this Eigen expression is not one of Plume's");
  if constexpr (Derived::IsVectorAtCompileTime) {
    Tensor<T> out(Shape{expression.size()});
    Eigen::Map<Eigen::Array<T, Derived::RowsAtCompileTime, Derived::ColsAtCompileTime,
                            Derived::RowsAtCompileTime == 1 ? Eigen::RowMajor : Eigen::ColMajor>>(
        out.data(), expression.rows(), expression.cols()) = expression.derived().array();
    return out;
  } else {
    Tensor<T> out(Shape{expression.rows(), expression.cols()});
    eigen_matrix(out).array() = expression.derived().array();
    return out;
  }
}

}  // namespace plume
