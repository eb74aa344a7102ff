// Instantiations of layer_norm for every floating type.
#include "layer_norm.cuh"

#include "device_types.cuh"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

template <class T>
void layer_norm_forward(const T* x, const T* gamma, const T* beta, T* y, accumulate_t<T>* mean,
                        accumulate_t<T>* rstd, index_t N, index_t D, double eps) {
  kernels::layer_norm_forward(raw(x), raw(gamma), raw(beta), raw(y), mean, rstd, N, D, eps,
                              stream_for(x));
}

template <class T>
void layer_norm_backward(const T* x, const T* gamma, const accumulate_t<T>* mean,
                         const accumulate_t<T>* rstd, const T* dy, T* dx, T* dgamma, T* dbeta,
                         index_t N, index_t D) {
  using A = accumulate_t<T>;
  const Stream stream = stream_for(dy);
  const bool parameters = dgamma != nullptr || dbeta != nullptr;
  const index_t elements = parameters ? kernels::layer_norm_backward_workspace(N, D) : 0;
  const Workspace workspace(static_cast<std::size_t>(elements) * sizeof(A), stream);
  kernels::layer_norm_backward(raw(x), raw(gamma), mean, rstd, raw(dy), raw(dx), raw(dgamma),
                               raw(dbeta), workspace.as<A>(), N, D, stream);
}

#define PLUME_INSTANTIATE(T)                                                                  \
  template void layer_norm_forward<T>(const T*, const T*, const T*, T*, accumulate_t<T>*,     \
                                      accumulate_t<T>*, index_t, index_t, double);            \
  template void layer_norm_backward<T>(const T*, const T*, const accumulate_t<T>*,            \
                                       const accumulate_t<T>*, const T*, T*, T*, T*, index_t, \
                                       index_t);
PLUME_FOR_FLOATING(PLUME_INSTANTIATE)
#undef PLUME_INSTANTIATE

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
