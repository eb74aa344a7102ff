#pragma once
// decode: greedy search, sampling and beam search over anything that continues texts.

#include <functional>

#include "plume/generate/beam_search.hpp"

namespace plume::generate {

/// Texts that can be continued. Logits are [rows, V], one row after the other.
class Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  virtual ~Reader() = default;
  /// Logits after the prompts [B, V]. Called first; calling it again starts anew.
  virtual std::vector<double> start() = 0;
  /// Row i becomes row parents[i] followed by tokens[i]; returns the logits after it. Rows of one prompt follow
  /// each other, as many for each; the first call may have more of them than prompts.
  virtual std::vector<double> advance(std::span<const index_t> parents,
                                      std::span<const std::int64_t> tokens) = 0;
};

struct Result {
  /// New tokens, `num_return_sequences` rows per prompt, all of one length: `eos` and padding included.
  std::vector<Ids> tokens;
  std::vector<double> scores;  ///< of each row, from beam search alone
};

/// Hears of each token as it is chosen; row counts as in Result::tokens.
using OnToken = std::function<void(index_t row, std::int64_t token)>;

namespace detail {

/// Each row of x `times` times.
inline std::vector<double> repeat_rows(const std::vector<double>& x, std::size_t rows,
                                       std::size_t times) {
  const auto width = static_cast<std::ptrdiff_t>(x.size() / rows);
  std::vector<double> out;
  out.reserve(x.size() * times);
  for (auto row = x.begin(); row != x.end(); row += width) {
    for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), row, row + width);
  }
  return out;
}

/// The parents of the first step: `times` rows from each prompt.
inline std::vector<index_t> spread(std::size_t rows, std::size_t times) {
  std::vector<index_t> out;
  for (std::size_t row = 0; row < rows * times; ++row)
    out.push_back(static_cast<index_t>(row / times));
  return out;
}

inline Result decode_beams(Reader& reader, const std::vector<Ids>& prompts, const Options& o) {
  const auto n = static_cast<std::size_t>(o.num_beams);
  BeamSearch search(prompts, o);
  search.step(repeat_rows(reader.start(), prompts.size(), n));
  // The first beams all come from the one row that was read of each prompt.
  std::vector<index_t> parents = spread(prompts.size(), n);
  while (!search.done()) {
    search.step(reader.advance(parents, search.tokens()));
    parents.assign(search.parents().begin(), search.parents().end());
  }
  Result out;
  std::size_t width = 0;
  for (auto& hypotheses : search.finish()) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(o.num_return_sequences); ++i) {
      out.tokens.push_back(std::move(hypotheses[i].tokens));
      out.scores.push_back(hypotheses[i].score);
      width = std::max(width, out.tokens.back().size() + 1);
    }
  }
  width = std::min(width, static_cast<std::size_t>(o.max_new_tokens));
  for (Ids& row : out.tokens) {
    if (row.size() < width && o.eos >= 0) row.push_back(o.eos);
    row.resize(width, o.pad >= 0 ? o.pad : o.eos);
  }
  return out;
}

inline Result decode_rows(Reader& reader, const std::vector<Ids>& prompts, const Options& o,
                          const OnToken& on_token) {
  const auto n = static_cast<std::size_t>(o.num_return_sequences);
  const std::int64_t pad = o.pad >= 0 ? o.pad : o.eos;
  std::vector<Ids> rows;
  std::vector<index_t> parents = spread(prompts.size(), n);
  for (const index_t parent : parents) rows.push_back(prompts[static_cast<std::size_t>(parent)]);
  const auto prompt = static_cast<index_t>(prompts[0].size());
  std::vector<bool> ended(rows.size(), false);
  std::vector<double> logits = repeat_rows(reader.start(), prompts.size(), n);
  Ids tokens(rows.size());
  for (index_t step = 0;; ++step) {
    const std::size_t V = logits.size() / rows.size();
    for (std::size_t row = 0; row < rows.size(); ++row) {
      tokens[row] = pad;
      if (!ended[row]) {
        const std::span<double> scores(logits.data() + row * V, V);
        apply_bans(scores, rows[row], prompt, o);
        const auto r = static_cast<index_t>(row);
        tokens[row] = o.sample ? generate::sample(scores, o, draw(o.seed, r, step)) : best(scores);
        ended[row] = tokens[row] == o.eos;
        if (on_token) on_token(r, tokens[row]);
      }
      rows[row].push_back(tokens[row]);
    }
    if (step + 1 == o.max_new_tokens || std::find(ended.begin(), ended.end(), false) == ended.end())
      break;
    logits = reader.advance(parents, tokens);
    if (step == 0) std::iota(parents.begin(), parents.end(), index_t{0});
  }
  Result out;
  for (const Ids& row : rows) out.tokens.emplace_back(row.begin() + prompt, row.end());
  return out;
}

}  // namespace detail

/// Continues `prompts`, which are of one length. Throws ValueError for options that cannot be.
inline Result decode(Reader& reader, const std::vector<Ids>& prompts, const Options& options,
                     const OnToken& on_token = {}) {
  check(options);
  if (prompts.empty()) return {};
  for (const Ids& prompt : prompts) {
    if (prompt.size() != prompts[0].size())
      fail<ShapeError>("generate",
                       cat("prompts of ", prompts[0].size(), " tokens, padding included"),
                       prompt.size());
  }
  if (options.num_beams == 1) return detail::decode_rows(reader, prompts, options, on_token);
  if (on_token)
    fail<ValueError>("generate", "num_beams 1 to hear of each token", options.num_beams);
  return detail::decode_beams(reader, prompts, options);
}

}  // namespace plume::generate
