#pragma once
// Layer normalisation over the last dimension, forward and backward (Ba, Kiros, Hinton, arXiv
// 1607.06450).
//
// Formula   x, y (N, D); gamma, beta (D); mean, rstd (N)
//   forward    mean = sum x / D,  var = sum (x - mean)^2 / D,  rstd = 1 / sqrt(var + eps)
//              y = xhat gamma + beta,  xhat = (x - mean) rstd
//   backward   g = dy gamma,  dx = rstd (g - mean_D(g) - xhat mean_D(g xhat))
//              dgamma = sum_N dy xhat,  dbeta = sum_N dy
// Bytes     s = sizeof(T): forward 2 s N D (x, y), backward 3 s N D (x, dy, dx); all else is
//           smaller.
// Flops     about 8 and 16 per element: bound by memory.
//
// One warp owns a row of up to 1024 elements, one block of 256 threads a longer one. Up to D =
// 4096 the row stays in registers, so the exact two-pass variance reads memory once; longer rows
// are read again from cache. dgamma and dbeta are summed while the rows pass: each block keeps the
// sums of its rows in registers and leaves one partial row, and sum_rows adds the partial rows. The
// number of blocks does not depend on the GPU and no order is left open, so gradients repeat bit
// for bit. Frozen gamma and beta cost nothing: give null for dgamma and dbeta and only dx is
// computed.

#include "reduce.cuh"

namespace plume::kernels::inline PLUME_WORLD {

inline constexpr int layer_norm_threads = 256;
inline constexpr int layer_norm_warps = layer_norm_threads / 32;
inline constexpr index_t layer_norm_max_partials = 256;

namespace detail {

/// A row of D elements spread over kThreads threads in vectors of V: thread t holds columns (t + c
/// kThreads) V + v for c = 0, 1, ... With C > 0 up to C vectors stay in registers; C = 0 reads
/// memory each time.
template <class T, int V, int C, int kThreads>
struct Row {
  const T* data;
  Vec<T, V> cache[C > 0 ? C : 1];

  __device__ __forceinline__ Row(const T* p, index_t D, int t) : data(p) {
    if constexpr (C > 0) {
      PLUME_UNROLL
      for (int c = 0; c < C; ++c) {
        const index_t column = static_cast<index_t>(t + c * kThreads) * V;
        if (column < D) cache[c] = load<V>(data + column);
      }
    }
  }
  __device__ __forceinline__ Vec<T, V> at(int c, index_t column) const {
    if constexpr (C > 0) {
      return cache[c];
    } else {
      return load<V>(data + column);
    }
  }
};

/// Calls f(c, column) for every vector of the row that thread t holds.
template <int V, int C, int kThreads, class F>
__device__ __forceinline__ void for_columns(index_t D, int t, F f) {
  if constexpr (C > 0) {
    PLUME_UNROLL
    for (int c = 0; c < C; ++c) {
      const index_t column = static_cast<index_t>(t + c * kThreads) * V;
      if (column < D) f(c, column);
    }
  } else {
    for (index_t column = static_cast<index_t>(t) * V; column < D; column += kThreads * V)
      f(0, column);
  }
}

/// Sum over the threads of one row: a warp, or the whole block with the help of `scratch`.
template <int kWarps, class A>
__device__ __forceinline__ A row_sum(A x, A* scratch) {
  if constexpr (kWarps == 1) {
    return warp_sum(x);
  } else {
    return block_sum<kWarps>(x, scratch);
  }
}

/// V parameters from `column` on, widened; all `absent` if there are none.
template <int V, class A, class P>
__device__ __forceinline__ Vec<A, V> load_parameters(const P* p, index_t column, A absent) {
  Vec<A, V> out;
  if (p == nullptr) {
    PLUME_UNROLL
    for (int v = 0; v < V; ++v) out.at[v] = absent;
    return out;
  }
  const Vec<P, V> raw = load<V>(p + column);
  PLUME_UNROLL
  for (int v = 0; v < V; ++v) out.at[v] = widen(raw.at[v]);
  return out;
}

}  // namespace detail

// --- Forward -------------------------------------------------------------------------------------

/// kWarps = 1: eight rows a block, one per warp. kWarps = 8: one row a block.
template <class T, class P, int V, int C, int kWarps>
__global__ void __launch_bounds__(layer_norm_threads)
    layer_norm_forward_kernel(const T* __restrict__ x, const P* __restrict__ gamma,
                              const P* __restrict__ beta, T* __restrict__ y,
                              accumulate_t<T>* __restrict__ mean,
                              accumulate_t<T>* __restrict__ rstd, index_t N, index_t D,
                              accumulate_t<T> eps) {
  using A = accumulate_t<T>;
  constexpr int kThreads = 32 * kWarps;
  PLUME_SHARED(A, scratch, layer_norm_warps);
  const int t = static_cast<int>(threadIdx.x) % kThreads;
  const index_t row =
      static_cast<index_t>(blockIdx.x) * (layer_norm_threads / kThreads) + threadIdx.x / kThreads;
  if (row >= N) return;  // a whole warp, or never

  const detail::Row<T, V, C, kThreads> in(x + row * D, D, t);
  A sum = 0;
  detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
    const auto v = in.at(c, column);
    PLUME_UNROLL
    for (int i = 0; i < V; ++i) sum += widen(v.at[i]);
  });
  const A mu = detail::row_sum<kWarps>(sum, scratch) / static_cast<A>(D);

  A squares = 0;
  detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
    const auto v = in.at(c, column);
    PLUME_UNROLL
    for (int i = 0; i < V; ++i) {
      const A centred = widen(v.at[i]) - mu;
      squares += centred * centred;
    }
  });
  const A variance = detail::row_sum<kWarps>(squares, scratch) / static_cast<A>(D);
  const A r = A(1) / std::sqrt(variance + eps);
  if (t == 0 && mean != nullptr) mean[row] = mu;
  if (t == 0 && rstd != nullptr) rstd[row] = r;

  detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
    const auto v = in.at(c, column);
    const auto weight = detail::load_parameters<V>(gamma, column, A(1));
    const auto bias = detail::load_parameters<V>(beta, column, A(0));
    Vec<T, V> out;
    PLUME_UNROLL
    for (int i = 0; i < V; ++i)
      out.at[i] = narrow<T>((widen(v.at[i]) - mu) * r * weight.at[i] + bias.at[i]);
    store(y + row * D + column, out);
  });
}

