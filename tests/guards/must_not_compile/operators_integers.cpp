// expect: plume: arithmetic needs a floating scalar type; convert with cast<T>()
#include "plume/ops/operators.hpp"

int main() {
  const plume::Tensor<plume::index_t> ids = plume::arange<plume::index_t>(3);
#ifdef CONTROL
  const plume::Tensor<float> x = ids.cast<float>();
#else
  const plume::Tensor<plume::index_t>& x = ids;
#endif
  return static_cast<int>((x + x).numel());
}
