#include "plume/nn/module.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/nn/feed_forward.hpp"
#include "plume/nn/module_list.hpp"
#include "plume/nn/summary.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::nn;

namespace {

struct Model : Module {
  FeedForward<float> ff{*this, "ff", 4};
  ModuleList<Linear<float>> list{*this, "list"};
  Model() {
    list.append(4, 3);
    list.append_none();
    list.append(3, 2, Bias::no);
  }
};

std::vector<std::string> keys(const Module& module) {
  std::vector<std::string> out;
  for_each_parameter(module,
                     [&](const std::string& key, const ParameterBase&) { out.push_back(key); });
  return out;
}

TEST_CASE("module: declaring a member registers it, under the name of weight files") {
  const Model model;
  CHECK(keys(model) == std::vector<std::string>{"ff.0.weight", "ff.0.bias", "ff.1.weight",
                                                "ff.3.weight", "list.0.weight", "list.0.bias",
                                                "list.2.weight"});
  CHECK(model.ff.up.path() == "ff.1");
  CHECK(model.list[2].path() == "list.2");
  CHECK(parameter_count(model) == 4 + 4 + 64 + 64 + 12 + 3 + 6);
}

TEST_CASE("module: a name is given once") {
  struct Twice : Module {
    Linear<float> a{*this, "same", 2, 2};
    Linear<float> b{*this, "same", 2, 2};
  };
  CHECK_THROWS_AS(Twice{}, ValueError);
  struct Clash : Module {
    Parameter<float> a{*this, "same", {2}, Init::zeros()};
    Linear<float> b{*this, "same", 2, 2};
  };
  CHECK_THROWS_AS(Clash{}, ValueError);
}

TEST_CASE("module: a model without values takes no memory and says so when used") {
  const auto before = cpu_memory().stats().total.current;
  struct Huge : Module {
    Linear<float> layer{*this, "layer", 1 << 20, 1 << 20};
  } model;
  CHECK(parameter_count(model) == (index_t{1} << 40) + (1 << 20));
  CHECK(cpu_memory().stats().total.current == before);
  CHECK_THROWS_AS(model.layer(constant(zeros<float>({1, 4}))), ValueError);
}

TEST_CASE("module: first values follow from the seed and the key alone") {
  Model a;
  Model b;
  initialize(a, 3);
  initialize(b, 3);
  CHECK(test::same_bits(a.list[0].weight().value(), b.list[0].weight().value()));
  struct Other : Module {
    Linear<float> before{*this, "before", 9, 9};
    ModuleList<Linear<float>> list{*this, "list"};
    Other() { list.append(4, 3); }
  } c;
  initialize(c, 3);
  CHECK(test::same_bits(a.list[0].weight().value(), c.list[0].weight().value()));
  initialize(b, 4);
  CHECK_FALSE(test::same_bits(a.list[0].weight().value(), b.list[0].weight().value()));
  for (index_t i = 0; i < 12; ++i) CHECK(std::abs(a.list[0].weight().value().data()[i]) <= 0.5F);
}

TEST_CASE("freeze: no gradient, no graph; and back") {
  Model model;
  initialize(model, 1);
  freeze(model);
  const auto x = constant(ones<float>({2, 4}));
  CHECK_FALSE(model.ff(x).requires_grad());
  CHECK(trainable_parameters<float>(model).empty());
  freeze(model.list, false);
  CHECK(trainable_parameters<float>(model).size() == 3);
  freeze(model, false);
  const auto y = model.ff(x);
  REQUIRE(y.requires_grad());
  backward(y, ones<float>(y.shape()));
  CHECK(model.ff.down.weight().grad().defined());
}

TEST_CASE("module list: an empty place keeps its index and cannot be used") {
  Model model;
  CHECK(model.list.size() == 3);
  CHECK_FALSE(model.list.has(1));
  CHECK_THROWS_AS(model.list[1], ValueError);
  CHECK_THROWS_AS(model.list[3], ShapeError);
}

TEST_CASE("parameter: values of another shape are refused") {
  Model model;
  CHECK_THROWS_AS(model.list[0].weight.set_value(zeros<float>({4, 3})), ShapeError);
}

TEST_CASE("summary: shapes, counts, bytes, frozen or trainable") {
  Model model;
  freeze(model.ff);
  const std::string text = summary(model);
  CHECK(text.find("ff  136 parameters  544 B  frozen") != std::string::npos);
  CHECK(text.find("    weight  float[3, 4]  12  trainable") != std::string::npos);
  CHECK(text.find("total  157 parameters, 21 trainable, 136 frozen, 628 B") != std::string::npos);
  struct Big : Module {
    Linear<float> layer{*this, "layer", 1024, 1024, Bias::no};
  } big;
  CHECK(summary(big).find("1,048,576 parameters  4.0 MiB") != std::string::npos);
}

}  // namespace
