#pragma once
// Beam search as transformers 4.28's BeamSearchScorer does it: per text n running beams and a pool of at most n
// ended hypotheses.
//
//   score of a hypothesis = (sum of its log-probabilities) / length^length_penalty
//
// Of the n V continuations the 2n best are looked at, best first: one that ends the text goes into the pool if
// it is among the first n, others become the next beams. In one place the reference is not followed: 4.28 alone
// counts the length of running beams once per text of the batch, which 4.29 mended.

#include "plume/generate/scores.hpp"

namespace plume::generate {

struct Hypothesis {
  Ids tokens;  ///< new ones, without `eos`
  double score = 0;
};

/// The n best hypotheses of one text.
class HypothesisPool {
 public:
  HypothesisPool(index_t size, const Options& options, index_t prompt_length)
      : size_(static_cast<std::size_t>(size)), options_(options), prompt_(prompt_length) {}

  void add(Ids tokens, double sum) {
    const double score = sum / weight(prompt_ + static_cast<index_t>(tokens.size()));
    if (pool_.size() >= size_ && !(score > worst_)) return;
    pool_.push_back({std::move(tokens), score});
    worst_ = std::min(score, worst_);
    if (pool_.size() <= size_) return;
    const auto by_score = [](const Hypothesis& a, const Hypothesis& b) {
      return a.score < b.score;
    };
    pool_.erase(std::min_element(pool_.begin(), pool_.end(), by_score));
    worst_ = std::min_element(pool_.begin(), pool_.end(), by_score)->score;
  }
  /// Whether a running beam whose sum is `best_sum` after `length` tokens, prompt included, has no chance left.
  [[nodiscard]] bool done(double best_sum, index_t length) const {
    if (pool_.size() < size_) return false;
    if (options_.early_stopping == EarlyStopping::yes) return true;
    const bool longest =
        options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0;
    return worst_ >= best_sum / weight(longest ? prompt_ + options_.max_new_tokens : length);
  }
  /// Best first; of equals the younger first.
  [[nodiscard]] std::vector<Hypothesis> ranked() const {
    std::vector<Hypothesis> out(pool_.rbegin(), pool_.rend());
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.score > b.score; });
    return out;
  }

 private:
  [[nodiscard]] double weight(index_t length) const {
    return std::pow(static_cast<double>(length), options_.length_penalty);
  }
  std::size_t size_;
  Options options_;
  index_t prompt_;
  std::vector<Hypothesis> pool_;
  double worst_ = 1e9;
};

/// Knows nothing of models: takes log-probabilities, says which beams go on with which tokens.
class BeamSearch {
 public:
  /// prompts [B, T], padding included.
  BeamSearch(const std::vector<Ids>& prompts, const Options& options)
      : options_(options),
        beams_(options.num_beams),
        prompt_(prompts.empty() ? 0 : static_cast<index_t>(prompts[0].size())) {
    for (const Ids& prompt : prompts) {
      pools_.emplace_back(beams_, options, prompt_);
      for (index_t i = 0; i < beams_; ++i) {
        rows_.push_back(prompt);
        // Beams are equal at first; all but one wait until it has branched.
        sums_.push_back(i == 0 ? 0 : -1e9);
      }
    }
    done_.assign(pools_.size(), false);
    parents_.resize(rows_.size());
    tokens_.resize(rows_.size());
  }

