// expect: deduced conflicting types for parameter 'T'
#include "plume/ops/add.hpp"

int main() {
  const plume::Tensor<float> a = plume::ones<float>({2});
#ifdef CONTROL
  const plume::Tensor<float> b = plume::ones<float>({2});
#else
  const plume::Tensor<double> b = plume::ones<double>({2});
#endif
  return static_cast<int>(plume::add(a, b).numel());
}
