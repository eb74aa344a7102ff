// What every consumer project builds: the gradient of a product, against the value known by hand.
#include <cstdio>
#include <plume/autograd/backward.hpp>
#include <plume/ops/matmul.hpp>

int main() {
  // c = a b with a (2, 3) and b (3, 2); with ones as the gradient of c, each row of da is the row sums of b.
  const auto a = plume::trainable(plume::Tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto b = plume::Var<float>(plume::Tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6}));
  const auto c = plume::matmul(a, b);
  plume::backward(c, plume::ones<float>(c.shape()));
  const float* da = a.grad().data();
  std::printf("plume: c(0, 0) = %g, da = %g %g %g\n", static_cast<double>(c.value()(0, 0)),
              static_cast<double>(da[0]), static_cast<double>(da[1]), static_cast<double>(da[2]));
  return c.value()(0, 0) == 22 && da[0] == 3 && da[1] == 7 && da[2] == 11 ? 0 : 1;
}
