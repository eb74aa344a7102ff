#pragma once
// What is done to the scores of the next token, one row [V] at a time: bans (a banned token scores -infinity),
// and what sampling does before it draws. Semantics of transformers 4.28's logits processors and warpers.

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

#include "plume/core/random.hpp"
#include "plume/generate/options.hpp"

namespace plume::generate {

inline void ban(std::span<double> scores, std::int64_t token) {
  if (token < 0 || token >= static_cast<std::int64_t>(scores.size()))
    fail<ValueError>("generate", cat("a token below ", scores.size()), token);
  scores[static_cast<std::size_t>(token)] = -HUGE_VAL;
}

/// Bans every token that would make the last n tokens a run that `tokens` (prompt and padding included) has.
inline void ban_repeated(std::span<double> scores, std::span<const std::int64_t> tokens,
                         index_t ngram) {
  const auto n = static_cast<std::size_t>(ngram);
  if (n == 0 || tokens.size() < n) return;
  const auto last = tokens.end() - static_cast<std::ptrdiff_t>(n - 1);
  for (auto run = tokens.begin(); run + static_cast<std::ptrdiff_t>(n) <= tokens.end(); ++run) {
    if (std::equal(last, tokens.end(), run)) ban(scores, run[static_cast<std::ptrdiff_t>(n - 1)]);
  }
}

/// All bans of `options`; `tokens` are prompt and new tokens of the row.
inline void apply_bans(std::span<double> scores, std::span<const std::int64_t> tokens,
                       index_t prompt_length, const Options& options) {
  ban_repeated(scores, tokens, options.no_repeat_ngram_size);
  const index_t made = static_cast<index_t>(tokens.size()) - prompt_length;
  if (made < options.min_new_tokens && options.eos >= 0) ban(scores, options.eos);
  for (const std::int64_t token : options.suppressed) ban(scores, token);
}

/// Logits to log-probabilities, in place. Throws NumericalError for NaN.
inline void to_log_probabilities(std::span<double> scores) {
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double s : scores) sum += std::exp(s - most);
  const double log_sum = most + std::log(sum);
  if (!std::isfinite(log_sum))
    fail<NumericalError>("generate", "finite logits", "NaN or infinity in them");
  for (double& s : scores) s -= log_sum;
}

/// The first of the highest. Throws NumericalError for NaN or infinity, ValueError where all are banned.
inline std::int64_t best(std::span<const double> scores) {
  const auto at = std::max_element(scores.begin(), scores.end());
  if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); }) ||
      *at == HUGE_VAL)
    fail<NumericalError>("generate", "finite logits", "NaN or infinity in them");
  if (*at == -HUGE_VAL) fail<ValueError>("generate", "a token that is not banned", "none");
  return at - scores.begin();
}

/// Bans what scores below the k-th highest (equals of it stay).
inline void keep_top_k(std::span<double> scores, index_t k) {
  if (k <= 0 || k >= static_cast<index_t>(scores.size())) return;
  std::vector<double> sorted(scores.begin(), scores.end());
  std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end(), std::greater<>());
  const double least = sorted[static_cast<std::size_t>(k - 1)];
  for (double& s : scores) {
    if (s < least) s = -HUGE_VAL;
  }
}

/// Bans the least likely tokens that together have a probability of at most 1 - p; the likeliest stays.
inline void keep_top_p(std::span<double> scores, double p) {
  if (p >= 1) return;
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  const double most = scores[order.back()];
  double sum = 0, below = 0;
  for (const std::size_t i : order) sum += std::exp(scores[i] - most);
  order.pop_back();
  for (const std::size_t i : order) {
    below += std::exp(scores[i] - most);
    if (below > (1 - p) * sum) return;
    scores[i] = -HUGE_VAL;
  }
}

/// A number in [0, 1) that depends on (seed, row, step) alone.
inline double draw(std::uint64_t seed, index_t row, index_t step) {
  const auto w = philox(seed, static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(step));
  return static_cast<double>((std::uint64_t{w[1]} << 32 | w[0]) >> 11) * 0x1p-53;
}

/// A token with probability softmax(scores / temperature) among those top-k and top-p keep; u in [0, 1).
inline std::int64_t sample(std::span<double> scores, const Options& options, double u) {
  const double most = scores[static_cast<std::size_t>(best(scores))];
  for (double& s : scores) s = (s - most) / options.temperature;
  keep_top_k(scores, options.top_k);
  keep_top_p(scores, options.top_p);
  double sum = 0;
  for (const double s : scores) sum += std::exp(s);
  double left = u * sum;
  std::int64_t token = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double p = std::exp(scores[i]);
    if (p == 0) continue;
    token = static_cast<std::int64_t>(i);
    if (left < p) break;
    left -= p;
  }
  return token;
}

}  // namespace plume::generate