// --- Backward ------------------------------------------------------------------------------------

/// The sums of dy xhat and dy over the rows that a thread has seen, for the columns that it holds.
/// With C = 0 they do not fit in registers and live in the block's own partial rows.
template <class A, int V, int C>
struct ParameterSums {
  Vec<A, V> gamma[C > 0 ? C : 1];
  Vec<A, V> beta[C > 0 ? C : 1];
};

/// Rows blockIdx.x, blockIdx.x + gridDim.x, ... (in units of 8 for kWarps = 1). With kParameters,
/// `partials` (2, gridDim.x, D) receives each block's share of dgamma and of dbeta. dx may be null.
template <class T, class P, int V, int C, int kWarps, bool kParameters>
__global__ void __launch_bounds__(layer_norm_threads)
    layer_norm_backward_kernel(const T* __restrict__ x, const P* __restrict__ gamma,
                               const accumulate_t<T>* __restrict__ mean,
                               const accumulate_t<T>* __restrict__ rstd, const T* __restrict__ dy,
                               T* __restrict__ dx, accumulate_t<T>* __restrict__ partials,
                               index_t N, index_t D) {
  using A = accumulate_t<T>;
  constexpr int kThreads = 32 * kWarps;
  constexpr int kRows = layer_norm_threads / kThreads;
  PLUME_SHARED(A, scratch, layer_norm_warps);
  const int t = static_cast<int>(threadIdx.x) % kThreads;
  const index_t first = static_cast<index_t>(blockIdx.x) * kRows + threadIdx.x / kThreads;
  const index_t step = static_cast<index_t>(gridDim.x) * kRows;
  A* const dgamma = kParameters ? partials + static_cast<index_t>(blockIdx.x) * D : nullptr;
  A* const dbeta = kParameters ? dgamma + static_cast<index_t>(gridDim.x) * D : nullptr;
  ParameterSums<A, V, C> sums;
  if constexpr (kParameters && C > 0) sums = {};

  for (index_t row = first; row < N; row += step) {
    const detail::Row<T, V, C, kThreads> in(x + row * D, D, t);
    const detail::Row<T, V, C, kThreads> grad(dy + row * D, D, t);
    const A mu = mean[row];
    const A r = rstd[row];
    A sum_g = 0;
    A sum_gx = 0;
    detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
      const auto v = in.at(c, column);
      const auto d = grad.at(c, column);
      const auto weight = detail::load_parameters<V>(gamma, column, A(1));
      Vec<A, V> now_gamma, now_beta;
      PLUME_UNROLL
      for (int i = 0; i < V; ++i) {
        const A xhat = (widen(v.at[i]) - mu) * r;
        const A g = widen(d.at[i]) * weight.at[i];
        sum_g += g;
        sum_gx += g * xhat;
        now_gamma.at[i] = widen(d.at[i]) * xhat;
        now_beta.at[i] = widen(d.at[i]);
      }
      if constexpr (kParameters && C > 0) {
        PLUME_UNROLL
        for (int i = 0; i < V; ++i) {
          sums.gamma[c].at[i] += now_gamma.at[i];
          sums.beta[c].at[i] += now_beta.at[i];
        }
      } else if constexpr (kParameters) {
        if (row != first) {
          const auto old_gamma = load<V>(dgamma + column);
          const auto old_beta = load<V>(dbeta + column);
          PLUME_UNROLL
          for (int i = 0; i < V; ++i) {
            now_gamma.at[i] += old_gamma.at[i];
            now_beta.at[i] += old_beta.at[i];
          }
        }
        store(dgamma + column, now_gamma);
        store(dbeta + column, now_beta);
      }
    });
    if (dx == nullptr) continue;  // the same for every thread
    const A mean_g = detail::row_sum<kWarps>(sum_g, scratch) / static_cast<A>(D);
    const A mean_gx = detail::row_sum<kWarps>(sum_gx, scratch) / static_cast<A>(D);
    detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
      const auto v = in.at(c, column);
      const auto d = grad.at(c, column);
      const auto weight = detail::load_parameters<V>(gamma, column, A(1));
      Vec<T, V> out;
      PLUME_UNROLL
      for (int i = 0; i < V; ++i) {
        const A xhat = (widen(v.at[i]) - mu) * r;
        out.at[i] = narrow<T>(r * (widen(d.at[i]) * weight.at[i] - mean_g - xhat * mean_gx));
      }
      store(dx + row * D + column, out);
    });
  }

  if constexpr (kParameters && C > 0 && kWarps > 1) {  // each column has one thread
    detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
      store(dgamma + column, sums.gamma[c]);
      store(dbeta + column, sums.beta[c]);
    });
  }
  if constexpr (kParameters &&
                kWarps == 1) {  // each column has one lane in every warp: add in warp order
    static_assert(C > 0, "a warp keeps its row in registers");
    PLUME_DYNAMIC_SHARED(A, total);  // (2, D)
    for (unsigned warp = 0; warp < layer_norm_warps; ++warp) {
      if (threadIdx.x / 32 == warp) {
        detail::for_columns<V, C, kThreads>(D, t, [&](int c, index_t column) {
          PLUME_UNROLL
          for (int i = 0; i < V; ++i) {
            A* const at = total + column + i;
            at[0] = sums.gamma[c].at[i] + (warp == 0 ? A(0) : at[0]);
            at[D] = sums.beta[c].at[i] + (warp == 0 ? A(0) : at[D]);
          }
        });
      }
      __syncthreads();
    }
    for (index_t column = threadIdx.x; column < D; column += layer_norm_threads) {
      dgamma[column] = total[column];
      dbeta[column] = total[D + column];
    }
  }
}

