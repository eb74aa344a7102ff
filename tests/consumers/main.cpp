// What every consumer project builds: a tensor, a sum with broadcasting, and its gradient.
#include <cstdio>
#include <plume/core/tensor.hpp>

int main() {
  const plume::Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  std::printf("plume: %lld elements\n", static_cast<long long>(x.numel()));
  return x.numel() == 6 ? 0 : 1;
}
