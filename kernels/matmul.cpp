// Matrix products through cuBLASLt.
//  cuBLASLt thinks in columns. A row-major (M, N) matrix is a column-major (N, M) one, so C = op(A)
// op(B) is computed as C^T = op(B)^T op(A)^T: the operands change places and nothing is copied.
// Sums are kept in float (double for double). Which algorithm to use is asked once per shape,
// layout and alignment.
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

#include "cuda_check.hpp"
#include "launch_log.hpp"
#include "library.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

namespace {

std::atomic<bool> tf32_allowed{false};

template <class T>
struct LtTypes;
template <>
struct LtTypes<float> {
  static constexpr cudaDataType_t data = CUDA_R_32F;
};
template <>
struct LtTypes<double> {
  static constexpr cudaDataType_t data = CUDA_R_64F;
};
template <>
struct LtTypes<plume::bfloat16> {
  static constexpr cudaDataType_t data = CUDA_R_16BF;
};
template <>
struct LtTypes<plume::half> {
  static constexpr cudaDataType_t data = CUDA_R_16F;
};

std::string describe(const MatmulProblem& p) {
  return cat("matmul: M ", p.M, " N ", p.N, " K ", p.K, " batch ", p.batch,
             p.transpose_a ? " A^T" : " A", p.transpose_b ? " B^T" : " B", " lda ", p.lda, " ldb ",
             p.ldb, " ldc ", p.ldc);
}

void check_lt(cublasStatus_t status, const MatmulProblem& problem) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(kernels::error_text(describe(problem), cublasLtGetStatusString(status)));
}

/// A cuBLASLt object with its destroy function.
template <class Handle, cublasStatus_t (*destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (handle_ != nullptr) destroy(handle_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle* out() { return &handle_; }
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};
using MatmulDescriptor = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using MatrixLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cublasLtHandle_t handle(int device, const MatmulProblem& problem) {
  static std::mutex mutex;
  static std::map<int, cublasLtHandle_t> handles;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& h = handles[device];
  if (h == nullptr) check_lt(cublasLtCreate(&h), problem);
  return h;
}

/// Everything that the choice of algorithm may depend on.
using AlgorithmKey = std::tuple<int, int, int, std::array<index_t, 10>, std::array<bool, 3>,
                                std::array<std::uint32_t, 3>>;

struct Algorithm {
  cublasLtMatmulAlgo_t algo;
  std::size_t workspace_bytes;
};

/// The largest power of two up to 256 that divides the address.
std::uint32_t alignment(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256U;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

void set_layout(MatrixLayout& layout, cudaDataType_t type, index_t rows, index_t columns,
                index_t ld, const MatmulProblem& p, index_t batch_stride) {
  const auto r = static_cast<std::uint64_t>(rows);
  check_lt(cublasLtMatrixLayoutCreate(layout.out(), type, r, static_cast<std::uint64_t>(columns),
                                      std::max(ld, rows)),
           p);
  if (p.batch == 1) return;
  const auto batch = static_cast<std::int32_t>(p.batch);
  check_lt(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                            sizeof(batch)),
           p);
  check_lt(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                            &batch_stride, sizeof(batch_stride)),
           p);
}

/// With nothing to sum up, C = beta C.
template <class T>
void scale_result(const MatmulProblem& p, T* c, Stream stream) {
  if (p.beta == 1) return;
  if (p.beta != 0)
    throw Error(cat("[", describe(p), "] expected beta 0 or 1 where K is 0, got ", p.beta));
  for (index_t b = 0; b < p.batch; ++b) {
    check(cudaMemset2DAsync(c + b * p.c_batch_stride, static_cast<std::size_t>(p.ldc) * sizeof(T),
                            0, static_cast<std::size_t>(p.N) * sizeof(T),
                            static_cast<std::size_t>(p.M), stream),
          "matmul");
  }
}

}  // namespace

void allow_tf32(bool allow) { tf32_allowed = allow; }

