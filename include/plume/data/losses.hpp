#pragma once
// Losses: what became of every record. seen = emitted + dropped, always; what was dropped is counted by reason, and
// when too much is damaged the run stops with the worst shards named.

#include <algorithm>
#include <cstdint>
#include <map>

#include "plume/data/sample.hpp"
#include "plume/io/json.hpp"

namespace plume::data {

/// Too much of the data is lost to go on.
struct DataLossError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LossLimits {
  double most_damage = 0.1;          ///< share of records that may be broken or missing
  std::uint64_t after = 1000;        ///< records seen before that is judged
  std::uint64_t fruitless = 10'000;  ///< records in a row without a single sample
};

class Losses {
 public:
  /// `note`: what is odd about the sample; empty for most.
  void emitted(const std::string& note = {}) {
    if (!note.empty()) ++notes_[note];
    ++seen_;
    ++emitted_;
    since_sample_ = 0;
  }
  /// A shard that cannot be read counts as one record.
  void dropped(const std::string& shard, const Drop& drop) {
    ++seen_;
    ++since_sample_;
    ++reasons_[drop.what()];
    if (drop.kind() == Drop::Kind::damage) {
      ++damaged_;
      ++shards_[shard];
    }
  }

  [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }
  [[nodiscard]] std::uint64_t emitted_count() const noexcept { return emitted_; }
  [[nodiscard]] std::uint64_t damaged() const noexcept { return damaged_; }
  [[nodiscard]] std::uint64_t dropped_count() const {
    std::uint64_t sum = 0;
    for (const auto& [reason, count] : reasons_) sum += count;
    return sum;
  }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& reasons() const noexcept {
    return reasons_;
  }

  /// Samples that were emitted though something is odd about them, by what it is.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& notes() const noexcept {
    return notes_;
  }

  /// The shards with most damage, most first.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> worst(std::size_t most) const {
    std::vector<std::pair<std::string, std::uint64_t>> out(shards_.begin(), shards_.end());
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    out.resize(std::min(out.size(), most));
    return out;
  }

  /// Throws DataLossError past a limit.
  void check(const LossLimits& limits) const {
    const bool damage =
        seen_ >= limits.after &&
        static_cast<double>(damaged_) > limits.most_damage * static_cast<double>(seen_);
    if (damage) {
      fail<DataLossError>("data", cat("at most ", limits.most_damage, " of the records damaged"),
                          cat(damaged_, " of ", seen_, summary()));
    }
    if (since_sample_ >= limits.fruitless) {
      fail<DataLossError>("data", cat("a sample in ", limits.fruitless, " records"),
                          cat("none", summary()));
    }
  }

  /// "; REASON: N; ...; worst shards: PATH (N), ..."
  [[nodiscard]] std::string summary() const {
    std::string out;
    for (const auto& [reason, count] : reasons_) out += cat("; ", reason, ": ", count);
    const char* before = "; worst shards: ";
    for (const auto& [shard, count] : worst(5)) {
      out += cat(before, shard, " (", count, ")");
      before = ", ";
    }
    return out;
  }

  [[nodiscard]] io::Json state() const {
    return {{"seen", seen_},       {"emitted", emitted_}, {"damaged", damaged_},
            {"reasons", reasons_}, {"shards", shards_},   {"since_sample", since_sample_},
            {"notes", notes_}};
  }
  void set_state(const io::Json& state) {
    seen_ = state.at("seen");
    emitted_ = state.at("emitted");
    damaged_ = state.at("damaged");
    since_sample_ = state.at("since_sample");
    reasons_ = state.at("reasons").get<std::map<std::string, std::uint64_t>>();
    shards_ = state.at("shards").get<std::map<std::string, std::uint64_t>>();
    notes_ = state.value("notes", std::map<std::string, std::uint64_t>());
  }

 private:
  std::uint64_t seen_ = 0, emitted_ = 0, damaged_ = 0, since_sample_ = 0;
  std::map<std::string, std::uint64_t> reasons_;
  std::map<std::string, std::uint64_t> notes_;
  std::map<std::string, std::uint64_t> shards_;  ///< damage by shard, where there is any
};

}  // namespace plume::data
