// Captions of a whole Flamingo at a small real size (ViT-B/32, Perceiver, OPT-125M's shapes, a gated block
// before each layer), random weights: images encoded, prompt read and 20 tokens made, by beams and shots; the
// prompt alone; and one step of decoding alone, as shots (text and images) before it grow, and as images before it
// grow in a text of one length.

#include <benchmark/benchmark.h>

#include "bench/workloads/small_flamingo.hpp"
#include "plume/generate/generate.hpp"

namespace {

using namespace plume;
using namespace plume::models;

constexpr std::int64_t image_token = bench::small_image_token;
constexpr index_t tokens_per_shot = 24;
constexpr index_t most_shots = 32;

struct Setup {
  const std::unique_ptr<Flamingo<float>> owned = bench::small_flamingo();
  const Flamingo<float>& model = *owned;
  /// A prompt of `shots` demonstrations and a query; the last `images` of them have an image.
  static TextInput prompt(index_t shots, index_t images) {
    const index_t T = (shots + 1) * tokens_per_shot;
    Tensor<std::int64_t> ids(Shape{1, T});
    for (index_t t = 0; t < T; ++t) {
      const bool image = t % tokens_per_shot == 0 && t / tokens_per_shot > shots - images;
      ids.data()[t] = image ? image_token : 7 + 13 * t % 50000;
    }
    return {ids};
  }
  static TextInput prompt(index_t shots) { return prompt(shots, shots + 1); }
  static Tensor<float> images(index_t count) {
    Generator g(2);
    return normal<float>({1, count, 1, 3, 224, 224}, g);
  }
};

void caption(benchmark::State& state) {
  const Setup s;
  generate::Options o;
  o.num_beams = state.range(0);
  const TextInput prompt = Setup::prompt(state.range(1));
  const Tensor<float> images = Setup::images(state.range(1) + 1);
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(generate::generate(s.model, images, prompt, o).tokens.data());
  state.counters["captions/s"] =
      benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(caption)
    ->Name("generate/caption")
    ->ArgNames({"beams", "shots"})
    ->ArgsProduct({{1, 3}, {0, 4, 8}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void prefill(benchmark::State& state) {
  const Setup s;
  const TextInput prompt = Setup::prompt(state.range(0));
  generate::Session session(s.model, Setup::images(state.range(0) + 1), prompt);
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(session.start().data());
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(prompt.ids.numel()),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(prefill)
    ->Name("generate/prefill")
    ->ArgNames({"shots"})
    ->ArgsProduct({{0, 4, 8, 16, most_shots}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// One token more for each beam, again and again; the beams change places, so their keys and values are copied.
void decode(benchmark::State& state, std::size_t beams, const TextInput& prompt, index_t images) {
  const Setup s;
  generate::Session session(s.model, Setup::images(images), prompt);
  session.start();
  const std::vector<index_t> first(beams, 0);
  std::vector<index_t> parents(beams);
  for (std::size_t i = 0; i < beams; ++i) parents[i] = static_cast<index_t>((i + 1) % beams);
  const std::vector<std::int64_t> tokens(beams, 11);
  session.advance(first, tokens);
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(session.advance(parents, tokens).data());
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(beams), benchmark::Counter::kIsIterationInvariantRate);
}

void step(benchmark::State& state) {
  const index_t shots = state.range(1);
  decode(state, static_cast<std::size_t>(state.range(0)), Setup::prompt(shots), shots + 1);
}
BENCHMARK(step)
    ->Name("generate/step")
    ->ArgNames({"beams", "shots"})
    ->ArgsProduct({{1, 3}, {0, 4, 8, 16, most_shots}})
    ->Iterations(20)  // each makes the text longer
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The text is that of 32 shots throughout. A token attends to the latents of its own image alone, so the time
/// should not depend on how many there are.
void step_images(benchmark::State& state) {
  decode(state, 1, Setup::prompt(most_shots, state.range(0)), state.range(0));
}
BENCHMARK(step_images)
    ->Name("generate/step_images")
    ->ArgNames({"images"})
    ->ArgsProduct({{1, 5, 9, 17, most_shots + 1}})
    ->Iterations(20)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
