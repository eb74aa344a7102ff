#pragma once
// A language model without weights: the logits after a text are numbers made of its tokens and a seed, so that
// whole texts matter and a mixed-up row shows.

#include <set>

#include "plume/generate/decode.hpp"

namespace plume::test {

class ToyReader : public generate::Reader {
 public:
  ToyReader(std::vector<generate::Ids> prompts, std::size_t vocabulary, std::uint64_t seed)
      : rows_(std::move(prompts)), vocabulary_(vocabulary), seed_(seed) {}

  /// Logits after one text; tokens of -1 (padding) count like others.
  [[nodiscard]] std::vector<double> logits(const generate::Ids& text) const {
    std::uint64_t hash = seed_;
    for (const std::int64_t t : text) hash = philox(hash, 7, static_cast<std::uint64_t>(t))[0];
    std::vector<double> out;
    for (std::size_t v = 0; v < vocabulary_; ++v)
      out.push_back(4 * generate::draw(hash, 0, static_cast<index_t>(v)));
    return out;
  }
  std::vector<double> start() override { return all(); }
  std::vector<double> advance(std::span<const index_t> parents,
                              std::span<const std::int64_t> tokens) override {
    std::vector<generate::Ids> next;
    for (std::size_t i = 0; i < parents.size(); ++i) {
      next.push_back(rows_.at(static_cast<std::size_t>(parents[i])));
      next.back().push_back(tokens[i]);
    }
    rows_ = std::move(next);
    ++steps;
    return all();
  }

  int steps = 0;

 private:
  [[nodiscard]] std::vector<double> all() const {
    std::vector<double> out;
    for (const auto& row : rows_) {
      const auto one = logits(row);
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }
  std::vector<generate::Ids> rows_;
  std::size_t vocabulary_;
  std::uint64_t seed_;
};

}  // namespace plume::test
