// Whole models at a small real size, random weights: the vision encoder alone, the language models, and Flamingo
// (ViT-B/32, Perceiver, OPT-125M's shapes, a gated block before each layer), forward, and with backward.
//
// GFLOP/s counts 2 flops for each weight of a matrix and each token that meets it; with backward twice that
// for a frozen weight, three times for one that trains. Attention's own products are left out, so the figure
// is a little low.

#include <benchmark/benchmark.h>

#include "bench/workloads/small_flamingo.hpp"
#include "plume/autograd/backward.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/llama.hpp"
#include "plume/models/mpt.hpp"

namespace {

using namespace plume;
using namespace plume::models;

constexpr index_t vocabulary = bench::small_vocabulary;
constexpr std::int64_t image_token = bench::small_image_token;

struct Root : nn::Module {};

/// Elements of all weights of two axes below `module`, those that a lookup reads left out.
double matrix_weights(const nn::Module& module) {
  double sum = 0;
  nn::for_each_parameter(module, [&](const std::string& key, const nn::ParameterBase& p) {
    const bool table =
        key.find("embed") != std::string::npos || key.find("wte") != std::string::npos;
    if (p.shape().rank() >= 2 && !table) sum += static_cast<double>(p.shape().numel());
  });
  return sum;
}

Tensor<std::int64_t> some_ids(index_t B, index_t T, index_t images) {
  Tensor<std::int64_t> ids(Shape{B, T});
  for (index_t b = 0; b < B; ++b) {
    for (index_t t = 0; t < T; ++t)
      ids(b, t) = images > 0 && t % (T / images) == 0 ? image_token : 7 + (13 * t + 5 * b) % 50000;
  }
  return ids;
}

void rates(benchmark::State& state, double tokens, const char* unit, double flops) {
  using benchmark::Counter;
  state.counters[unit] = Counter(tokens, Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
}

void vision(benchmark::State& state) {
  Root root;
  const ClipVision<float> encoder(root, "vision_encoder",
                                  ClipVisionSizes::vit_b_32(Activation::quick_gelu));
  initialize(root, 1);
  freeze(root);
  Generator g(2);
  const Var<float> pixels(normal<float>({state.range(0), 3, 224, 224}, g));
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(encoder(pixels).tokens.value().data());
  const auto images = static_cast<double>(state.range(0));
  rates(state, images, "images/s", 2 * 50 * images * matrix_weights(root));
}
BENCHMARK(vision)
    ->Name("model/ViT-B-32/forward")
    ->Arg(1)
    ->Arg(8)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The text model frozen, its input trainable, as Flamingo has it.
template <class Decoder, class Sizes>
void language(benchmark::State& state, Sizes sizes) {
  Root root;
  Decoder decoder(root, "lang_encoder", sizes);
  initialize(root, 1);
  freeze(root);
  const bool with_backward = state.range(0) != 0;
  const index_t T = state.range(1);
  const TextInput input{some_ids(1, T, 0)};
  Generator g(3);
  const Tensor<float> dy = normal<float>({1, T, sizes.vocabulary}, g);
  for ([[maybe_unused]] auto _ : state) {
    const auto step = decoder.begin(input, nullptr);
    Var<float> x = Var<float>(decoder.embed(input).value(), with_backward);
    const Var<float> in = x;
    for (index_t i = 0; i < decoder.layer_count(); ++i) x = decoder.layer(i, x, step);
    const Var<float> logits = decoder.logits(x);
    if (with_backward) backward(logits, dy);
    benchmark::DoNotOptimize(logits.value().data());
  }
  const double per_token =
      2 * (matrix_weights(root) +
           static_cast<double>(decoder.tied() ? sizes.vocabulary * decoder.width() : 0));
  rates(state, static_cast<double>(T), "tokens/s",
        static_cast<double>(T) * per_token * (with_backward ? 2 : 1));
}

void opt(benchmark::State& state) { language<Opt<float>>(state, bench::opt_125m()); }
void neox(benchmark::State& state) {
  language<GptNeox<float>>(state,
                           GptNeoxSizes{vocabulary, 768, 12, 12, 3072, 1, 10000, false, 1e-5});
}
void mpt(benchmark::State& state) {
  language<Mpt<float>>(state,
                       MptSizes{MptSizes::Names::mosaic_gpt, vocabulary, 768, 12, 12, 4, 8, true});
}
void llama(benchmark::State& state) {
  language<Llama<float>>(state, LlamaSizes{vocabulary, 768, 12, 12, 2048});
}
#define PLUME_LANGUAGE(f, name)      \
  BENCHMARK(f)                       \
      ->Name("model/" name)          \
      ->ArgNames({"backward", "T"})  \
      ->ArgsProduct({{0, 1}, {256}}) \
      ->UseRealTime()                \
      ->Unit(benchmark::kMillisecond)
PLUME_LANGUAGE(opt, "OPT-125M");
PLUME_LANGUAGE(neox, "NeoX-125M");
PLUME_LANGUAGE(mpt, "MPT-125M");
PLUME_LANGUAGE(llama, "LLaMA-125M");

void flamingo(benchmark::State& state) {
  const bool with_backward = state.range(0) != 0;
  const index_t B = 2, T = state.range(1), M = state.range(2);
  const auto owned = bench::small_flamingo();
  const Flamingo<float>& model = *owned;
  Generator g(2);
  const Tensor<float> images = normal<float>({B, M, 1, 3, 224, 224}, g);
  const TextInput input{some_ids(B, T, M)};
  const auto run = [&] {
    const Var<float> loss = model.loss(images, input, input.ids);
    if (with_backward) backward(loss);
    benchmark::DoNotOptimize(loss.value().data());
  };
  for ([[maybe_unused]] auto _ : state) {
    if (with_backward) {
      run();
    } else {
      no_grad(run);
    }
  }
  const double tokens = static_cast<double>(B * T), pictures = static_cast<double>(B * M);
  const double text = matrix_weights(*model.lang_encoder) + static_cast<double>(vocabulary) * 768;
  const double fusion = matrix_weights(model.fusion);  // to_kv, a fifth, meets latents, not text
  const double flops =
      2 * pictures * 50 * matrix_weights(*model.vision_encoder) +
      2 * tokens * (text * (with_backward ? 2 : 1) + fusion * (with_backward ? 3 : 1)) +
      2 * pictures * 64 * matrix_weights(*model.perceiver) * (with_backward ? 3 : 1);
  rates(state, tokens, "tokens/s", flops);
}
BENCHMARK(flamingo)
    ->Name("model/Flamingo-ViT-B-32-OPT-125M")
    ->ArgNames({"backward", "T", "M"})
    ->Args({0, 64, 1})
    ->Args({1, 64, 1})
    ->Args({0, 256, 4})
    ->Args({1, 256, 4})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
