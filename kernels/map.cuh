#pragma once
// map: out[i] = f(in0[i], in1[i], ...) for every element, the frame of all element-wise kernels.
//
// Formula   out[i] = f(in...[i]); f takes and returns stored elements (it widens and rounds
//           itself).
// Bytes     each input once, the output once: nothing else touches memory, so the time is bytes /
//           bandwidth.
// Flops     those of f; below some 80 instructions per float (40 per bfloat16) an H100 does not
//           notice them.
//
// Two kernels. Contiguous: 128-bit accesses, several in flight per thread, scalar where a pointer
// is not aligned. Strided: a shape of up to 8 dimensions with a stride per operand (0 = broadcast).
// Neighbouring dimensions that every operand walks as one are merged first, which turns most views
// into a rank of 1 or 2; positions are then found by multiplication instead of division; the
// innermost dimension is vectorised where its strides are 0 or 1.
//
// In place is fine: out may be equal to an input of the same strides. Other overlaps are not.

#include <utility>

#include "common.cuh"

namespace plume::kernels::inline PLUME_WORLD {

inline constexpr int map_threads = 256;
inline constexpr int max_rank = 8;

// --- Contiguous ----------------------------------------------------------------------------------

namespace detail {

/// How many elements fill 16 bytes of the narrowest of the types.
template <class... T>
constexpr int vector_width() {
  std::size_t narrowest = 16;
  ((narrowest = sizeof(T) < narrowest ? sizeof(T) : narrowest), ...);
  return static_cast<int>(16 / narrowest);
}

/// How many vectors of each input a thread loads at once: about 64 bytes in all, fewer where
/// operands of 8 bytes need the registers.
template <class Out, class... In>
constexpr int vectors_in_flight() {
  const bool wide = sizeof(Out) == 8 || ((sizeof(In) == 8) || ...);
  return (sizeof...(In) > 1 ? 2 : 4) / (wide ? 2 : 1);
}

template <class T, int V, int U>
struct Chunk {
  Vec<T, V> at[U];
};

template <int V, int U, class T>
__device__ __forceinline__ Chunk<T, V, U> load_chunk(const T* p, index_t first, index_t step,
                                                     index_t vectors) {
  Chunk<T, V, U> chunk{};
  PLUME_UNROLL
  for (int u = 0; u < U; ++u) {
    const index_t i = first + u * step;
    if (i < vectors) chunk.at[u] = load<V>(p + i * V);
  }
  return chunk;
}

// A function of the loaded inputs, so that all U loads of every input are under way before the
// first store.
template <int V, int U, class F, class Out, class... In>
__device__ __forceinline__ void apply_chunk(const F& f, Out* out, index_t first, index_t step,
                                            index_t vectors, const Chunk<In, V, U>&... in) {
  PLUME_UNROLL
  for (int u = 0; u < U; ++u) {
    const index_t i = first + u * step;
    if (i >= vectors) continue;
    Vec<Out, V> result;
    PLUME_UNROLL
    for (int v = 0; v < V; ++v) result.at[v] = f(in.at[u].at[v]...);
    store(out + i * V, result);
  }
}

}  // namespace detail

/// Block b does vectors [b * 256 U, (b+1) * 256 U); the last block also does the n % V elements
/// left over.
template <int V, int U, class F, class Out, class... In>
__global__ void __launch_bounds__(map_threads)
    map_kernel(F f, Out* out, index_t n, const In*... in) {
  const index_t vectors = n / V;
  const index_t first = static_cast<index_t>(blockIdx.x) * (map_threads * U) + threadIdx.x;
  detail::apply_chunk<V, U>(f, out, first, map_threads, vectors,
                            detail::load_chunk<V, U>(in, first, map_threads, vectors)...);
  const index_t rest = vectors * V + threadIdx.x;
  if (V > 1 && blockIdx.x + 1 == gridDim.x && rest < n) out[rest] = f(in[rest]...);
}

/// Launches it. The vector width is 16 bytes of the narrowest operand.
template <class F, class Out, class... In>
void map(const char* name, F f, Out* out, index_t n, cudaStream_t stream, const In*... in) {
  if (n <= 0) return;
  constexpr int V = detail::vector_width<Out, In...>();
  constexpr int U = detail::vectors_in_flight<Out, In...>();
  const bool aligned = (is_aligned<V>(out) && ... && is_aligned<V>(in));
  if (aligned) {
    const index_t blocks = n < V ? 1 : ceil_div(n / V, map_threads * U);
    launch({name, blocks, map_threads, 0, stream}, {{"n", n}}, map_kernel<V, U, F, Out, In...>, f,
           out, n, in...);
  } else {
    launch({name, ceil_div(n, map_threads * U), map_threads, 0, stream}, {{"n", n}},
           map_kernel<1, U, F, Out, In...>, f, out, n, in...);
  }
}

// --- Strided -------------------------------------------------------------------------------------

/// i -> (i / d, i % d) without a division for i < 2^31: the quotient is (mulhi(i, magic) + i) >>
/// shift.
struct Divisor {
  index_t d = 1;
  std::uint32_t magic = 1;
  std::uint32_t shift = 0;

