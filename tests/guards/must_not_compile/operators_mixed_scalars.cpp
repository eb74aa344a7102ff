// expect: plume: both operands must hold the same scalar type; convert one with cast<T>()
#include "plume/ops/operators.hpp"

int main() {
  const plume::Var<float> a = plume::constant(plume::ones<float>({2}));
#ifdef CONTROL
  const plume::Var<float> b = plume::constant(plume::ones<double>({2}).cast<float>());
#else
  const plume::Var<double> b = plume::constant(plume::ones<double>({2}));
#endif
  return static_cast<int>((a * b).numel());
}