// --- Launchers -----------------------------------------------------------------------------------

namespace detail {

/// Which variant does rows of D elements: f is called with the integral constants V, C and kWarps.
template <class T, class F>
void choose_layer_norm(index_t D, bool aligned, F f) {
  constexpr int V = 16 / static_cast<int>(sizeof(T));
  constexpr int kLane =
      sizeof(T) == 8 ? 16 : 32;  // elements of a row that a lane keeps: registers allow no more
  constexpr int kBlock = 16;     // the same for a thread of a row-wide block, and without vectors
  const auto call = [&]<int v, int c, int w>(std::integral_constant<int, v> vector,
                                             std::integral_constant<int, c> cached,
                                             std::integral_constant<int, w> warps) {
    f(vector, cached, warps);
  };
  using std::integral_constant;
  constexpr integral_constant<int, 1> one;
  constexpr integral_constant<int, V> vector;
  constexpr integral_constant<int, layer_norm_warps> all;
  if (aligned && D % V == 0) {
    if (D <= 256) return call(vector, integral_constant < int, 8 / V == 0 ? 1 : 8 / V > {}, one);
    if (D <= 32 * kLane) return call(vector, integral_constant<int, kLane / V>{}, one);
    if (D <= kBlock * layer_norm_threads)
      return call(vector, integral_constant<int, kBlock / V>{}, all);
    return call(vector, integral_constant<int, 0>{}, all);
  }
  if (D <= 32 * kBlock) return call(one, integral_constant<int, kBlock>{}, one);
  return call(one, integral_constant<int, 0>{}, all);
}

}  // namespace detail