  Divisor() = default;
  explicit Divisor(index_t divisor) : d(divisor) {
    if (d < 1 || d >= (index_t{1} << 31))
      return;  // an empty shape, or one that needs 64-bit indices
    while ((index_t{1} << shift) < d) ++shift;
    magic = static_cast<std::uint32_t>(
        ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift) - static_cast<std::uint64_t>(d))) /
            static_cast<std::uint64_t>(d) +
        1);
  }
  __device__ __forceinline__ std::uint32_t quotient(std::uint32_t i) const {
    return (__umulhi(i, magic) + i) >> shift;
  }
};

/// How K operands lie over one shape. Dimension 0 is the innermost.
template <int K>
struct Layout {
  int rank = 0;
  index_t count = 1;  // elements, or vectors after vectorise()
  Divisor size[max_rank];
  index_t stride[K][max_rank] = {};

  /// From row-major sizes and one array of element strides per operand; merges what can be merged.
  Layout(int dims, const index_t* sizes, const index_t* const (&strides)[K]) {
    for (int axis = dims - 1; axis >= 0; --axis) {
      count *= sizes[axis];
      if (sizes[axis] == 1) continue;
      bool merge = rank > 0;
      for (int k = 0; k < K && merge; ++k) {
        merge = strides[k][axis] == stride[k][rank - 1] * size[rank - 1].d;
      }
      if (merge) {
        size[rank - 1] = Divisor(size[rank - 1].d * sizes[axis]);
        continue;
      }
      size[rank] = Divisor(sizes[axis]);
      for (int k = 0; k < K; ++k) stride[k][rank] = strides[k][axis];
      ++rank;
    }
    if (rank == 0) {  // a single element: any stride will do, 1 keeps it on the fast path
      rank = 1;
      size[0] = Divisor(1);
      for (int k = 0; k < K; ++k) stride[k][0] = 1;
    }
  }

  [[nodiscard]] bool contiguous() const {
    bool yes = rank == 1;
    for (int k = 0; k < K; ++k) yes = yes && stride[k][0] == 1;
    return yes;
  }

  /// Can operand k be read or written in vectors of `width` along the innermost dimension?
  [[nodiscard]] bool vectorisable(int k, int width) const {
    if (size[0].d % width != 0 || stride[k][0] > 1 || stride[k][0] < 0) return false;
    for (int axis = 1; axis < rank; ++axis) {
      if (stride[k][0] == 1 && stride[k][axis] % width != 0) return false;
    }
    return true;
  }
  void vectorise(int width) {
    count /= width;
    size[0] = Divisor(size[0].d / width);
  }

