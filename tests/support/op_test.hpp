#pragma once
// OP_TEST: the one way an op is tested. See docs/add_an_op.md.
//
//   OP_TEST("tanh") {
//     op.check({random({2, 3})}, [](const auto& x) { return tanh(x[0]); },
//              [](const auto& x) { return definition::tanh(x[0]); });
//     op.refuses("...", [] { ... });      // at least three
//   }
//
// check() runs the function on the given inputs, which are all differentiable, in four memory layouts
// (contiguous, permuted, strided, broadcast) and demands:
//   gradient check in double        every input, random cotangent
//   double against the definition
//   float against the definition in double, inputs rounded to float first
//   float gradients against double ones
//   the same bits for 1 and 3 threads, forward and backward
//   where a GPU is present and the op has a device path: the same on the GPU
// Anything that is not differentiated (ids, masks, options) is captured by the lambdas.
//
// PLUME_OPS_BRIEF=1 leaves out the gradient checks in double and the comparison of thread counts: for runs that repeat the
// suite for something else, an emulated device or the support table.

#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compare.hpp"
#include "plume/autograd/backward.hpp"
#include "plume/autograd/grad_check.hpp"
#include "plume/core/parallel.hpp"
#include "plume/core/random.hpp"

namespace plume::test {

using Inputs = std::vector<Tensor<double>>;

/// Standard normal numbers; the same for the same shape and salt.
inline Tensor<double> random(const Shape& shape, std::uint64_t salt = 0) {
  Generator generator(1234 + salt + static_cast<std::uint64_t>(shape.numel()) * 7919);
  return normal<double>(shape, generator);
}
/// Uniform in [low, high).
inline Tensor<double> random_between(const Shape& shape, double low, double high,
                                     std::uint64_t salt = 0) {
  Generator generator(4321 + salt + static_cast<std::uint64_t>(shape.numel()) * 7919);
  return uniform<double>(shape, generator, low, high);
}

inline bool brief() {
  const char* text = std::getenv("PLUME_OPS_BRIEF");
  return text != nullptr && std::string_view(text) == "1";
}

enum class Layout { contiguous, permuted, strided, broadcast };

/// The same values in another memory layout (broadcast: the first entry of axis 0, repeated).
template <Scalar T>
Tensor<T> with_layout(const Tensor<T>& x, Layout layout) {
  if (x.rank() == 0 || layout == Layout::contiguous) return x.clone();
  if (layout == Layout::permuted) {
    Dims reversed;
    for (int axis = x.rank() - 1; axis >= 0; --axis) reversed.push_back(axis);
    return x.permute(reversed).clone().permute(reversed);
  }
  if (layout == Layout::strided) {
    Dims wide = x.shape();
    wide[x.rank() - 1] *= 2;
    Tensor<T> view = zeros<T>(Shape(wide)).slice(-1, 0, wide.back(), 2);
    return view.copy_from(x);
  }
  if (x.shape()[0] == 0) return x.clone();
  return x.slice(0, 0, 1).clone().broadcast_to(x.shape());
}

/// What the suite found out about each op; the support table of docs/ is printed from it.
struct OpRecord {
  index_t gradients = 0;  ///< elements whose gradient was checked
  int checks = 0;
  int refusals = 0;
  std::set<std::string> scalars;
  bool device = false;  ///< ran on a GPU
};
inline std::map<std::string, OpRecord>& op_records() {
  static std::map<std::string, OpRecord> records;
  return records;
}
/// Every op that has an OP_TEST, whether or not it ran.
inline std::set<std::string>& tested_ops() {
  static std::set<std::string> names;
  return names;
}
struct TestedOp {
  explicit TestedOp(const char* name) { tested_ops().insert(name); }
};

struct CheckOptions {
  bool broadcast = true;  ///< include the layout that repeats values along axis 0
  bool strides = true;    ///< include permuted and strided layouts
  double gradient = gradient_check;
  Tolerance forward = forward_float;
  Tolerance gradient_in_float = gradient_float;
};

namespace detail {
template <Floating T>
std::vector<Var<T>> as_list(Var<T> y) {
  return {std::move(y)};
}
template <Floating T>
std::vector<Var<T>> as_list(std::vector<Var<T>> ys) {
  return ys;
}
inline Inputs as_list(Tensor<double> y) { return {std::move(y)}; }
inline Inputs as_list(Inputs ys) { return ys; }

template <Floating T>
struct Run {
  std::vector<Tensor<T>> values;
  std::vector<Tensor<T>> gradients;
};

/// Values, and gradients for fixed random cotangents.
template <Floating T, class F>
Run<T> run(const F& f, const std::vector<Tensor<T>>& inputs) {
  std::vector<Var<T>> leaves;
  for (const Tensor<T>& x : inputs) leaves.push_back(trainable(x));
  Run<T> out;
  std::uint64_t salt = 0;
  for (const Var<T>& y : as_list(f(leaves))) {
    out.values.push_back(y.value());
    if (y.requires_grad()) {
      const Tensor<T> cotangent =
          random(y.shape(), ++salt).template cast<float>().template cast<T>();
      backward(y, cotangent.to(y.value().device()), {.retain_graph = true});
    }
  }
  for (const Var<T>& x : leaves) out.gradients.push_back(x.grad());
  return out;
}
}  // namespace detail

class OpTest {
 public:
  explicit OpTest(const char* name) : name_(name), record_(op_records()[name]) { record_ = {}; }

