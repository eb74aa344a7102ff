#pragma once
// What Plume is compared with. The peers are compiled apart, with the flags that suit them; here are only
// function tables over raw pointers, row-major.

#include "plume/core/tensor.hpp"

namespace plume::bench {

/// Eigen expressions, as its manual writes them. One thread each, but for matmul.
struct EigenPeer {
  using Unary = void (*)(const float* x, float* y, index_t n);
  using Binary = void (*)(const float* a, const float* b, float* y, index_t n);
  using Rows = void (*)(const float* x, float* y, index_t rows, index_t columns);

  void (*set_threads)(int);
  Binary add, sub, mul, div;
  Unary scale_by_half, exp, log, tanh, sigmoid, relu, gelu, quick_gelu, silu;
  /// (dy, saved): saved is y for exp, tanh, sigmoid and relu, else x.
  Binary exp_backward, log_backward, tanh_backward, sigmoid_backward, relu_backward, gelu_backward,
      quick_gelu_backward, silu_backward;
  Unary sum_all, mean_all;
  Rows sum_rows, sum_columns, max_rows, softmax, log_softmax;
  void (*add_row)(const float* x, const float* b, float* y, index_t rows, index_t columns);
  void (*softmax_backward)(const float* dy, const float* y, float* dx, index_t rows,
                           index_t columns);
  void (*layer_norm)(const float* x, const float* w, const float* b, float* y, index_t rows,
                     index_t columns);
  void (*layer_norm_backward)(const float* dy, const float* x, const float* w, float* dx, float* dw,
                              float* db, index_t rows, index_t columns);
  void (*rms_norm)(const float* x, const float* w, float* y, index_t rows, index_t columns);
  /// c[m,n] = a[m,k] b[k,n]; `transposed`: b is [n,k], a weight as a linear layer keeps it.
  void (*matmul)(const float* a, const float* b, float* c, index_t m, index_t n, index_t k,
                 bool transposed);
};
/// Compiled for this machine, and for its instructions but no scheduling in particular, with which g++ 12
/// makes a far better matrix product on Zen.
const EigenPeer& eigen();
const EigenPeer& eigen_generic();

/// OpenBLAS's sgemm; null where it was not found.
using Sgemm = void (*)(const float* a, const float* b, float* c, index_t m, index_t n, index_t k,
                       bool transposed);
Sgemm openblas();

void set_peer_threads(int threads);

// A peer's function as a function of tensors, its result in pooled memory as ours.

inline auto peer(EigenPeer::Unary f) {
  return [f](const Tensor<float>& x) {
    Tensor<float> y(x.shape());
    f(x.data(), y.data(), x.numel());
    return y;
  };
}
inline auto peer(EigenPeer::Binary f) {
  return [f](const Tensor<float>& a, const Tensor<float>& b) {
    Tensor<float> y(a.shape());
    f(a.data(), b.data(), y.data(), a.numel());
    return y;
  };
}
/// A function of the rows of x, whose result has this shape (none: that of x).
inline auto peer(EigenPeer::Rows f, Dims result = {}) {
  return [f, result](const Tensor<float>& x) {
    Tensor<float> y(result.empty() ? x.shape() : Shape(result));
    f(x.data(), y.data(), x.numel() / x.size(-1), x.size(-1));
    return y;
  };
}

}  // namespace plume::bench