template <class T>
void matmul(const MatmulProblem& p, const T* a, const T* b, T* c) {
  if (p.M == 0 || p.N == 0 || p.batch == 0) return;
  const Stream stream = stream_for(c);
  if (p.K == 0) return scale_result(p, c, stream);
  if (p.batch > 65535 * index_t{32768}) throw Error(cat("[", describe(p), "] too many matrices"));
  kernels::launch_log().add(
      {"matmul (cuBLASLt)", {}, {}, 0, {{"M", p.M}, {"N", p.N}, {"K", p.K}, {"batch", p.batch}}});
  int device = 0;
  check(cudaGetDevice(&device), "get device");
  const cublasLtHandle_t lt = handle(device, p);
  constexpr bool is_double = std::is_same_v<T, double>;
  const bool tf32 = std::is_same_v<T, float> && tf32_allowed;
  const cudaDataType_t data = LtTypes<T>::data;
  const cublasComputeType_t compute = is_double ? CUBLAS_COMPUTE_64F
                                      : tf32    ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                : CUBLAS_COMPUTE_32F;

  MatmulDescriptor operation;
  check_lt(cublasLtMatmulDescCreate(operation.out(), compute, is_double ? CUDA_R_64F : CUDA_R_32F),
           p);
  // Seen in columns, what is stored row by row is transposed already; hence B first, then A.
  const cublasOperation_t op_b = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t op_a = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  check_lt(
      cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_b, sizeof(op_b)),
      p);
  check_lt(
      cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_a, sizeof(op_a)),
      p);
  MatrixLayout layout_b, layout_a, layout_c;
  set_layout(layout_b, data, p.transpose_b ? p.K : p.N, p.transpose_b ? p.N : p.K, p.ldb, p,
             p.b_batch_stride);
  set_layout(layout_a, data, p.transpose_a ? p.M : p.K, p.transpose_a ? p.K : p.M, p.lda, p,
             p.a_batch_stride);
  set_layout(layout_c, data, p.N, p.M, p.ldc, p, p.c_batch_stride);

  static std::mutex mutex;
  static std::map<AlgorithmKey, Algorithm> algorithms;
  const AlgorithmKey key{device,
                         static_cast<int>(data),
                         static_cast<int>(compute),
                         {p.M, p.N, p.K, p.lda, p.ldb, p.ldc, p.batch, p.a_batch_stride,
                          p.b_batch_stride, p.c_batch_stride},
                         {p.transpose_a, p.transpose_b, p.beta == 0},
                         {alignment(a), alignment(b), alignment(c)}};
  Algorithm algorithm{};
  {
    const std::lock_guard lock(mutex);
    const auto it = algorithms.find(key);
    if (it != algorithms.end()) {
      algorithm = it->second;
    } else {
      Preference preference;
      check_lt(cublasLtMatmulPreferenceCreate(preference.out()), p);
      const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
        check_lt(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
                 p);
      };
      set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{32} << 20);
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(b));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(a));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(c));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(c));
      cublasLtMatmulHeuristicResult_t result{};
      int found = 0;
      check_lt(cublasLtMatmulAlgoGetHeuristic(lt, operation, layout_b, layout_a, layout_c, layout_c,
                                              preference, 1, &result, &found),
               p);
      if (found == 0) throw Error(cat("[", describe(p), "] cuBLASLt knows no algorithm for this"));
      algorithm = {result.algo, result.workspaceSize};
      algorithms.emplace(key, algorithm);
    }
  }

  const Workspace workspace(algorithm.workspace_bytes, stream);
  const double alpha = p.alpha, beta = p.beta;
  const auto alpha32 = static_cast<float>(alpha), beta32 = static_cast<float>(beta);
  const void* const alpha_at = is_double ? static_cast<const void*>(&alpha) : &alpha32;
  const void* const beta_at = is_double ? static_cast<const void*>(&beta) : &beta32;
  check_lt(cublasLtMatmul(lt, operation, alpha_at, b, layout_b, a, layout_a, beta_at, c, layout_c,
                          c, layout_c, &algorithm.algo, workspace.as<void>(),
                          algorithm.workspace_bytes, stream),
           p);
  if (kernels::synchronize_every_launch()) check(cudaStreamSynchronize(stream), "matmul");
}

template void matmul<float>(const MatmulProblem&, const float*, const float*, float*);
template void matmul<double>(const MatmulProblem&, const double*, const double*, double*);
template void matmul<plume::bfloat16>(const MatmulProblem&, const plume::bfloat16*,
                                      const plume::bfloat16*, plume::bfloat16*);
template void matmul<plume::half>(const MatmulProblem&, const plume::half*, const plume::half*,
                                  plume::half*);

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
