// OpenBLAS's sgemm, where CMake found it.

#ifdef PLUME_BENCH_OPENBLAS
#include <cblas.h>
#endif

#include "bench/peers.hpp"

namespace plume::bench {

#ifdef PLUME_BENCH_OPENBLAS

Sgemm openblas() {
  return [](const float* a, const float* b, float* c, index_t m, index_t n, index_t k,
            bool transposed) {
    const auto M = static_cast<blasint>(m), N = static_cast<blasint>(n),
               K = static_cast<blasint>(k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, M, N, K, 1.0F,
                a, K, b, transposed ? K : N, 0.0F, c, N);
  };
}
static void set_openblas_threads(int threads) { openblas_set_num_threads(threads); }

#else

Sgemm openblas() { return nullptr; }
static void set_openblas_threads(int) {}

#endif

void set_peer_threads(int threads) {
  eigen().set_threads(threads);
  eigen_generic().set_threads(threads);
  set_openblas_threads(threads);
}

}  // namespace plume::bench
