// What feeds a model: text to ids and back, pictures to pixels, weight files to tensors.

#include <benchmark/benchmark.h>

#include <filesystem>

#include "bench/workloads/pictures.hpp"
#include "plume/image/transform.hpp"
#include "plume/io/weights.hpp"
#include "plume/text/tokenizer.hpp"

namespace {

using namespace plume;
using bench::jpeg;
using bench::picture;
using benchmark::Counter;

const std::filesystem::path root = PLUME_SOURCE_DIR;

/// The project's own pages, as text.
std::string pages() {
  std::string out;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() != ".md") continue;
    const io::Source file = io::Source::file(entry.path().string());
    out.append(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  }
  return out;
}

void encode(benchmark::State& state, const char* family) {
  const auto tokenizer =
      text::Tokenizer::load((root / "tests/golden/tokenizers" / family).string());
  const std::string text = pages();
  std::size_t tokens = 0;
  for ([[maybe_unused]] auto _ : state) tokens = tokenizer.encode(text).size();
  state.counters["MB/s"] =
      Counter(static_cast<double>(text.size()) * 1e-6, Counter::kIsIterationInvariantRate);
  state.counters["tokens/s"] =
      Counter(static_cast<double>(tokens), Counter::kIsIterationInvariantRate);
}
void decode_text(benchmark::State& state, const char* family) {
  const auto tokenizer =
      text::Tokenizer::load((root / "tests/golden/tokenizers" / family).string());
  const std::string text = pages();
  const text::Ids ids = tokenizer.encode(text);
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(ids).data());
  state.counters["MB/s"] =
      Counter(static_cast<double>(text.size()) * 1e-6, Counter::kIsIterationInvariantRate);
}
BENCHMARK_CAPTURE(encode, neox, "neox")
    ->Name("tokenizer/encode/neox")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, opt, "opt")->Name("tokenizer/encode/opt")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, llama, "llama")
    ->Name("tokenizer/encode/llama")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(decode_text, neox, "neox")
    ->Name("tokenizer/decode/neox")
    ->Unit(benchmark::kMillisecond);

void images_per_second(benchmark::State& state) {
  state.counters["images/s"] = Counter(1, Counter::kIsIterationInvariantRate);
}
void decode_jpeg(benchmark::State& state) {
  const std::vector<std::byte> file = jpeg(picture(state.range(0), state.range(1)));
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(image::decode("picture", file).bytes.data());
  images_per_second(state);
}
void resize_picture(benchmark::State& state) {
  const image::Picture p = picture(state.range(0), state.range(1));
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(image::fit(p, 224).bytes.data());
  images_per_second(state);
}
void transform_jpeg(benchmark::State& state) {
  const std::vector<std::byte> file = jpeg(picture(state.range(0), state.range(1)));
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(image::transform("picture", file, 224).data());
  images_per_second(state);
}
#define PLUME_PICTURES(f, name) \
  BENCHMARK(f)                  \
      ->Name("image/" name)     \
      ->Args({640, 480})        \
      ->Args({1920, 1080})      \
      ->Unit(benchmark::kMillisecond)
PLUME_PICTURES(decode_jpeg, "jpeg_decode");
PLUME_PICTURES(resize_picture, "resize_224");
PLUME_PICTURES(transform_jpeg, "jpeg_to_tensor");

/// Opens a file of 256 MiB that the page cache holds, checks it, and makes float tensors of it.
template <Floating Stored>
void load_weights(benchmark::State& state) {
  const std::string path =
      (std::filesystem::temp_directory_path() / cat("plume-bench-", getpid(), ".safetensors"))
          .string();
  const index_t rows = (index_t{256} << 20) / 16 / 4096 / static_cast<index_t>(sizeof(Stored));
  io::StateDict weights;
  for (int i = 0; i < 16; ++i)
    weights.add(cat("layer.", i, ".weight"), io::StoredTensor(zeros<Stored>({rows, 4096})));
  io::write_safetensors(path, weights);
  for ([[maybe_unused]] auto _ : state) {
    for (const auto& [name, tensor] : io::read_weights(path)) {
      Tensor<float> value = tensor.template to<float>();
      if (std::is_same_v<Stored, float>) value = value.clone();  // else it is a view of the file
      benchmark::DoNotOptimize(value.data());
    }
  }
  std::filesystem::remove(path);
  state.counters["GB/s"] = Counter(0.268435456, Counter::kIsIterationInvariantRate);
}
BENCHMARK(load_weights<float>)
    ->Name("weights/load/float32")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(load_weights<half>)
    ->Name("weights/load/float16_to_float32")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
