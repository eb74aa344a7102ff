// The program of docs/tutorial.md. A test runs it and compares what it prints with tutorial.expected.
#include <iomanip>
#include <iostream>

#include "plume/autograd/backward.hpp"
#include "plume/autograd/grad_check.hpp"
#include "plume/autograd/recompute.hpp"
#include "plume/core/print.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/log.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/operators.hpp"
#include "plume/ops/softmax.hpp"
#include "plume/ops/sum.hpp"
#include "plume/ops/tanh.hpp"
#include "plume/optim/adamw.hpp"

using namespace plume;

namespace {

void tensors() {
  Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  std::cout << x << '\n';
  std::cout << "x(1, 2) = " << x(1, 2) << ", " << x.numel() << " elements\n";
}

void views() {
  Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor<float> columns = x.transpose(0, 1);  // [3, 2]
  Tensor<float> middle = x.slice(1, 1, 3);    // columns 1 and 2: [2, 2]
  Tensor<float> last = x.select(0, 1);        // row 1: [3]
  Tensor<float> stretched = last.broadcast_to({4, 3});

  last(0) = 40;  // the same number, seen from everywhere
  std::cout << columns << '\n' << middle << '\n' << stretched << '\n';

  Tensor<float> copy = x.clone();  // numbers of its own
  copy.fill(0);
  std::cout << "x(1, 0) is still " << x(1, 0) << '\n';
}

void scalars() {
  const Tensor<float> x({3}, {0.1F, 2.7F, -1.0F});
  std::cout << x.cast<std::int64_t>() << '\n' << x.cast<bfloat16>() << '\n';
  // x + x.cast<double>() does not compile: scalars are never mixed behind your back.
}

void mistakes() {
  try {
    (void)(zeros<float>({2, 3}) + zeros<float>({4}));
  } catch (const ShapeError& error) {
    std::cout << error.what() << '\n';
  }
}

void ops() {
  const Tensor<double> scores({2, 3}, {1, 2, 3, 1, 1, 1});
  const Tensor<double> p = softmax(scores, -1);
  std::cout << p << '\n' << sum(p, {-1}) << '\n';
  // A row is broadcast over a matrix; a transposed operand of matmul is not copied.
  const Tensor<double> shifted = scores + Tensor<double>({3}, {10, 20, 30});
  std::cout << matmul(shifted, scores.transpose(0, 1)) << '\n';
}

void gradients() {
  const Var<double> w = trainable(Tensor<double>({2}, {1, -2}));
  const Var<double> x = constant(Tensor<double>({2}, {3, 4}));
  const Var<double> loss = sum(w * w * x);
  backward(loss);
  std::cout << "loss " << loss.value().item() << '\n';
  std::cout << "2 w x = " << w.grad() << '\n';

  backward(sum(w));  // gradients add up ...
  std::cout << w.grad() << '\n';
  w.zero_grad();  // ... until they are cleared
  std::cout << "cleared: " << !w.grad().defined() << '\n';
}

// y = x^3, with a gradient of our own
Var<double> cube(const Var<double>& x, double factor) {
  const Tensor<double>& v = x.value();
  return record("cube", v * v * v, inputs(x),
                [v, factor](const Tensor<double>& dy, GradSink<double> dx) {
                  if (dx) dx += factor * (dy * v * v);
                });
}

void checking() {
  const Tensor<double> at({2, 2}, {0.5, -1, 2, 3});
  const auto right = grad_check([](const Vars& in) { return Vars{cube(in[0], 3)}; }, {at});
  const auto wrong = grad_check([](const Vars& in) { return Vars{cube(in[0], 2)}; }, {at});
  std::cout << "3 x^2: " << (right.passed(1e-6) ? "right" : "wrong") << '\n';
  std::cout << "2 x^2: " << (wrong.passed(1e-6) ? "right" : "wrong") << '\n';
}

void freezing() {
  Generator random(1);
  const Var<float> frozen = constant(normal<float>({64, 64}, random, 0, 0.1));
  const Var<float> trained = trainable(normal<float>({64, 64}, random, 0, 0.1));
  const Var<float> x = constant(normal<float>({8, 64}, random));

  const Var<float> h = gelu(matmul(x, frozen));  // below the first trainable value
  const Var<float> y = matmul(gelu(matmul(h, trained)), frozen);
  std::cout << "h has a graph: " << h.requires_grad() << ", y has one: " << y.requires_grad()
            << '\n';
  backward(mean(y * y));
  std::cout << "gradient of trained: " << trained.grad().defined()
            << ", of frozen: " << frozen.grad().defined() << '\n';
}

void without_graph() {
  const Var<float> w = trainable(ones<float>({3}));
  const Var<float> y = no_grad([&] { return w * w; });
  std::cout << "y has a graph: " << y.requires_grad() << '\n';
  const Var<float> z = (w * w).detach() * w;  // only the last factor is differentiated
  backward(sum(z));
  std::cout << w.grad() << '\n';
}

std::size_t peak_of(const Var<float>& x, const std::vector<Var<float>>& weights, bool checkpoint) {
  cpu_memory().reset_peak();
  Var<float> h = x;
  for (const Var<float>& w : weights) {
    const auto layer = [&w](const Var<float>& in) { return in + tanh(gelu(matmul(in, w))); };
    h = checkpoint ? recompute(layer, h) : layer(h);
  }
  backward(mean(h * h));
  return cpu_memory().stats().total.peak;
}

void recomputing() {
  Generator random(2);
  std::vector<Var<float>> weights;
  for (int i = 0; i < 8; ++i) weights.push_back(trainable(normal<float>({64, 64}, random, 0, 0.1)));
  const Var<float> x = constant(normal<float>({2048, 64}, random));

  const std::size_t all = peak_of(x, weights, false);
  const Tensor<float> gradient = weights[0].grad().clone();
  weights[0].zero_grad();
  const std::size_t less = peak_of(x, weights, true);
  std::cout << "two thirds of the memory or less: " << (3 * less <= 2 * all) << '\n';
  const Tensor<float> difference = weights[0].grad() - gradient;
  std::cout << "difference of the gradients: " << sum(difference * difference).item() << '\n';
}

void watching() {
  const AnomalyGuard guard;
  const ModuleScope block("block");
  const ModuleScope head("head");
  try {
    log(trainable(Tensor<float>({2}, {1, -1})));
  } catch (const NumericalError& error) {
    std::cout << error.what() << '\n';
  }
}

void devices() {
  const Device device = cuda_is_available() ? cuda() : cpu;
  const Tensor<float> x = ones<float>({2, 2}).to(device);  // everything computed from x stays there
  std::cout << "sum " << sum(x.to(cpu)).item() << '\n';
  if (cuda_is_available()) return;
  try {
    (void)x.to(parse_device("cuda:0"));
  } catch (const DeviceError& error) {
    std::cout << error.what() << '\n';
  }
}

void training() {
  Generator random(3);
  const Tensor<double> x = uniform<double>({256, 1}, random, -2, 2);
  const Tensor<double> target = tanh(x * x * x);  // what is to be learnt: tanh x^3
  const std::vector<Var<double>> w{trainable(normal<double>({1, 32}, random)),
                                   trainable(normal<double>({32}, random)),
                                   trainable(normal<double>({32, 1}, random, 0, 0.2))};
  const auto model = [&](const Var<double>& in) {
    return matmul(tanh(matmul(in, w[0]) + w[1]), w[2]);
  };
  AdamW<double> optimizer(w, {.learning_rate = 0.02, .weight_decay = 0});
  for (int step = 0; step <= 400; ++step) {
    const Var<double> error = model(constant(x)) - constant(target);
    const Var<double> loss = mean(error * error);
    optimizer.zero_grad();
    backward(loss);
    optimizer.step();
    if (step % 200 == 0) std::cout << "step " << step << ", loss " << loss.value().item() << '\n';
  }
  const Var<double> probe = constant(Tensor<double>({3, 1}, {-1, 0.5, 1}));
  std::cout << model(probe).value() << '\n' << tanh(Tensor<double>({3}, {-1, 0.125, 1})) << '\n';
}

}  // namespace

int main() {
  std::cout << std::boolalpha << std::setprecision(2);
  tensors();
  views();
  scalars();
  mistakes();
  ops();
  gradients();
  checking();
  freezing();
  without_graph();
  recomputing();
  watching();
  devices();
  training();
  return 0;
}