  /// The element offset of every operand for linear position i (in vectors of `width`).
  __device__ __forceinline__ void offsets(index_t i, int width, index_t (&at)[K]) const {
    PLUME_UNROLL
    for (int k = 0; k < K; ++k) at[k] = 0;
    PLUME_UNROLL
    for (int axis = 0; axis < max_rank; ++axis) {
      if (axis == rank) break;
      index_t next;
      if (count < (index_t{1} << 31)) {
        next = size[axis].quotient(static_cast<std::uint32_t>(i));
      } else {
        next = i / size[axis].d;
      }
      const index_t position = (i - next * size[axis].d) * (axis == 0 ? width : 1);
      PLUME_UNROLL
      for (int k = 0; k < K; ++k) at[k] += position * stride[k][axis];
      i = next;
    }
  }
};

namespace detail {

template <int V, class T>
__device__ __forceinline__ Vec<T, V> load_or_repeat(const T* p, index_t stride) {
  if constexpr (V == 1) return load<V>(p);
  if (stride != 0) return load<V>(p);
  Vec<T, V> v;
  PLUME_UNROLL
  for (int i = 0; i < V; ++i) v.at[i] = *p;
  return v;
}

template <int V, class F, class Out, class... In>
__device__ __forceinline__ void apply_vector(const F& f, Out* out, const Vec<In, V>&... in) {
  Vec<Out, V> result;
  PLUME_UNROLL
  for (int v = 0; v < V; ++v) result.at[v] = f(in.at[v]...);
  store(out, result);
}

template <int V, class F, class Out, class... In, std::size_t... I>
__device__ __forceinline__ void map_at(index_t i, const F& f,
                                       const Layout<1 + sizeof...(In)>& layout, Out* out,
                                       std::index_sequence<I...>, const In*... in) {
  index_t at[1 + sizeof...(In)];
  layout.offsets(i, V, at);
  apply_vector<V>(f, out + at[0], load_or_repeat<V>(in + at[1 + I], layout.stride[1 + I][0])...);
}

}  // namespace detail

/// One vector of V outputs a thread. Operand 0 of the layout is the output.
template <int V, class F, class Out, class... In>
__global__ void __launch_bounds__(map_threads)
    map_strided_kernel(F f, Layout<1 + sizeof...(In)> layout, Out* out, const In*... in) {
  const index_t i = static_cast<index_t>(blockIdx.x) * map_threads + threadIdx.x;
  if (i < layout.count)
    detail::map_at<V>(i, f, layout, out, std::index_sequence_for<In...>(), in...);
}

/// Launches the contiguous kernel if the layout turns out to be that, else the strided one.
template <class F, class Out, class... In>
void map_strided(const char* name, F f, Layout<1 + sizeof...(In)> layout, Out* out,
                 cudaStream_t stream, const In*... in) {
  if (layout.count <= 0) return;
  if (layout.contiguous()) return map(name, f, out, layout.count, stream, in...);
  constexpr int V = detail::vector_width<Out, In...>();
  bool vectorised = is_aligned<V>(out) && layout.vectorisable(0, V) && layout.stride[0][0] == 1;
  int k = 1;
  ((vectorised =
        vectorised && layout.vectorisable(k, V) && (layout.stride[k][0] == 0 || is_aligned<V>(in)),
    ++k),
   ...);
  if (vectorised) layout.vectorise(V);
  const Launch config{name, ceil_div(layout.count, map_threads), map_threads, 0, stream};
  const std::initializer_list<NamedSize> sizes = {
      {"count", layout.count}, {"rank", layout.rank}, {"innermost", layout.size[0].d}};
  if (vectorised) {
    launch(config, sizes, map_strided_kernel<V, F, Out, In...>, f, layout, out, in...);
  } else {
    launch(config, sizes, map_strided_kernel<1, F, Out, In...>, f, layout, out, in...);
  }
}

}  // namespace plume::kernels::inline PLUME_WORLD
