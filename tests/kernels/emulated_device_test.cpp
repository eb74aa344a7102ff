// cuda:0 without a GPU: the library plume::cuda with host SIMT in the place of CUDA. The very
// dispatch and kernels of kernels/*.cu, for float, serve tensors that say they live on cuda:0.
// Their memory starts as NaN, has guards, and only kernels may be given it, so a missing or
// misplaced device path shows.
//
// With PLUME_EMULATED_DEVICE=1 in the environment the device is there from the start of the
// program, and the op suite, which runs on every device it finds, runs on it too.
#define PLUME_LIBRARY emulated_library
#define PLUME_FOR_FLOATING(f) f(float)
#include "kernels/elementwise.cu"
#include "kernels/layer_norm.cu"

#include <cstdlib>

#include "kernels/register.hpp"
#include "plume/autograd/backward.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/matmul.hpp"
#include "tests/kernels/support.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

// What runtime.cpp and matmul.cpp do on a GPU.
Stream stream_for(const void*) { return nullptr; }

Workspace::Workspace(std::size_t bytes, Stream stream)
    : data_(bytes == 0 ? nullptr : simt::detail::device_memory().allocate(bytes)),
      stream_(stream) {}
Workspace::~Workspace() {
  (void)stream_;  // there is but one
  simt::detail::device_memory().release(data_);
}

template <class T>
void matmul(const MatmulProblem& p, const T* a, const T* b, T* c) {
  for (index_t batch = 0; batch < p.batch; ++batch) {
    for (index_t m = 0; m < p.M; ++m) {
      for (index_t n = 0; n < p.N; ++n) {
        double sum = 0;
        for (index_t k = 0; k < p.K; ++k) {
          const T x = a[batch * p.a_batch_stride + (p.transpose_a ? k * p.lda + m : m * p.lda + k)];
          const T y = b[batch * p.b_batch_stride + (p.transpose_b ? n * p.ldb + k : k * p.ldb + n)];
          sum += static_cast<double>(x) * static_cast<double>(y);
        }
        T& out = c[batch * p.c_batch_stride + m * p.ldc + n];
        const double before = p.beta == 0 ? 0 : p.beta * static_cast<double>(out);
        out = static_cast<T>(static_cast<float>(p.alpha * sum + before));
      }
    }
  }
}

namespace {

class EmulatedDevice final : public DeviceBackend {
 public:
  void* allocate(int, std::size_t bytes) override {
    return simt::detail::device_memory().allocate(bytes);
  }
  void deallocate(int, void* p, std::size_t) noexcept override {
    simt::detail::device_memory().release(p);
  }
  void copy_from_host(int, void* to, const void* host, std::size_t bytes) override {
    move(to, host, bytes);
  }
  void copy_to_host(int, void* host, const void* from, std::size_t bytes) override {
    move(host, from, bytes);
  }
  void copy(int, void* to, const void* from, std::size_t bytes) override { move(to, from, bytes); }
  void set_zero(int, void* to, std::size_t bytes) override {
    if (bytes != 0) std::memset(to, 0, bytes);
  }
  void synchronize(int) override {}
  int device_count() override { return 1; }

 private:
  static void move(void* to, const void* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }
};

void install() {
  static EmulatedDevice& device = *new EmulatedDevice;  // outlives every tensor
  strided_copy_cuda.set(strided_copy);
  register_floating<float>();
  register_cast<double, float>();
  register_cast<bfloat16, float>();
  register_cast<half, float>();
  cuda_backend().store(&device);
}

const bool wanted = [] {
  const char* text = std::getenv("PLUME_EMULATED_DEVICE");
  const bool yes = text != nullptr && std::string_view(text) == "1";
  if (yes) install();
  return yes;
}();

/// The device for one test case; tests of other files expect none. Not where there is a real one.
struct EmulatedScope {
  DeviceBackend* previous = cuda_backend().load();
  bool usable = wanted || !cuda_is_available();

  EmulatedScope() {
    if (usable) install();
  }
  ~EmulatedScope() { cuda_backend().store(previous); }
};

}  // namespace
}  // namespace plume::gpu::detail::inline PLUME_LIBRARY

using namespace plume;
using gpu::detail::EmulatedScope;

namespace {

Tensor<float> random_tensor(const Shape& shape, std::uint64_t seed) {
  const auto values = kernels::test::random_values<float>(shape.numel(), seed, -1, 1);
  Tensor<float> t(shape);
  std::copy(values.begin(), values.end(), t.data());
  return t;
}

/// The largest |a - b| relative to 1 + |b|; infinite for NaN or another shape.
double distance(const Tensor<float>& device, const Tensor<float>& host) {
  double worst = device.shape() == host.shape() ? 0 : HUGE_VAL;
  const Tensor<float> a = device.to(cpu).contiguous(), b = host.contiguous();
  for (index_t i = 0; worst < HUGE_VAL && i < a.numel(); ++i) {
    const double error = std::fabs(a.data()[i] - b.data()[i]) / (1 + std::fabs(b.data()[i]));
    if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

}  // namespace

TEST_CASE("tensors travel to the emulated device and back") {
  const EmulatedScope scope;
  if (!scope.usable) return;
  CHECK(cuda_is_available());
  const Tensor<float> x = random_tensor({3, 5, 7}, 1);
  const Tensor<float> d = x.to(cuda());
  CHECK(d.device() == cuda());
  CHECK(distance(d, x) == 0);
  CHECK(distance(d.permute({2, 0, 1}).contiguous(), x.permute({2, 0, 1})) == 0);
  CHECK(distance(d.transpose(0, 2).clone(), x.transpose(0, 2)) == 0);
}

TEST_CASE("an op with operands on two devices is refused") {
  const EmulatedScope scope;
  if (!scope.usable) return;
  const Tensor<float> x = random_tensor({4}, 1);
  CHECK_THROWS_AS(add(x.to(cuda()), x), DeviceError);
}

TEST_CASE("a small network, forward and backward, agrees with the CPU") {
  const EmulatedScope scope;
  if (!scope.usable) return;
  const Tensor<float> x = random_tensor({6, 33}, 1), w = random_tensor({33, 20}, 2),
                      b = random_tensor({20}, 3);
  const Tensor<float> gamma = random_tensor({20}, 4), beta = random_tensor({20}, 5);
  const auto run = [&](Device device) {
    Var<float> vx(x.to(device), true), vw(w.to(device), true), vb(b.to(device), true);
    Var<float> vgamma(gamma.to(device), true), vbeta(beta.to(device), true);
    const Var<float> h = gelu(layer_norm(add(matmul(vx, vw), vb), vgamma, vbeta));
    backward(h, random_tensor({6, 20}, 6).to(device));
    return std::vector<Tensor<float>>{h.value(), vx.grad(),     vw.grad(),
                                      vb.grad(), vgamma.grad(), vbeta.grad()};
  };
  const auto host = run(cpu);
  const auto device = run(cuda());
  for (std::size_t i = 0; i < host.size(); ++i) {
    CAPTURE(i);
    CHECK(device[i].device() == cuda());
    CHECK(distance(device[i], host[i]) <= 1e-5);
  }
  CHECK(kernels::launch_log().text().find("layer_norm_backward(N = 6, D = 20") !=
        std::string::npos);
}
