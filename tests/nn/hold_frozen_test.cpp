#include "plume/nn/hold_frozen.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/nn/summary.hpp"
#include "plume/ops/sum.hpp"

using namespace plume;

namespace {

double largest_difference(const Tensor<float>& a, const Tensor<float>& b) {
  REQUIRE(a.shape() == b.shape());
  const Tensor<float> x = a.contiguous(), y = b.contiguous();
  double out = 0;
  for (index_t i = 0; i < x.numel(); ++i)
    out = std::max(out, std::abs(static_cast<double>(x.data()[i]) - y.data()[i]));
  return out;
}

// Frozen, trained, frozen: the middle one must get its gradient through a held one.
struct Sandwich : nn::Module {
  nn::Linear<float> first{*this, "first", 37, 65};
  nn::Linear<float> middle{*this, "middle", 65, 65, nn::Bias::no};
  nn::Linear<float> last{*this, "last", 65, 19, nn::Bias::no};
  Sandwich() {
    initialize(*this, 5);
    nn::freeze(first);
    nn::freeze(last);
  }
  Var<float> operator()(const Var<float>& x) const { return last(middle(first(x))); }
};

void round_to_bf16(nn::Parameter<float>& p) {
  p.set_value(p.value().cast<bfloat16>().cast<float>());
}

TEST_CASE("hold_frozen: values and gradients are those of rounded weights") {
  for (const Shape& shape : {Shape{37}, Shape{1, 37}, Shape{3, 11, 37}, Shape{0, 37}}) {
    INFO(to_string(shape));
    Sandwich held, rounded;
    CHECK(nn::hold_frozen_in_bf16(held) == 2);
    round_to_bf16(rounded.first.weight);
    round_to_bf16(rounded.last.weight);
    Generator random(1);
    const Tensor<float> values = normal<float>(shape, random);
    const Var<float> x(values, true), x2(values, true);
    const Var<float> y = held(x), y2 = rounded(x2);
    CHECK(largest_difference(y.value(), y2.value()) < 1e-5);
    backward(sum(y));
    backward(sum(y2));
    CHECK(largest_difference(x.grad(), x2.grad()) < 1e-5);
    CHECK(largest_difference(held.middle.weight().grad(), rounded.middle.weight().grad()) < 1e-4);
  }
  // Rows that are not one after the other.
  Sandwich held, rounded;
  nn::hold_frozen_in_bf16(held);
  round_to_bf16(rounded.first.weight);
  round_to_bf16(rounded.last.weight);
  Generator random(2);
  const Var<float> x(normal<float>({37, 6}, random).transpose(0, 1));
  CHECK(largest_difference(held(x).value(), rounded(x).value()) < 1e-5);
}

TEST_CASE("hold_frozen: half the bytes, and the summary says so") {
  Sandwich model;
  const std::size_t before = nn::totals(model.first).bytes;
  CHECK(before == 4 * (37 * 65 + 65));
  nn::hold_frozen_in_bf16(model);
  CHECK(nn::totals(model.first).bytes == 2 * 37 * 65 + 4 * 65);
  CHECK(nn::totals(model.middle).bytes == 4 * 65 * 65);
  const std::string text = nn::summary(model);
  INFO(text);
  CHECK(text.find("weight  bfloat16[65, 37]  2,405  frozen") != std::string::npos);
  CHECK(text.find("weight  float[65, 65]  4,225  trainable") != std::string::npos);
}

TEST_CASE("hold_frozen: before values, on new values, and back") {
  struct Frozen : nn::Module {
    nn::Linear<float> a{*this, "a", 4, 3};
    Frozen() { nn::freeze(*this); }
  } model;
  CHECK(nn::hold_frozen_in_bf16(model) == 1);
  CHECK(nn::hold_frozen_in_bf16(model) == 1);
  CHECK_FALSE(model.a.weight.has_values());
  CHECK_THROWS_AS(model.a.weight.held()->linear(Var<float>(ones<float>({4})), {}), ValueError);
  initialize(model, 1);
  CHECK(model.a.weight.has_values());
  CHECK_THROWS_AS(model.a.weight(), ValueError);
  CHECK_THROWS_AS(model.a(Var<float>(ones<float>({5}))), ShapeError);
  CHECK_THROWS_AS(model.a.bias->hold(std::make_shared<nn::Bf16Matrix>()), ValueError);

  model.a.weight.set_value(full<float>({3, 4}, 1.00390625F));  // between two of bfloat16
  CHECK(model.a.weight.value()(0, 0) == 1.0F);
  nn::freeze(model, false);
  CHECK(model.a.weight.held() == nullptr);
  CHECK(model.a.weight().requires_grad());
  CHECK(model.a.weight().value()(0, 0) == 1.0F);
  CHECK_THROWS_AS(model.a.weight.hold(std::make_shared<nn::Bf16Matrix>()), ValueError);
}

}  // namespace
