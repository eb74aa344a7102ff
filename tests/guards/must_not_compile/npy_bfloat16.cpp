// expect: bfloat16 has no .npy type: cast it to float first
#include "plume/io/npy.hpp"

int main() {
  const plume::Tensor<plume::bfloat16> x = plume::zeros<plume::bfloat16>({2});
#ifdef CONTROL
  plume::write_npy("x.npy", x.cast<float>());
#else
  plume::write_npy("x.npy", x);
#endif
}
