// Instantiations of the element-wise kernels: a run-time op code becomes a compile-time functor.
#include "elementwise.cuh"

#include <cstring>

#include "device_types.cuh"
#include "reduce.cuh"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

namespace {

namespace unary = kernels::unary;

/// f(functor, name) for every op that has a derivative kernel.
template <class F>
void with_unary(UnaryCode op, F f) {
  switch (op) {
    case UnaryCode::exp:
      return f(unary::Exp{}, "exp");
    case UnaryCode::log:
      return f(unary::Log{}, "log");
    case UnaryCode::tanh:
      return f(unary::Tanh{}, "tanh");
    case UnaryCode::sigmoid:
      return f(unary::Sigmoid{}, "sigmoid");
    case UnaryCode::relu:
      return f(unary::Relu{}, "relu");
    case UnaryCode::gelu:
      return f(unary::Gelu{}, "gelu");
    case UnaryCode::quick_gelu:
      return f(unary::QuickGelu{}, "quick_gelu");
    case UnaryCode::silu:
      return f(unary::Silu{}, "silu");
    case UnaryCode::square:
      return f(unary::Square{}, "square");
    case UnaryCode::sqrt:
      return f(unary::Sqrt{}, "sqrt");
    case UnaryCode::scale:
    case UnaryCode::neg:
      break;  // linear: forward and backward are the same kernel
  }
}

template <class T>
void scale(UnaryCode op, const T* x, T* y, index_t n, double alpha) {
  const unary::Scale factor{op == UnaryCode::neg ? -1.0 : alpha};
  kernels::unary_forward("scale", factor, raw(x), raw(y), n, stream_for(x));
}
bool is_linear(UnaryCode op) { return op == UnaryCode::scale || op == UnaryCode::neg; }

/// f(pointer type of that many bytes).
template <class F>
void with_element(int bytes, F f) {
  switch (bytes) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    case 8:
      return f(std::uint64_t{});
    default:
      throw kernels::LaunchError("[copy] expected elements of 1, 2, 4 or 8 bytes, got " +
                                 std::to_string(bytes));
  }
}

}  // namespace

template <class T>
void unary_forward(UnaryCode op, const T* x, T* y, index_t n, double alpha) {
  if (is_linear(op)) return scale(op, x, y, n, alpha);
  with_unary(op, [&](auto f, const char* name) {
    kernels::unary_forward(name, f, raw(x), raw(y), n, stream_for(x));
  });
}

template <class T>
void unary_backward(UnaryCode op, const T* saved, const T* dy, T* dx, index_t n, double alpha) {
  if (is_linear(op)) return scale(op, dy, dx, n, alpha);
  with_unary(op, [&](auto f, const char* name) {
    kernels::unary_backward(name, f, raw(saved), raw(dy), raw(dx), n, stream_for(dy));
  });
}

template <class T>
void binary(BinaryCode op, const T* a, const T* b, T* out, int rank, const index_t* sizes,
            const index_t* a_strides, const index_t* b_strides, const index_t* out_strides) {
  const auto run = [&](auto f, const char* name) {
    kernels::binary_strided(name, f, raw(a), raw(b), raw(out), rank, sizes, a_strides, b_strides,
                            out_strides, stream_for(a));
  };
  switch (op) {
    case BinaryCode::add:
      return run(kernels::binary::Add{}, "add");
    case BinaryCode::sub:
      return run(kernels::binary::Sub{}, "sub");
    case BinaryCode::mul:
      return run(kernels::binary::Mul{}, "mul");
    case BinaryCode::div:
      return run(kernels::binary::Div{}, "div");
  }
}

template <class T>
void axpy(const T* x, T* y, index_t n, double alpha) {
  kernels::axpy(raw(x), raw(y), n, alpha, stream_for(x));
}

template <class To, class From>
void cast(const From* x, To* y, index_t n) {
  kernels::cast(raw(x), raw(y), n, stream_for(x));
}

template <class T>
void sum_rows(const T* x, T* y, index_t rows, index_t columns) {
  using A = accumulate_t<T>;
  const Stream stream = stream_for(y);
  const auto elements = static_cast<std::size_t>(kernels::sum_rows_workspace(rows, columns));
  const Workspace workspace(elements * sizeof(A), stream);
  kernels::sum_rows(raw(x), raw(y), rows, columns, workspace.as<A>(), stream);
}

void fill_bytes(void* y, index_t n, const void* value, int element_bytes) {
  with_element(element_bytes, [&](auto element) {
    std::memcpy(&element, value, sizeof(element));
    kernels::fill(static_cast<decltype(element)*>(y), n, element, stream_for(y));
  });
}

void strided_copy(const void* x, void* y, int element_bytes, int rank, const index_t* sizes,
                  const index_t* x_strides, const index_t* y_strides) {
  with_element(element_bytes, [&](auto element) {
    using T = decltype(element);
    kernels::strided_copy(static_cast<const T*>(x), static_cast<T*>(y), rank, sizes, x_strides,
                          y_strides, stream_for(x));
  });
}

#define PLUME_INSTANTIATE(T)                                                                       \
  template void unary_forward<T>(UnaryCode, const T*, T*, index_t, double);                        \
  template void unary_backward<T>(UnaryCode, const T*, const T*, T*, index_t, double);             \
  template void binary<T>(BinaryCode, const T*, const T*, T*, int, const index_t*, const index_t*, \
                          const index_t*, const index_t*);                                         \
  template void axpy<T>(const T*, T*, index_t, double);                                            \
  template void sum_rows<T>(const T*, T*, index_t, index_t);                                       \
  template void cast<float, T>(const T*, float*, index_t);                                         \
  template void cast<double, T>(const T*, double*, index_t);                                       \
  template void cast<plume::bfloat16, T>(const T*, plume::bfloat16*, index_t);                     \
  template void cast<plume::half, T>(const T*, plume::half*, index_t);
PLUME_FOR_FLOATING(PLUME_INSTANTIATE)
#undef PLUME_INSTANTIATE

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
