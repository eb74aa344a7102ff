#include "plume/generate/classify.hpp"
#include "plume/generate/generate.hpp"
#include "plume/ops/dropout.hpp"
#include "tests/models/model_suite.hpp"

// A model with dropout answers as if it had none, and trains on with it.

using namespace plume;
using namespace plume::test;

namespace {

/// Drops half of what it makes: without EvaluationMode no two passes are alike.
struct Dropping : nn::PerceiverResampler<double> {
  using PerceiverResampler::PerceiverResampler;
  Var<double> operator()(const Var<double>& x) const {
    return dropout(PerceiverResampler::operator()(x), 0.5, training());
  }
};
using Model = models::VisionLanguageModel<double, models::ClipVision<double>, Dropping,
                                          nn::GatedCrossAttention<double>>;

TEST_CASE("evaluation mode: modules do not train while it lives, whatever they were told") {
  struct Part : nn::Module {
    struct Inner : nn::Module {
      using Module::Module;
    } inner{*this, "inner"};
  } part;
  CHECK(part.inner.training());
  {
    const EvaluationMode mode;
    CHECK_FALSE(part.inner.training());
    const Var<double> x = constant(ones<double>({64}));
    CHECK(same_bits(dropout(x, 0.5).value(), x.value()));
    {
      const EvaluationMode off(false);
      CHECK(part.training());
    }
    CHECK_FALSE(part.training());
    part.set_training(false);
  }
  CHECK_FALSE(part.inner.training());
  part.set_training(true);
  CHECK_THROWS_AS(
      [&] {
        const EvaluationMode mode;
        throw ValueError("x");
      }(),
      ValueError);
  CHECK(part.inner.training());
}

TEST_CASE("evaluation mode: generation and classification run without dropout, training with it") {
  const auto model = suite_model<Model>(resampler_of<Dropping>(suite_perceiver()));
  const SuiteBatch batch = suite_batch();
  generate::Options options;
  options.max_new_tokens = 6;
  const RandomState before = default_generator().state();
  const auto first = generate::generate(*model, batch.images, batch.text, options).tokens;
  const auto scores =
      generate::classify(*model, batch.images, batch.text, {{3, 4}, {5}, {6, 7, 8}}).total;
  for (int i = 0; i < 5; ++i) {
    CHECK(generate::generate(*model, batch.images, batch.text, options).tokens == first);
    CHECK(same_bits(
        generate::classify(*model, batch.images, batch.text, {{3, 4}, {5}, {6, 7, 8}}).total,
        scores));
  }
  CHECK(default_generator().state() == before);
  // Also where generation fails, the model trains on.
  CHECK_THROWS_AS(generate::generate(*model, batch.images.select(0, 0), batch.text, options),
                  ShapeError);
  CHECK_THROWS(generate::generate(*model, batch.images, batch.text, options,
                                  [](index_t, std::int64_t) { throw ValueError("enough"); }));
  CHECK(model->perceiver->training());
  CHECK_FALSE(same_bits(suite_logits(*model, batch), suite_logits(*model, batch)));
}

}  // namespace