  /// One step: logits of rows [B n, V]. After it row i is what row parents()[i] was, of the same text,
  /// followed by tokens()[i].
  void step(std::vector<double> logits) {
    const std::size_t vocabulary = logits.size() / rows_.size();
    const std::size_t n = static_cast<std::size_t>(beams_);
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      const auto scores = std::span(logits).subspan(row * vocabulary, vocabulary);
      if (done_[row / n]) continue;
      to_log_probabilities(scores);
      apply_bans(scores, rows_[row], prompt_, options_);
      for (double& s : scores) s += sums_[row];
    }
    for (std::size_t item = 0; item < pools_.size(); ++item) {
      if (done_[item]) {
        rest(item);
      } else {
        choose(item, std::span(logits).subspan(item * n * vocabulary, n * vocabulary), vocabulary);
      }
    }
    std::vector<Ids> next(rows_.size());
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      next[row] = rows_[static_cast<std::size_t>(parents_[row])];
      next[row].push_back(tokens_[row]);
    }
    rows_ = std::move(next);
    ++length_;
  }

  [[nodiscard]] std::span<const index_t> parents() const { return parents_; }
  [[nodiscard]] std::span<const std::int64_t> tokens() const { return tokens_; }
  [[nodiscard]] bool done() const {
    return length_ >= options_.max_new_tokens ||
           std::find(done_.begin(), done_.end(), false) == done_.end();
  }

  /// Per text its hypotheses, best first; running beams of texts that are not done count as ended here.
  [[nodiscard]] std::vector<std::vector<Hypothesis>> finish() const {
    std::vector<std::vector<Hypothesis>> out;
    for (std::size_t item = 0; item < pools_.size(); ++item) {
      HypothesisPool pool = pools_[item];
      const auto n = static_cast<std::size_t>(beams_);
      for (std::size_t row = item * n; !done_[item] && row < (item + 1) * n; ++row)
        pool.add(made(row), sums_[row]);
      out.push_back(pool.ranked());
    }
    return out;
  }

 private:
  [[nodiscard]] Ids made(std::size_t row) const {
    return Ids(rows_[row].begin() + prompt_, rows_[row].end());
  }
  void set(std::size_t row, std::size_t parent, std::int64_t token, double sum) {
    parents_[row] = static_cast<index_t>(parent);
    tokens_[row] = token;
    sums_[row] = sum;
  }
  /// The beams of a text that is done are not read again.
  void rest(std::size_t item) {
    const auto n = static_cast<std::size_t>(beams_);
    const std::int64_t pad = options_.pad >= 0 ? options_.pad : options_.eos;
    for (std::size_t row = item * n; row < (item + 1) * n; ++row) set(row, row, pad, 0);
  }
  /// scores [n V]: sums of the beams of one text continued by every token.
  void choose(std::size_t item, std::span<const double> scores, std::size_t vocabulary) {
    const auto n = static_cast<std::size_t>(beams_);
    const std::size_t looked_at = std::min(2 * n, scores.size());
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto better = [&](std::size_t a, std::size_t b) {
      return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(looked_at),
                      order.end(), better);
    std::vector<double> sums;
    for (std::size_t rank = 0; rank < looked_at && sums.size() < n; ++rank) {
      const std::size_t parent = item * n + order[rank] / vocabulary;
      const auto token = static_cast<std::int64_t>(order[rank] % vocabulary);
      const double sum = scores[order[rank]];
      if (token == options_.eos) {
        if (rank < n) pools_[item].add(made(parent), sum);
      } else {
        const std::size_t row = item * n + sums.size();
        parents_[row] = static_cast<index_t>(parent);
        tokens_[row] = token;
        sums.push_back(sum);
      }
    }
    if (sums.size() < n)
      fail<ValueError>("generate", cat("a vocabulary for ", beams_, " beams"), vocabulary);
    std::copy(sums.begin(), sums.end(), sums_.begin() + static_cast<std::ptrdiff_t>(item * n));
    done_[item] = pools_[item].done(scores[order[0]], prompt_ + length_ + 1);
  }

  Options options_;
  index_t beams_, prompt_;
  index_t length_ = 0;  // new tokens so far
  std::vector<Ids> rows_;
  std::vector<double> sums_;
  std::vector<HypothesisPool> pools_;
  std::vector<bool> done_;
  std::vector<index_t> parents_;
  Ids tokens_;
};

}  // namespace plume::generate
