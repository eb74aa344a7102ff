#pragma once
// register_kernels(): the list of all ops that have a device path, as slots of the ops' headers and
// the functions of library.hpp that fill them. Plain C++; the tests use it with the host SIMT
// library.

#include "launch_log.hpp"
#include "library.hpp"
#include "plume/cuda/runtime.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/product.hpp"
#include "plume/ops/reduce.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

/// Kernels know nothing of Plume's exceptions: here theirs become ours.
template <class F>
void translate(F f) {
  try {
    f();
  } catch (const kernels::LaunchError& error) {
    throw Error(error.what());
  }
}

inline UnaryCode code(UnaryOp op) {
  static_assert(static_cast<int>(UnaryOp::exp) == static_cast<int>(UnaryCode::exp) &&
                static_cast<int>(UnaryOp::gelu) == static_cast<int>(UnaryCode::gelu) &&
                static_cast<int>(UnaryOp::scale) == static_cast<int>(UnaryCode::scale) &&
                static_cast<int>(UnaryOp::neg) == static_cast<int>(UnaryCode::neg));
  return static_cast<UnaryCode>(op);
}
inline BinaryCode code(BinaryOp op) {
  static_assert(static_cast<int>(BinaryOp::add) == static_cast<int>(BinaryCode::add) &&
                static_cast<int>(BinaryOp::div) == static_cast<int>(BinaryCode::div));
  return static_cast<BinaryCode>(op);
}

template <class To, class From>
void register_cast() {
  cast_cuda<To, From>.set(
      [](const From* x, To* y, index_t n) { translate([=] { cast(x, y, n); }); });
}

template <class T>
void register_fill() {
  fill_cuda<T>.set([](T* y, index_t n, T value) {
    translate([=] { fill_bytes(y, n, &value, static_cast<int>(sizeof(T))); });
  });
}

template <class T>
void register_floating() {
  using A = accumulate_t<T>;
  unary_forward_cuda<T>.set([](UnaryOp op, const T* x, T* y, index_t n, double alpha) {
    translate([=] { unary_forward(code(op), x, y, n, alpha); });
  });
  unary_backward_cuda<T>.set(
      [](UnaryOp op, const T* saved, const T* dy, T* dx, index_t n, double alpha) {
        translate([=] { unary_backward(code(op), saved, dy, dx, n, alpha); });
      });
  binary_cuda<T>.set([](BinaryOp op, const T* a, const T* b, T* out, int rank, const index_t* sizes,
                        const index_t* a_strides, const index_t* b_strides,
                        const index_t* out_strides) {
    translate([=] { binary(code(op), a, b, out, rank, sizes, a_strides, b_strides, out_strides); });
  });
  axpy_cuda<T>.set(
      [](const T* x, T* y, index_t n, double alpha) { translate([=] { axpy(x, y, n, alpha); }); });
  sum_rows_cuda<T>.set([](const T* x, T* y, index_t rows, index_t columns) {
    translate([=] { sum_rows(x, y, rows, columns); });
  });
  layer_norm_forward_cuda<T>.set([](const T* x, const T* w, const T* b, T* y, A* mean, A* rstd,
                                    index_t N, index_t D, double eps) {
    translate([=] { layer_norm_forward(x, w, b, y, mean, rstd, N, D, eps); });
  });
  layer_norm_backward_cuda<T>.set([](const T* x, const T* w, const A* mean, const A* rstd,
                                     const T* dy, T* dx, T* dw, T* db, index_t N, index_t D) {
    translate([=] { layer_norm_backward(x, w, mean, rstd, dy, dx, dw, db, N, D); });
  });
  matmul_cuda<T>.set([](const T* a, const T* b, T* c, index_t M, index_t N, index_t K,
                        bool transpose_a, bool transpose_b, index_t lda, index_t ldb, index_t ldc,
                        index_t batch, index_t a_batch_stride, index_t b_batch_stride,
                        index_t c_batch_stride, double alpha, double beta) {
    const MatmulProblem problem{M,     N,   K,     transpose_a,    transpose_b,    lda,
                                ldb,   ldc, batch, a_batch_stride, b_batch_stride, c_batch_stride,
                                alpha, beta};
    translate([&] { matmul(problem, a, b, c); });
  });
  register_fill<T>();
}

template <class T>
void register_casts_to() {
  register_cast<T, float>();
  register_cast<T, double>();
  register_cast<T, bfloat16>();
  register_cast<T, half>();
}

inline void register_kernels() {
  strided_copy_cuda.set([](const void* x, void* y, int element_bytes, int rank,
                           const index_t* sizes, const index_t* x_strides,
                           const index_t* y_strides) {
    translate([=] { strided_copy(x, y, element_bytes, rank, sizes, x_strides, y_strides); });
  });
  register_floating<float>();
  register_floating<double>();
  register_floating<bfloat16>();
  register_floating<half>();
  register_casts_to<float>();
  register_casts_to<double>();
  register_casts_to<bfloat16>();
  register_casts_to<half>();
  register_fill<std::int32_t>();
  register_fill<std::int64_t>();
  register_fill<std::uint8_t>();
  register_fill<bool>();
}

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
