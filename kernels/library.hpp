#pragma once
// What the parts of the library plume::cuda tell each other. Plain C++: the .cu files define the
// functions that launch kernels, runtime.cpp those about streams and memory, register.cpp hands
// them to the ops.
//  Pointers are device pointers. Everything runs on the current stream of the device that owns the
// first pointer, and outputs are overwritten unless said otherwise.

#include <cstddef>
#include <cstdint>

#include "plume/core/dtype.hpp"

// A test that builds the library for host SIMT names it differently: both may be in one program.
#ifndef PLUME_LIBRARY
#define PLUME_LIBRARY cuda_library
#endif

struct CUstream_st;  // CUDA's cudaStream_t is a pointer to it

namespace plume::gpu::detail::inline PLUME_LIBRARY {

using Stream = CUstream_st*;

// --- runtime.cpp ---------------------------------------------------------------------------------

/// The stream on which this thread's work for the device of `pointer` goes.
Stream stream_for(const void* pointer);

/// Device memory for the length of one operation, taken from and returned to the pool in stream
/// order.
class Workspace {
 public:
  Workspace(std::size_t bytes, Stream stream);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  Stream stream_ = nullptr;
};

// --- elementwise.cu ------------------------------------------------------------------------------

// The same codes as plume::UnaryOp and BinaryOp, which live with the ops; register.cpp checks that.
enum class UnaryCode : int {
  exp,
  log,
  tanh,
  sigmoid,
  relu,
  gelu,
  quick_gelu,
  silu,
  scale,
  square,
  sqrt,
  neg
};
enum class BinaryCode : int { add, sub, mul, div };

template <class T>
void unary_forward(UnaryCode op, const T* x, T* y, index_t n, double alpha);
template <class T>
void unary_backward(UnaryCode op, const T* saved, const T* dy, T* dx, index_t n, double alpha);
template <class T>
void binary(BinaryCode op, const T* a, const T* b, T* out, int rank, const index_t* sizes,
            const index_t* a_strides, const index_t* b_strides, const index_t* out_strides);
/// y[i] += alpha x[i].
template <class T>
void axpy(const T* x, T* y, index_t n, double alpha);
template <class To, class From>
void cast(const From* x, To* y, index_t n);
template <class T>
void sum_rows(const T* x, T* y, index_t rows, index_t columns);

/// Elements of 1, 2, 4 or 8 bytes, whatever they mean.
void fill_bytes(void* y, index_t n, const void* value, int element_bytes);
void strided_copy(const void* x, void* y, int element_bytes, int rank, const index_t* sizes,
                  const index_t* x_strides, const index_t* y_strides);

// --- layer_norm.cu -------------------------------------------------------------------------------

template <class T>
void layer_norm_forward(const T* x, const T* gamma, const T* beta, T* y, accumulate_t<T>* mean,
                        accumulate_t<T>* rstd, index_t N, index_t D, double eps);
template <class T>
void layer_norm_backward(const T* x, const T* gamma, const accumulate_t<T>* mean,
                         const accumulate_t<T>* rstd, const T* dy, T* dx, T* dgamma, T* dbeta,
                         index_t N, index_t D);

// --- matmul.cpp ----------------------------------------------------------------------------------

/// C[b] = alpha op(A[b]) op(B[b]) + beta C[b], row major; op(A) is (M, K), op(B) is (K, N).
struct MatmulProblem {
  index_t M = 0, N = 0, K = 0;
  bool transpose_a = false, transpose_b = false;
  index_t lda = 0, ldb = 0, ldc = 0;  // elements between rows as stored
  index_t batch = 1;
  index_t a_batch_stride = 0, b_batch_stride = 0, c_batch_stride = 0;  // 0: the same for all
  double alpha = 1, beta = 0;
};
template <class T>
void matmul(const MatmulProblem& problem, const T* a, const T* b, T* c);

/// float products may round their inputs to TF32 (10 bits of fraction). Off unless asked for.
void allow_tf32(bool allow);

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
