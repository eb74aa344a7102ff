// The loader by threads: shards of JPEG files in, tensors of 224 pixels a side and ids out.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "bench/workloads/pictures.hpp"
#include "plume/data/loader.hpp"
#include "plume/data/tar_writer.hpp"
#include "plume/io/base64.hpp"

namespace {

using namespace plume;
using benchmark::Counter;

constexpr int records = 16;

/// A shard of its own, gone afterwards.
struct TarFile {
  std::string path =
      (std::filesystem::temp_directory_path() / cat("plume-bench-", getpid(), ".tar"));
  TarFile() = default;
  ~TarFile() { std::filesystem::remove(path); }
  TarFile(const TarFile&) = delete;
  TarFile& operator=(const TarFile&) = delete;
};

void write_pairs(const std::string& path) {
  const std::vector<std::byte> picture = bench::jpeg(bench::picture(640, 480));
  data::TarWriter tar(path);
  for (int i = 0; i < records; ++i) {
    tar.add(cat(i, ".jpg"), picture);
    tar.add(cat(i, ".txt"), "A disc on a wall, somewhat out of the middle, in the evening.");
  }
  tar.commit();
}
/// Four pictures and as many sentences each, as MMC4 has them.
void write_documents(const std::string& path) {
  const std::string picture = io::base64_encode(bench::jpeg(bench::picture(640, 480)));
  io::Json document;
  for (std::size_t i = 0; i < 4; ++i) {
    document["text_list"].push_back(cat("Sentence ", i, " of a page tells what is to be seen."));
    document["image_info"].push_back({{"image_base64", picture}});
    std::vector<double> row(4, 0.1);
    row[i] = 0.5;
    document["similarity_matrix"].push_back(row);
  }
  data::TarWriter tar(path);
  for (int i = 0; i < records; ++i) tar.add(cat(i, ".json"), io::print_json(document));
  tar.commit();
}

void load(benchmark::State& state, void (*write)(const std::string&), bool pairs) {
  const TarFile shard;
  write(shard.path);
  const auto tokenizer = text::Tokenizer::load(
      (std::filesystem::path(PLUME_SOURCE_DIR) / "tests/golden/data/tokenizer").string());
  data::LoaderOptions options;
  options.threads = static_cast<std::size_t>(state.range(0));
  options.image_size = 224;
  data::SourceOptions source;
  source.shards = {shard.path};
  source.shuffle = records;
  data::Loader loader(source, pairs ? data::pair_maker(tokenizer) : data::document_maker(tokenizer),
                      options);
  // What was made ahead before the clock runs would count as fast: it is used up first.
  for (std::size_t i = 0; i < options.ahead; ++i) loader.next();
  std::size_t samples = 0, images = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (int i = 0; i < records; ++i) {
      const auto sample = loader.next();
      images += static_cast<std::size_t>(sample->images.size(0));
      ++samples;
    }
  }
  state.counters["images/s"] = Counter(static_cast<double>(images), Counter::kIsRate);
  state.counters[pairs ? "pairs/s" : "documents/s"] =
      Counter(static_cast<double>(samples), Counter::kIsRate);
}
#define PLUME_THREADS(write, pairs, name)      \
  BENCHMARK_CAPTURE(load, write, write, pairs) \
      ->Name("loader/" name)                   \
      ->ArgName("threads")                     \
      ->Arg(0)                                 \
      ->Arg(1)                                 \
      ->Arg(2)                                 \
      ->Arg(4)                                 \
      ->UseRealTime()                          \
      ->Unit(benchmark::kMillisecond)
PLUME_THREADS(write_pairs, true, "pairs");
PLUME_THREADS(write_documents, false, "documents");

}  // namespace
