// The compile budget's "one layer": a tensor, one layer, its backward. What a small experiment includes.
#include "plume/autograd/backward.hpp"
#include "plume/ops/linear.hpp"

int main() {
  using plume::trainable;
  const auto x = trainable(plume::ones<float>({4, 8}));
  const auto w = trainable(plume::ones<float>({8, 8}));
  const auto b = trainable(plume::zeros<float>({8}));
  const auto y = plume::linear(x, w, b);
  plume::backward(y, plume::ones<float>(y.shape()));
  return w.grad().numel() == 64 ? 0 : 1;
}
