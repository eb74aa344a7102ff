#pragma once
// MemoryCount: a dry run (core/dry_run.hpp) that counts, by label, what a program would have at once.
//
//   MemoryCount count([](MemoryTag tag) { return std::string(name(tag)); });
//   step(model);      // as ever: the same allocations, no numbers
//   count.peak();     // the most bytes it would have had at once
//
// What it gives is address space with nothing behind it: a page becomes memory when it is written to, which the
// loops that still run do to few of them. So a model that fits no machine can be counted on any.

#include <sys/mman.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "plume/core/dry_run.hpp"

namespace plume::train {

class MemoryCount final : public DryRun {
 public:
  /// `label` is asked at every allocation what it is for.
  explicit MemoryCount(std::function<std::string(MemoryTag)> label)
      : counts_(std::make_shared<Counts>()), label_(std::move(label)) {
    counts_->nodes_before = nodes();
  }

  /// Most bytes at once so far, those of the nodes of graphs included.
  [[nodiscard]] std::size_t peak() const {
    counts_->look();
    return counts_->peak;
  }
  /// What they were for. Nodes of graphs are under "graph".
  [[nodiscard]] const std::map<std::string, std::size_t>& at_peak() const {
    counts_->look();
    return counts_->at_peak;
  }

  [[nodiscard]] std::shared_ptr<void> take(std::size_t bytes, MemoryTag tag) override {
    const std::size_t size = bytes > 0 ? bytes : 1;
    const bool mapped = size >= smallest_mapping;
    void* p = mapped ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                     : std::calloc(1, size);
    if (p == nullptr || p == MAP_FAILED)
      throw OutOfMemory(
          cat("[memory_count] expected ", bytes, " bytes of address space, got none"));
    std::string label = label_(tag);
    counts_->live += bytes;
    counts_->by_label[label] += bytes;
    counts_->rising = true;
    return {p, [counts = counts_, label = std::move(label), bytes, size, mapped](void* q) {
              counts->look();
              counts->live -= bytes;
              counts->by_label[label] -= bytes;
              if (mapped) {
                ::munmap(q, size);
              } else {
                std::free(q);
              }
            }};
  }

 private:
  static constexpr std::size_t smallest_mapping = std::size_t{1} << 16;

  struct Counts {
    std::size_t live = 0, peak = 0, nodes_before = 0;
    bool rising = false;  // something was taken since the last look
    std::map<std::string, std::size_t> by_label, at_peak;

    // Before anything is freed, and when asked: no peak lies between.
    void look() {
      if (!rising) return;
      rising = false;
      const std::size_t graph = nodes() > nodes_before ? nodes() - nodes_before : 0;
      if (live + graph <= peak) return;
      peak = live + graph;
      at_peak = by_label;
      at_peak["graph"] += graph;
    }
  };
  static std::size_t nodes() { return cpu_memory().stats()[MemoryTag::graph].current; }

  std::shared_ptr<Counts> counts_;
  std::function<std::string(MemoryTag)> label_;
};

}  // namespace plume::train
