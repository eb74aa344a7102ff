#include <doctest/doctest.h>
#include <unistd.h>  // sysconf

#include <fstream>

#include "plume/data/tar_writer.hpp"
#include "plume/train/trainer.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/train/small_model.hpp"

// A run, with its threads, log, event files and checkpoints, takes after ten thousand steps what it took after a hundred.

using namespace plume;
using namespace plume::test;

namespace {

constexpr std::int64_t end_of_chunk = 18, image = 19, pad = 0;
constexpr index_t side = 8;
constexpr std::size_t threads = 2, ahead = 4;

/// Samples are of one size, so that steps are.
data::Sample make(const data::Record& record) {
  const MemoryScope scope(MemoryTag::data);
  data::Sample out{record.shard, record.key, "text"};
  out.images = full<float>(Shape{1, 3, side, side}, 0.5F);
  out.ids = {image, 3 + static_cast<std::int64_t>(record.key.size() % 2), 5, end_of_chunk};
  return out;
}

/// What the allocator has given out, by tag.
struct Use {
  std::size_t current = 0, peak = 0;
  bool operator==(const Use&) const = default;
};
std::array<Use, memory_tag_count> uses() {
  std::array<Use, memory_tag_count> out;
  const auto stats = cpu_memory().stats();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = {stats.by_tag[i].current, stats.by_tag[i].peak};
  return out;
}

/// Bytes of the process that are in memory.
double resident() {
  std::ifstream file("/proc/self/statm");
  double size = 0, in_memory = 0;
  file >> size >> in_memory;
  return in_memory * static_cast<double>(sysconf(_SC_PAGESIZE));
}

TEST_CASE("memory: ten thousand steps of training take what a hundred take") {
  const Folder folder;
  std::vector<std::string> shards;
  for (int s = 0; s < 2; ++s) {
    data::TarWriter tar(shards.emplace_back(folder.file(cat("shard", s, ".tar"))));
    for (int r = 0; r < 9; ++r) tar.add(cat("r", 9 * s + r, ".txt"), "text");
    tar.commit();
  }
  const auto model = small_model<float>();
  data::SourceOptions source;
  source.shards = shards;
  source.shuffle = 5;
  data::Loader loader(
      source, [](data::Record record, double) { return make(record); },
      data::LoaderOptions{.threads = threads, .ahead = ahead});
  train::TrainerOptions options;
  options.pairs.loader = &loader;
  options.pairs.batch = 1;
  options.specials = {image, end_of_chunk, pad};
  options.steps = 10001;  // after the last one nobody is asked to stop
  options.run = folder.file("run");
  options.save_every = 3000;

  // In use, and the most of the ten steps before, one of which looks at gates and gradients.
  std::array<Use, memory_tag_count> early{}, late{};
  double resident_early = 0, resident_late = 0;
  index_t step = 0;
  options.stop = [&] {
    ++step;
    if (step == 90 || step == 9990) cpu_memory().reset_peak();
    if (step == 100) early = uses(), resident_early = resident();
    if (step == 10000) late = uses(), resident_late = resident();
    return false;
  };
  train::Trainer<float> trainer(*model, small_recipe(), options);
  CHECK(trainer.run() == train::End::finished);
  REQUIRE(resident_early > 0);
#if !defined(PLUME_SANITIZED)
  CHECK(resident_late < 1.05 * resident_early);
#endif
  for (std::size_t i = 0; i < memory_tag_count; ++i) {
    const auto tag = static_cast<MemoryTag>(i);
    INFO(name(tag), ": ", early[i].current, " and ", late[i].current, " bytes, peaks ",
         early[i].peak, " and ", late[i].peak);
    // How many samples lie ready is a matter of time; a batch is being made of one more.
    constexpr std::size_t samples = ahead + threads + 2;
    if (tag == MemoryTag::data) {
      constexpr std::size_t sample = 3 * side * side * sizeof(float);
      CHECK(late[i].peak <= samples * sample + 4096);
    } else if (tag == MemoryTag::graph) {
      // The pictures of each such sample have a storage object there.
      constexpr std::size_t room = samples * sizeof(Storage);
      CHECK(late[i].current <= early[i].current + room);
      CHECK(late[i].peak <= early[i].peak + room);
    } else {
      CHECK(late[i] == early[i]);
    }
  }
}

}  // namespace
