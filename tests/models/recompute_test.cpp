// FusionPlan::recompute: what backward computes again has the bits of what it would have kept.

#include <map>

#include "plume/autograd/backward.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/mpt.hpp"
#include "tests/models/model_suite.hpp"

using namespace plume;
using namespace plume::test;
using models::Recompute;

namespace {

using Model = models::Flamingo<double>;
using MakeLanguage =
    std::function<std::unique_ptr<models::TextDecoder<double>>(nn::Module&, const char*)>;

constexpr index_t layers = 6;

template <class Language, class Sizes>
MakeLanguage language(const Sizes& sizes) {
  return [=](nn::Module& owner, const char* name) {
    return std::make_unique<Language>(owner, name, sizes);
  };
}

/// Blocks before every second layer; the rows of two tokens train, so a graph goes through all layers.
std::unique_ptr<Model> model(const MakeLanguage& make) {
  auto out = std::make_unique<Model>(
      models::FusionPlan{2, suite_image},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<models::ClipVision<double>>(
            owner, name,
            models::ClipVisionSizes{suite_side, 4, suite_width, 1, 4, 6, 2,
                                    models::Activation::gelu});
      },
      resampler_of<nn::PerceiverResampler<double>>(suite_perceiver()), make, suite_block());
  out->lang_encoder->tokens().train_rows({18, suite_image});
  Generator g(5);
  nn::for_each_parameter(*out, [&](const std::string&, nn::ParameterBase& p) {
    Tensor<double> value = normal<double>(p.shape(), g);
    const double middle = p.init().kind == nn::Init::Kind::ones ? 1 : 0;
    for (index_t i = 0; i < value.numel(); ++i) value.data()[i] = middle + 0.2 * value.data()[i];
    static_cast<nn::Parameter<double>&>(p).set_value(value);
  });
  return out;
}

struct Step {
  double loss;
  std::map<std::string, Tensor<double>> gradients;
  std::size_t forward;  ///< bytes that forward left for backward
  std::size_t peak;     ///< most bytes above those before the step
};

Step step(Model& m, Recompute recompute) {
  m.plan.recompute = recompute;
  const SuiteBatch batch = suite_batch(2);
  const std::size_t before = cpu_memory().stats().total.current;
  cpu_memory().reset_peak();
  const Var<double> loss = m.loss(batch.images, batch.text, batch.text.ids.clone());
  const std::size_t after = cpu_memory().stats().total.current;
  backward(loss);
  Step out{loss.value().item(), {}, after - before, cpu_memory().stats().total.peak - before};
  nn::for_each_parameter(m, [&](const std::string& key, nn::ParameterBase& p) {
    if (!p.trainable()) return;
    const Var<double>& v = static_cast<nn::Parameter<double>&>(p)();
    out.gradients[key] = v.grad();
    v.zero_grad();
  });
  return out;
}

void check(const MakeLanguage& make) {
  const auto m = model(make);
  const Step none = step(*m, Recompute::none);
  std::size_t forward = none.forward, peak = none.peak;
  CHECK(none.gradients.size() > 20);
  for (const Recompute recompute : {Recompute::blocks, Recompute::layers}) {
    INFO(name(recompute));
    const Step again = step(*m, recompute);
    CHECK(again.loss == none.loss);
    for (const auto& entry : none.gradients) {
      INFO(entry.first);
      REQUIRE(entry.second.defined());
      CHECK(same_bits(again.gradients.at(entry.first), entry.second));
    }
    CHECK(again.forward < forward);
    CHECK(again.peak < peak);
    forward = again.forward;
    peak = again.peak;
  }
}

TEST_CASE("recompute: every position of the dial gives the same bits, at less memory each") {
  SUBCASE("OPT") {
    check(language<models::Opt<double>>(models::OptSizes{20, suite_text, layers, 2, 16, 32}));
  }
  SUBCASE("MPT") {
    models::MptSizes s;
    s.vocabulary = 20, s.width = suite_text, s.layers = layers, s.heads = 2;
    check(language<models::Mpt<double>>(s));
  }
  SUBCASE("GPT-NeoX") {
    models::GptNeoxSizes s;
    s.vocabulary = 20, s.width = suite_text, s.layers = layers, s.heads = 2, s.ffn = 16;
    check(language<models::GptNeox<double>>(s));
  }
}

TEST_CASE("recompute: where no graph is recorded, or someone observes, nothing is computed twice") {
  const auto m =
      model(language<models::Opt<double>>(models::OptSizes{20, suite_text, layers, 2, 16, 32}));
  const Tensor<double> plain = suite_logits(*m, suite_batch());
  m->plan.recompute = Recompute::layers;
  CHECK(same_bits(suite_logits(*m, suite_batch()), plain));
  std::map<std::string, int> heard;
  const SuiteBatch batch = suite_batch();
  const Var<double> logits =
      (*m)(batch.images, batch.text,
           [&](const std::string& key, const Tensor<double>&) { ++heard[key]; });
  backward(logits, ones<double>(logits.shape()));
  CHECK(heard.size() > layers);
  for (const auto& entry : heard) CHECK_MESSAGE(entry.second == 1, entry.first);
}

}  // namespace