  template <class F, class Definition>
  void check(const Inputs& inputs, const F& f, const Definition& definition,
             CheckOptions options = {}) {
    std::vector<Layout> layouts{Layout::contiguous};
    if (options.strides) layouts.insert(layouts.end(), {Layout::permuted, Layout::strided});
    if (options.broadcast) layouts.push_back(Layout::broadcast);
    for (const Layout layout : layouts) {
      Inputs x64;
      std::vector<Tensor<float>> x32;
      std::string shapes;
      for (const Tensor<double>& x : inputs) {
        // Rounded to float first, so that both precisions see the same numbers.
        x32.push_back(with_layout(x.cast<float>(), layout));
        x64.push_back(with_layout(with_layout(x.cast<float>().cast<double>(), layout).clone(),
                                  layout == Layout::broadcast ? Layout::contiguous : layout));
        shapes += cat(" ", x.shape());
      }
      INFO("inputs", shapes, ", layout ", static_cast<int>(layout));
      check_double(x64, f, definition, options);
      check_float(x32, x64, f, definition, options);
    }
    ++record_.checks;
    record_.scalars.insert({"float", "double"});
  }

  /// Forward in a 16-bit type against the definition in double.
  template <Floating T, class F, class Definition>
  void check_forward_in(const Inputs& inputs, const F& f, const Definition& definition,
                        Tolerance tolerance) {
    Inputs x64;
    std::vector<Var<T>> x;
    for (const Tensor<double>& in : inputs) {
      x.push_back(constant(in.cast<T>()));
      x64.push_back(x.back().value().template cast<double>());
    }
    const auto ys = detail::as_list(f(x));
    const Inputs expected = detail::as_list(definition(x64));
    REQUIRE(ys.size() == expected.size());
    for (std::size_t k = 0; k < ys.size(); ++k) {
      const Comparison c = compare(ys[k].value(), expected[k], tolerance);
      CHECK_MESSAGE(c.ok, std::string(dtype_name<T>()), " output ", k, ": ", c.message);
    }
    record_.scalars.insert(std::string(dtype_name<T>()));
  }

  /// f must throw std::invalid_argument whose text names an op in brackets and says what was got.
  template <class F>
  void refuses(const char* what, const F& f) {
    INFO("wrong call: ", what);
    std::string message;
    try {
      f();
    } catch (const std::invalid_argument& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.rfind("[" + name_, 0) == 0,
                  "expected std::invalid_argument \"[op] expected ..., got ...\", got: ", message);
    CHECK_MESSAGE(message.find("] expected ") != std::string::npos, message);
    CHECK_MESSAGE(message.find(", got ") != std::string::npos, message);
    ++record_.refusals;
  }

  /// Ends the test: was everything there that every op must have?
  void finish() const {
    CHECK_MESSAGE(record_.checks >= 1, "an op needs at least one check()");
    CHECK_MESSAGE((record_.gradients >= 1 || brief()), "an op needs at least one gradient check");
    CHECK_MESSAGE(record_.refusals >= 3, "an op needs at least three refuses()");
  }