/// y = layer_norm(x). gamma, beta, mean and rstd may be null: ones, zeros, and not wanted.
template <class T, class P>
void layer_norm_forward(const T* x, const P* gamma, const P* beta, T* y, accumulate_t<T>* mean,
                        accumulate_t<T>* rstd, index_t N, index_t D, double eps,
                        cudaStream_t stream) {
  using A = accumulate_t<T>;
  if (N <= 0 || D <= 0) return;
  constexpr int V = 16 / static_cast<int>(sizeof(T));
  const bool aligned =
      is_aligned<V>(x) && is_aligned<V>(gamma) && is_aligned<V>(beta) && is_aligned<V>(y);
  detail::choose_layer_norm<T>(D, aligned, [&](auto v, auto c, auto warps) {
    constexpr index_t rows = layer_norm_warps / warps();
    launch({"layer_norm_forward", ceil_div(N, rows), layer_norm_threads, 0, stream},
           {{"N", N}, {"D", D}, {"vector", v()}, {"cached", c()}, {"warps per row", warps()}},
           layer_norm_forward_kernel<T, P, v(), c(), warps()>, x, gamma, beta, y, mean, rstd, N, D,
           static_cast<A>(eps));
  });
}

/// Elements of accumulate_t<T> that layer_norm_backward needs as workspace when dgamma or dbeta is
/// wanted.
inline index_t layer_norm_backward_workspace(index_t N, index_t D) {
  const index_t partials = std::min(N, layer_norm_max_partials);
  return 2 * partials * D + sum_rows_workspace(layer_norm_max_partials, D);
}

/// dx, dgamma, dbeta from dy and what forward saved. Each of the three may be null: not wanted.
/// gamma may be null: ones. `workspace` may be null if dgamma and dbeta are.
template <class T, class P>
void layer_norm_backward(const T* x, const P* gamma, const accumulate_t<T>* mean,
                         const accumulate_t<T>* rstd, const T* dy, T* dx, P* dgamma, P* dbeta,
                         accumulate_t<T>* workspace, index_t N, index_t D, cudaStream_t stream) {
  using A = accumulate_t<T>;
  const bool parameters = dgamma != nullptr || dbeta != nullptr;
  if (D <= 0 || (dx == nullptr && !parameters)) return;
  constexpr int V = 16 / static_cast<int>(sizeof(T));
  const bool aligned = is_aligned<V>(x) && is_aligned<V>(gamma) && is_aligned<V>(dy) &&
                       is_aligned<V>(dx) && is_aligned<V>(workspace);
  index_t blocks = 0;
  detail::choose_layer_norm<T>(D, aligned, [&](auto v, auto c, auto warps) {
    if (N <= 0) return;
    constexpr index_t rows = layer_norm_warps / warps();
    blocks = ceil_div(N, rows);
    const std::initializer_list<NamedSize> sizes = {
        {"N", N}, {"D", D}, {"vector", v()}, {"cached", c()}, {"warps per row", warps()}};
    if (!parameters) {
      launch({"layer_norm_backward_dx", blocks, layer_norm_threads, 0, stream}, sizes,
             layer_norm_backward_kernel<T, P, v(), c(), warps(), false>, x, gamma, mean, rstd, dy,
             dx, static_cast<A*>(nullptr), N, D);
      return;
    }
    blocks = std::min(blocks, layer_norm_max_partials);
    const std::size_t shared = warps() == 1 ? static_cast<std::size_t>(2 * D) * sizeof(A) : 0;
    launch({"layer_norm_backward", blocks, layer_norm_threads, shared, stream}, sizes,
           layer_norm_backward_kernel<T, P, v(), c(), warps(), true>, x, gamma, mean, rstd, dy, dx,
           workspace, N, D);
  });
  A* const scratch = parameters ? workspace + 2 * blocks * D : nullptr;
  if (dgamma != nullptr)
    sum_rows<A>(static_cast<const A*>(workspace), dgamma, blocks, D, scratch, stream);
  if (dbeta != nullptr)
    sum_rows<A>(static_cast<const A*>(workspace + blocks * D), dbeta, blocks, D, scratch, stream);
}

}  // namespace plume::kernels::inline PLUME_WORLD
