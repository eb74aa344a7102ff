// matmul, linear and patch_embedding: bound by the multipliers, so held against the FMA peak.

#include "bench/peers.hpp"
#include "bench/support.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/patch_embedding.hpp"

namespace plume::bench {
namespace {

double flops(index_t M, index_t N, index_t K) { return 2.0 * static_cast<double>(M * N * K); }

auto product(Sgemm f, index_t N, bool transposed) {
  return [=](const Tensor<float>& a, const Tensor<float>& b) {
    Tensor<float> y(Shape{a.size(0), N});
    f(a.data(), b.data(), y.data(), a.size(0), N, a.size(1), transposed);
    return y;
  };
}

template <class B>
void add_peers(B& bench, index_t N, bool transposed) {
  constexpr int any = 1 << 20;
  bench.forward_peer("eigen", product(eigen().matmul, N, transposed), any)
      .forward_peer("eigen-generic", product(eigen_generic().matmul, N, transposed), any);
  if (openblas() != nullptr)
    bench.forward_peer("openblas", product(openblas(), N, transposed), any);
}

void add_matmul(index_t M, index_t N, index_t K) {
  Bench bench("matmul", {normal({M, K}), normal({K, N}).whole()}, PLUME_OP(matmul),
              cat(M, "x", N, "x", K));
  add_peers(bench, N, false);
  bench.forward(computes(flops(M, N, K))).backward(computes(2 * flops(M, N, K)));
}

/// x [M, K], w [N, K] as a layer keeps it.
void add_linear(index_t M, index_t N, index_t K) {
  Bench bench("linear", {normal({M, K}), normal({N, K}).whole()}, PLUME_OP(linear),
              cat(M, "x", N, "x", K));
  add_peers(bench, N, true);
  bench.forward(computes(flops(M, N, K))).backward(computes(2 * flops(M, N, K)));
}

/// Few rows read the whole weight for little arithmetic: bound by memory.
void add_thin_linear(index_t M, index_t N, index_t K) {
  Bench bench("linear", {normal({M, K}), normal({N, K}).whole().frozen()}, PLUME_OP(linear),
              cat(M, "x", N, "x", K));
  add_peers(bench, N, true);
  bench.forward(moves(bytes({N, K}))).backward(moves(bytes({N, K})));
}

const bool registered = [] {
  for (const index_t n : {512, 1024, 2048}) add_matmul(n, n, n);
  add_linear(256, 8192, 2048);     // a feed-forward layer, up
  add_linear(256, 2048, 8192);     // and down
  add_linear(257, 1024, 1024);     // an image of ViT-L/14
  add_linear(32, 50272, 768);      // logits of a small batch
  add_thin_linear(1, 8192, 2048);  // a token being generated

  const double patches = flops(8 * 256, 1024, 3 * 14 * 14);  // eight pictures into ViT-L/14
  Bench("patch_embedding",
        {normal({8, 3, 224, 224}).frozen(), normal({1024, 3, 14, 14}).whole(),
         normal({1024}).whole()},
        PLUME_OP(patch_embedding))
      .check_items(1)
      .forward(computes(patches))
      .backward(computes(patches));
  return true;
}();

}  // namespace
}  // namespace plume::bench