 private:
  template <class F, class Definition>
  void check_double(const Inputs& x, const F& f, const Definition& definition,
                    const CheckOptions& options) {
    const auto g = [&](const Vars& in) { return detail::as_list(f(in)); };
    if (!brief()) {
      const GradCheckResult gradient = grad_check(g, x);
      CHECK_MESSAGE(gradient.worst <= options.gradient, "gradient check: ", gradient.worst, " at ",
                    gradient.where);
      record_.gradients += gradient.checked;
    }
    Vars constants;
    for (const Tensor<double>& t : x) constants.push_back(constant(t));
    const Vars ys = g(constants);
    const Inputs expected = detail::as_list(definition(x));
    REQUIRE(ys.size() == expected.size());
    for (std::size_t k = 0; k < ys.size(); ++k) {
      CHECK_MESSAGE(!ys[k].requires_grad(), "frozen inputs must record no graph");
      const Comparison c = compare(ys[k].value(), expected[k], forward_double);
      CHECK_MESSAGE(c.ok, "double against definition, output ", k, ": ", c.message);
    }
  }

  template <class F, class Definition>
  void check_float(const std::vector<Tensor<float>>& x32, const Inputs& x64, const F& f,
                   const Definition& definition, const CheckOptions& options) {
    const auto fast = detail::run<float>(f, x32);
    const auto exact = detail::run<double>(f, x64);
    const Inputs expected = detail::as_list(definition(x64));
    for (std::size_t k = 0; k < fast.values.size(); ++k) {
      const Comparison c = compare(fast.values[k], expected[k], options.forward);
      CHECK_MESSAGE(c.ok, "float against definition, output ", k, ": ", c.message);
    }
    for (std::size_t k = 0; k < fast.gradients.size(); ++k) {
      if (!exact.gradients[k].defined()) continue;
      const Comparison c =
          compare(fast.gradients[k], exact.gradients[k], options.gradient_in_float);
      CHECK_MESSAGE(c.ok, "float gradient against double, input ", k, ": ", c.message);
    }
    if (!brief()) check_threads(x32, f);
    if (!cuda_is_available()) return;
    std::vector<Tensor<float>> on_device;
    for (const Tensor<float>& x : x32) on_device.push_back(x.to(cuda()));
    try {
      const auto device = detail::run<float>(f, on_device);
      for (std::size_t k = 0; k < device.values.size(); ++k) {
        const Comparison c = compare(device.values[k], expected[k], options.forward);
        CHECK_MESSAGE(c.ok, "device against definition, output ", k, ": ", c.message);
      }
      for (std::size_t k = 0; k < device.gradients.size(); ++k) {
        if (!exact.gradients[k].defined()) continue;
        const Comparison c =
            compare(device.gradients[k], exact.gradients[k], options.gradient_in_float);
        CHECK_MESSAGE(c.ok, "device gradient against double, input ", k, ": ", c.message);
      }
      record_.device = true;
    } catch (const DeviceError&) {
      // No device path, or not for this case; the registry test says whether there should be one.
    }
  }

  template <class F>
  void check_threads(const std::vector<Tensor<float>>& x32, const F& f) {
    set_thread_count(3);
    const auto threaded = detail::run<float>(f, x32);
    set_thread_count(1);
    const auto single = detail::run<float>(f, x32);
    set_thread_count(0);
    for (std::size_t k = 0; k < single.values.size(); ++k) {
      CHECK_MESSAGE(same_bits(threaded.values[k], single.values[k]), "threads change output ", k);
    }
    for (std::size_t k = 0; k < single.gradients.size(); ++k) {
      if (!single.gradients[k].defined()) continue;
      CHECK_MESSAGE(same_bits(threaded.gradients[k], single.gradients[k]),
                    "threads change gradient ", k);
    }
  }

  std::string name_;
  OpRecord& record_;
};

}  // namespace plume::test

#define PLUME_OP_TEST_JOIN2(a, b) a##b
#define PLUME_OP_TEST_JOIN(a, b) PLUME_OP_TEST_JOIN2(a, b)
#define PLUME_OP_TEST(name, function)                                                   \
  static void function(plume::test::OpTest& op);                                        \
  static const plume::test::TestedOp PLUME_OP_TEST_JOIN(function, _registration){name}; \
  TEST_CASE("op: " name) {                                                              \
    plume::test::OpTest op(name);                                                       \
    function(op);                                                                       \
    op.finish();                                                                        \
  }                                                                                     \
  static void function(plume::test::OpTest& op)
#define OP_TEST(name) PLUME_OP_TEST(name, PLUME_OP_TEST_JOIN(plume_op_test_, __LINE__))
