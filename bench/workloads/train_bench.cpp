// One training step of the small Flamingo (bench/workloads/small_training.hpp) by phase, on the two batches that
// bench/pytorch compares: two sequences of T tokens with M images each.

#include <benchmark/benchmark.h>

#include "bench/workloads/small_training.hpp"

namespace {

using namespace plume;
using benchmark::Counter;

void step(benchmark::State& state) {
  const auto model = bench::small_flamingo_to_train();
  const train::Batch<float> batch = bench::random_batch(state.range(0), state.range(1));
  train::Stepper<float> stepper(*model, bench::recipe_without_warmup());
  const auto take = [&] {
    stepper.accumulate(batch, 1);
    return stepper.update();
  };
  take();  // makes the gradients and the moments
  cpu_memory().reset_peak();
  train::StepSeconds sum;
  for ([[maybe_unused]] auto _ : state) {
    const train::StepResult done = take();
    if (done.skipped) {
      state.SkipWithError(done.why.c_str());
      break;
    }
    sum.forward += done.seconds.forward;
    sum.backward += done.seconds.backward;
    sum.update += done.seconds.update;
  }
  state.counters["forward_s"] = Counter(sum.forward, Counter::kAvgIterations);
  state.counters["backward_s"] = Counter(sum.backward, Counter::kAvgIterations);
  state.counters["update_s"] = Counter(sum.update, Counter::kAvgIterations);
  state.counters["tokens/s"] =
      Counter(static_cast<double>(batch.text.ids.numel()), Counter::kIsIterationInvariantRate);
  // Weights, gradients, moments and the batch included.
  state.counters["peak_MiB"] = static_cast<double>(cpu_memory().stats().total.peak) / 1048576.0;
}
BENCHMARK(step)
    ->Name("train/step")
    ->ArgNames({"T", "M"})
    ->Args({64, 1})
    ->Args({256, 4})
    ->Iterations(3)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
