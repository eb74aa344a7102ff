#include "plume/nn/multi_head_attention.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/nn/embedding.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::nn;

namespace {

struct Root : Module {
  MultiHeadAttention<double> attn{*this, "attn", 6, 3};
  Embedding<double> table{*this, "table", 5, 4};
};

void randomize(const Module& root) {
  Generator g(3);
  for_each_parameter(root, [&](const std::string&, ParameterBase& p) {
    static_cast<Parameter<double>&>(p).set_value(normal<double>(p.shape(), g));
  });
}

TEST_CASE("multi_head_attention: one head at a time, element by element") {
  Root root;
  randomize(root);
  Generator g(5);
  const index_t N = 4, W = 6, hd = 3;
  const Tensor<double> x = normal<double>({1, N, W}, g);
  const Tensor<double> w = root.attn.in_proj_weight().value(), b = root.attn.in_proj_bias().value();
  const auto project = [&](index_t part, index_t n, index_t c) {
    double sum = b(part * W + c);
    for (index_t i = 0; i < W; ++i) sum += w(part * W + c, i) * x(0, n, i);
    return sum;
  };
  Tensor<double> heads = zeros<double>({1, N, W});
  for (index_t h = 0; h < 2; ++h) {
    for (index_t n = 0; n < N; ++n) {
      std::vector<double> p(static_cast<std::size_t>(N));
      double total = 0;
      for (index_t m = 0; m < N; ++m) {
        double score = 0;
        for (index_t c = h * hd; c < (h + 1) * hd; ++c)
          score += project(0, n, c) * project(1, m, c);
        total += p[static_cast<std::size_t>(m)] = std::exp(score / std::sqrt(3.0));
      }
      for (index_t m = 0; m < N; ++m) {
        for (index_t c = h * hd; c < (h + 1) * hd; ++c)
          heads(0, n, c) += p[static_cast<std::size_t>(m)] / total * project(2, m, c);
      }
    }
  }
  const Tensor<double> expected = root.attn.out_proj(constant(heads)).value();
  const test::Comparison c = test::compare(root.attn(constant(x)).value(), expected, {0, 1e-12});
  CHECK_MESSAGE(c.ok, c.message);
}

TEST_CASE("multi_head_attention: names, and heads that do not fill the width") {
  const Root root;
  std::vector<std::string> names;
  for_each_parameter(root.attn,
                     [&](const std::string& key, const ParameterBase&) { names.push_back(key); });
  CHECK(names == std::vector<std::string>{"in_proj_weight", "in_proj_bias", "out_proj.weight",
                                          "out_proj.bias"});
  Module owner;
  CHECK_THROWS_AS(MultiHeadAttention<float>(owner, "attn", 10, 4), ShapeError);
}

TEST_CASE("embedding module: rows of the table, and the gradient of those alone") {
  Root root;
  randomize(root);
  const Tensor<std::int64_t> ids({2, 2}, {1, 4, 1, 0});
  const Var<double> y = root.table(ids);
  CHECK(y.shape() == Shape{2, 2, 4});
  CHECK(test::same_bits(y.value().select(0, 0).select(0, 1),
                        root.table.weight().value().select(0, 4)));
  backward(y, ones<double>(y.shape()));
  const Tensor<double> g = root.table.weight().grad();
  CHECK(g(1, 0) == 2);
  CHECK(g(4, 3) == 1);
  CHECK(g(2, 0) == 0);
  CHECK_THROWS(root.table(Tensor<std::int64_t>({1}, {5})));
}

}  // namespace
