// Links plume::cuda and says whether its static initialisers ran.
#include <cstdio>

#include "plume/core/device.hpp"

int main() {
  const bool registered = plume::cuda_backend().load() != nullptr;
  std::printf("CUDA backend registered: %s\n", registered ? "yes" : "no");
  return registered ? 0 : 1;
}
