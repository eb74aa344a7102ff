#pragma once
// Element-wise kernels: functions of one element with their derivatives, arithmetic of two with
// broadcasting, fill, cast, strided copy.
//
// Formula   y = f(x), dx = dy * f'(x); out = a (op) b over the broadcast shape.
// Bytes     forward x and y; backward saved, dy and dx; binary a, b and out (a broadcast operand
//           stays in cache). With s = sizeof(T): 2 s, 3 s and 3 s per element.
// Flops     1 for arithmetic, about 20 for exp, tanh and erf in float: all are bound by memory.
//
// A derivative is written in whichever of x or y makes it cheapest; `saves_output` says which one
// the backward kernel is given. Arithmetic is in float for the 16-bit types, rounded once on
// storing.

#include "map.cuh"

namespace plume::kernels::inline PLUME_WORLD {

// --- Functions of one element --------------------------------------------------------------------

namespace unary {

using std::erf;
using std::exp;
using std::log;
using std::sqrt;
using std::tanh;

template <class A>
__device__ __forceinline__ A logistic(A x) {
  return A(1) / (A(1) + exp(-x));
}

struct Exp {
  static constexpr bool saves_output = true;
  template <class A>
  __device__ A forward(A x) const {
    return exp(x);
  }
  template <class A>
  __device__ A backward(A dy, A y) const {
    return dy * y;
  }
};

struct Log {
  static constexpr bool saves_output = false;
  template <class A>
  __device__ A forward(A x) const {
    return log(x);
  }
  template <class A>
  __device__ A backward(A dy, A x) const {
    return dy / x;
  }
};

struct Tanh {
  static constexpr bool saves_output = true;
  template <class A>
  __device__ A forward(A x) const {
    return tanh(x);
  }
  template <class A>
  __device__ A backward(A dy, A y) const {
    return dy * (A(1) - y * y);
  }
};

struct Sigmoid {
  static constexpr bool saves_output = true;
  template <class A>
  __device__ A forward(A x) const {
    return logistic(x);
  }
  template <class A>
  __device__ A backward(A dy, A y) const {
    return dy * y * (A(1) - y);
  }
};

/// max(x, 0), NaN staying NaN. The derivative at 0 is 0.
struct Relu {
  static constexpr bool saves_output = true;
  template <class A>
  __device__ A forward(A x) const {
    return x < A(0) ? A(0) : x;
  }
  template <class A>
  __device__ A backward(A dy, A y) const {
    return y > A(0) ? dy : A(0);
  }
};

/// x Phi(x), Phi the normal distribution function: the exact form, with erf.
struct Gelu {
  static constexpr bool saves_output = false;
  template <class A>
  __device__ static A phi(A x) {
    return A(0.5) * (A(1) + erf(x * A(0.70710678118654752440)));
  }
  template <class A>
  __device__ A forward(A x) const {
    return x * phi(x);
  }
  template <class A>
  __device__ A backward(A dy, A x) const {
    const A density = A(0.39894228040143267794) * exp(A(-0.5) * x * x);
    return dy * (phi(x) + x * density);
  }
};

/// x sigmoid(1.702 x), as the CLIP encoders have it.
struct QuickGelu {
  static constexpr bool saves_output = false;
  template <class A>
  __device__ A forward(A x) const {
    return x * logistic(A(1.702) * x);
  }
  template <class A>
  __device__ A backward(A dy, A x) const {
    const A s = logistic(A(1.702) * x);
    return dy * (s + A(1.702) * x * s * (A(1) - s));
  }
};

/// x sigmoid(x).
struct Silu {
  static constexpr bool saves_output = false;
  template <class A>
  __device__ A forward(A x) const {
    return x * logistic(x);
  }
  template <class A>
  __device__ A backward(A dy, A x) const {
    const A s = logistic(x);
    return dy * (s + x * s * (A(1) - s));
  }
};

struct Square {
  static constexpr bool saves_output = false;
  template <class A>
  __device__ A forward(A x) const {
    return x * x;
  }
  template <class A>
  __device__ A backward(A dy, A x) const {
    return dy * (x + x);
  }
};

struct Sqrt {
  static constexpr bool saves_output = true;
  template <class A>
  __device__ A forward(A x) const {
    return sqrt(x);
  }
  template <class A>
  __device__ A backward(A dy, A y) const {
    return dy / (y + y);
  }
};

/// alpha x.
struct Scale {
  double alpha;
  template <class A>
  __device__ A forward(A x) const {
    return static_cast<A>(alpha) * x;
  }
};

}  // namespace unary

namespace detail {

template <class Op, class T>
struct Forward {
  Op op;
  __device__ __forceinline__ T operator()(T x) const { return narrow<T>(op.forward(widen(x))); }
};
template <class Op, class T>
struct Backward {
  Op op;
  __device__ __forceinline__ T operator()(T saved, T dy) const {
    return narrow<T>(op.backward(widen(dy), widen(saved)));
  }
};

}  // namespace detail

/// y[i] = op(x[i]), n contiguous elements.
template <class Op, class T>
void unary_forward(const char* name, Op op, const T* x, T* y, index_t n, cudaStream_t stream) {
  map(name, detail::Forward<Op, T>{op}, y, n, stream, x);
}

/// dx[i] = dy[i] op'(x[i]); `saved` is y if Op::saves_output, else x.
template <class Op, class T>
void unary_backward(const char* name, Op op, const T* saved, const T* dy, T* dx, index_t n,
                    cudaStream_t stream) {
  map(name, detail::Backward<Op, T>{op}, dx, n, stream, saved, dy);
}

// --- Arithmetic of two elements ------------------------------------------------------------------

namespace binary {

struct Add {
  template <class A>
  __device__ A operator()(A a, A b) const {
    return a + b;
  }
};
struct Sub {
  template <class A>
  __device__ A operator()(A a, A b) const {
    return a - b;
  }
};
struct Mul {
  template <class A>
  __device__ A operator()(A a, A b) const {
    return a * b;
  }
};
struct Div {
  template <class A>
  __device__ A operator()(A a, A b) const {
    return a / b;
  }
};

}  // namespace binary

namespace detail {

template <class Op, class T>
struct Binary {
  Op op;
  __device__ __forceinline__ T operator()(T a, T b) const {
    return narrow<T>(op(widen(a), widen(b)));
  }
};
struct Copy {
  template <class T>
  __device__ __forceinline__ T operator()(T x) const {
    return x;
  }
};
template <class T>
struct Axpy {
  accumulate_t<T> alpha;
  __device__ __forceinline__ T operator()(T x, T y) const {
    return narrow<T>(widen(y) + alpha * widen(x));
  }
};
template <class To, class From>
struct Cast {
  __device__ __forceinline__ To operator()(From x) const { return narrow<To>(widen(x)); }
};
template <class T>
struct Constant {
  T value;
  __device__ __forceinline__ T operator()() const { return value; }
};

}  // namespace detail

/// out = a (op) b over `sizes` (row major, rank <= 8), strides in elements, 0 where an operand is
/// broadcast.
template <class Op, class T>
void binary_strided(const char* name, Op op, const T* a, const T* b, T* out, int rank,
                    const index_t* sizes, const index_t* a_strides, const index_t* b_strides,
                    const index_t* out_strides, cudaStream_t stream) {
  const Layout<3> layout(rank, sizes, {out_strides, a_strides, b_strides});
  map_strided(name, detail::Binary<Op, T>{op}, layout, out, stream, a, b);
}

// --- Moving elements -----------------------------------------------------------------------------

/// y = x over `sizes`, both strided: a permuted, sliced or broadcast copy. T is any trivially
/// copyable type of 1, 2, 4 or 8 bytes; only its size matters.
template <class T>
void strided_copy(const T* x, T* y, int rank, const index_t* sizes, const index_t* x_strides,
                  const index_t* y_strides, cudaStream_t stream) {
  const Layout<2> layout(rank, sizes, {y_strides, x_strides});
  map_strided("strided_copy", detail::Copy{}, layout, y, stream, x);
}

/// y[i] += alpha x[i].
template <class T>
void axpy(const T* x, T* y, index_t n, double alpha, cudaStream_t stream) {
  map("axpy", detail::Axpy<T>{static_cast<accumulate_t<T>>(alpha)}, y, n, stream, x,
      static_cast<const T*>(y));
}

/// y[i] = (To)x[i], rounded to nearest even; double to a 16-bit type goes through float.
template <class To, class From>
void cast(const From* x, To* y, index_t n, cudaStream_t stream) {
  map("cast", detail::Cast<To, From>{}, y, n, stream, x);
}

/// y[i] = value.
template <class T>
void fill(T* y, index_t n, T value, cudaStream_t stream) {
  map("fill", detail::Constant<T>{value}, y, n, stream);
}

}  // namespace plume::kernels::inline PLUME_WORLD
