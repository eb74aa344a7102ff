#pragma once
// map: y[i] = f(a[i], b[i], ...), the loop behind every element-wise op.
//
// Operands broadcast to one shape; f computes in accumulate_t<T>. Contiguous operands take a vectorised
// loop, and so does a row against one repeated number (the common broadcast). The compiler makes it of f for
// one number, or f is written for a Vector<float> as well (`[](auto v)`, see math.hpp), which is faster
// where there is much to compute: map<OnVectors::yes>.

#include "plume/core/streaming.hpp"
#include "plume/core/tensor.hpp"
#include "plume/ops/cpu/math.hpp"

namespace plume {

/// Which function a device kernel of the element-wise family applies.
enum class UnaryOp : int {
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
enum class BinaryOp : int { add, sub, mul, div };

/// y[i] = f(x[i]), n contiguous elements; alpha is used by scale alone.
template <class T>
inline DeviceKernel<void(UnaryOp op, const T* x, T* y, index_t n, double alpha)> unary_forward_cuda{
    "unary_forward"};
/// dx[i] = dy[i] * f'. `saved` is y for exp, tanh, sigmoid, relu and sqrt, x for the others, unused for scale and neg.
template <class T>
inline DeviceKernel<void(UnaryOp op, const T* saved, const T* dy, T* dx, index_t n, double alpha)>
    unary_backward_cuda{"unary_backward"};
/// out = a op b over `sizes`; strides in elements, 0 where broadcast.
template <class T>
inline DeviceKernel<void(BinaryOp op, const T* a, const T* b, T* out, int rank,
                         const index_t* sizes, const index_t* a_strides, const index_t* b_strides,
                         const index_t* out_strides)>
    binary_cuda{"binary"};

namespace detail {

template <Scalar T>
void require_defined(std::string_view op, const Tensor<T>& x) {
  if (!x.defined()) fail<ValueError>(op, "a tensor", "an undefined one");
}
/// For ops without a device path.
template <Scalar T>
void require_cpu(std::string_view op, const Tensor<T>& x) {
  require_defined(op, x);
  if (!x.device().is_cpu()) {
    fail<DeviceError>(op, "tensors on the CPU (this op has no device kernel)", x.device());
  }
}

}  // namespace detail

/// Whether f takes a Vector<float> as well as one number.
enum class OnVectors : bool { no, yes };

namespace detail {

/// y[i] = f(x[i], ...), i < n. Flattened: f becomes part of the loop whatever its size; a call in it would keep it
/// scalar.
template <OnVectors on_vectors, class T, class F, class... X>
[[gnu::flatten]] void map_row(F f, T* y, index_t n, const X*... x) {
  using A = accumulate_t<T>;
  if constexpr (on_vectors == OnVectors::yes && std::is_same_v<T, float>) {
    constexpr index_t step = kernel::vector_size<float>;
    index_t i = 0;
    for (; i + step <= n; i += step) kernel::store(y + i, f(kernel::load(x + i)...));
    if (i == n) return;
    const auto part = [bytes = static_cast<std::size_t>(n - i) * sizeof(T)](const T* from) {
      kernel::Vector<float> v{};
      std::memcpy(&v, from, bytes);
      return v;
    };
    const kernel::Vector<float> last = f(part(x + i)...);
    std::memcpy(y + i, &last, static_cast<std::size_t>(n - i) * sizeof(T));
  } else {
    PLUME_SIMD
    for (index_t i = 0; i < n; ++i) y[i] = static_cast<T>(f(static_cast<A>(x[i])...));
  }
}

}  // namespace detail

/// y[i] = f(x[i]) on the CPU. cost: nanoseconds per element, roughly.
template <OnVectors on_vectors = OnVectors::no, Floating T, class F>
Tensor<T> map(std::string_view op, const Tensor<T>& x, F f, index_t cost = 1) {
  detail::require_cpu(op, x);
  using A = accumulate_t<T>;
  Tensor<T> y(x.shape());
  T* const py = y.data();
  const T* const px = x.data();
  const bool streaming = kernel::streams<T>(y.numel());
  strided_loop<2>(x.shape(), {y.strides(), x.strides()}, cost,
                  [=](index_t n, const auto& offset, const auto& step) {
                    T* out = py + offset[0];
                    const T* in = px + offset[1];
                    const index_t s = step[1];
                    if (s == 1) {
                      kernel::write_elements(
                          out, n, streaming,
                          [&](T* to, index_t begin, index_t end) {
                            detail::map_row<on_vectors>(f, to, end - begin, in + begin);
                          },
                          in);
                      return;
                    }
                    for (index_t i = 0; i < n; ++i)
                      out[i] = static_cast<T>(f(static_cast<A>(in[i * s])));
                  });
  return y;
}

/// y[i] = f(a[i], b[i]) with broadcasting, on the CPU.
template <OnVectors on_vectors = OnVectors::no, Floating T, class F>
Tensor<T> map(std::string_view op, const Tensor<T>& a, const Tensor<T>& b, F f, index_t cost = 1) {
  detail::require_cpu(op, a);
  detail::require_defined(op, b);
  a.require_same_device(op, b);
  using A = accumulate_t<T>;
  const Shape shape = broadcast_shapes(op, a.shape(), b.shape());
  Tensor<T> y(shape);
  T* const py = y.data();
  const T* const pa = a.data();
  const T* const pb = b.data();
  const bool streaming = kernel::streams<T>(y.numel());
  strided_loop<3>(
      shape,
      {y.strides(), broadcast_strides(a.shape(), a.strides(), shape),
       broadcast_strides(b.shape(), b.strides(), shape)},
      cost, [=](index_t n, const auto& offset, const auto& step) {
        T* out = py + offset[0];
        const T* u = pa + offset[1];
        const T* v = pb + offset[2];
        const index_t su = step[1], sv = step[2];
        if (su == 1 && sv == 1) {
          kernel::write_elements(
              out, n, streaming,
              [&](T* to, index_t begin, index_t end) {
                detail::map_row<on_vectors>(f, to, end - begin, u + begin, v + begin);
              },
              u, v);
        } else if (su == 1 && sv == 0) {
          const auto with_constant = [f, c = static_cast<A>(*v)](auto x) { return f(x, c); };
          kernel::write_elements(
              out, n, streaming,
              [&](T* to, index_t begin, index_t end) {
                detail::map_row<on_vectors>(with_constant, to, end - begin, u + begin);
              },
              u);
        } else {
          for (index_t i = 0; i < n; ++i) {
            out[i] = static_cast<T>(f(static_cast<A>(u[i * su]), static_cast<A>(v[i * sv])));
          }
        }
      });
  return y;
}

namespace detail {

/// One element-wise function of the device family, or `f` on the CPU, for a number or a vector.
template <Floating T, class F>
Tensor<T> unary(std::string_view op, UnaryOp kind, const Tensor<T>& x, F f, index_t cost = 1,
                double alpha = 1) {
  if (x.device().is_cpu()) return map<OnVectors::yes>(op, x, f, cost);
  require_defined(op, x);
  Tensor<T> y(x.shape(), x.device());
  unary_forward_cuda<T>(kind, x.contiguous().data(), y.data(), x.numel(), alpha);
  return y;
}

/// dx from dy and the saved value; f(dy, saved) on the CPU.
template <Floating T, class F>
Tensor<T> unary_backward(std::string_view op, UnaryOp kind, const Tensor<T>& dy,
                         const Tensor<T>& saved, F f, index_t cost = 1) {
  require_defined(op, dy);
  require_defined(op, saved);
  if (!(dy.shape() == saved.shape())) {
    fail<ShapeError>(op, cat("a gradient of shape ", saved.shape()), dy.shape());
  }
  if (dy.device().is_cpu()) return map<OnVectors::yes>(op, dy, saved, f, cost);
  Tensor<T> dx(dy.shape(), dy.device());
  unary_backward_cuda<T>(kind, saved.contiguous().data(), dy.contiguous().data(), dx.data(),
                         dy.numel(), 1.0);
  return dx;
}

template <Floating T, class F>
Tensor<T> binary(std::string_view op, BinaryOp kind, const Tensor<T>& a, const Tensor<T>& b, F f) {
  if (a.device().is_cpu()) return map<OnVectors::yes>(op, a, b, f);
  require_defined(op, b);
  a.require_same_device(op, b);
  const Shape shape = broadcast_shapes(op, a.shape(), b.shape());
  Tensor<T> y(shape, a.device());
  const Strides sa = broadcast_strides(a.shape(), a.strides(), shape);
  const Strides sb = broadcast_strides(b.shape(), b.strides(), shape);
  binary_cuda<T>(kind, a.data(), b.data(), y.data(), shape.rank(), shape.begin(), sa.begin(),
                 sb.begin(), y.strides().begin());
  return y;
}

}  // namespace detail

}  // namespace plume
