#pragma once
// How texts are continued. The names and defaults are those of transformers 4.28's `generate`, except that
// a text ends at <|endofchunk|> and 20 new tokens are the default.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "plume/core/error.hpp"
#include "plume/core/shape.hpp"

namespace plume::generate {

using Ids = std::vector<std::int64_t>;

/// When beam search is done with a text that has `num_beams` hypotheses.
enum class EarlyStopping : std::uint8_t {
  no,     ///< when its best running beam, ended now, would not beat its worst hypothesis
  yes,    ///< at once
  never,  ///< as `no`, but the best running beam is judged at the length that suits it best
};

/// One beam is greedy search, or sampling if `sample`; more are beam search.
struct Options {
  index_t max_new_tokens = 20;
  index_t min_new_tokens = 0;  ///< before them no text ends
  index_t num_beams = 1;
  /// A hypothesis scores the sum of its log-probabilities / length^length_penalty, where the length
  /// counts the prompt and its padding and does not count `eos`.
  double length_penalty = 1;
  EarlyStopping early_stopping = EarlyStopping::no;
  index_t num_return_sequences = 1;  ///< per prompt; beams: the best, best first; else samples
  index_t no_repeat_ngram_size = 0;  ///< no run of so many tokens twice, prompt included; 0: may be

  bool sample = false;
  double temperature = 1;
  index_t top_k = 50;  ///< sample from the k likeliest; 0: from all
  double top_p = 1;    ///< sample from the fewest likeliest that have this probability together
  std::uint64_t seed = 0;

  std::int64_t eos = -1;  ///< ends a text: <|endofchunk|>; -1: nothing does
  std::int64_t pad = -1;  ///< fills what has ended; -1: `eos`
  Ids suppressed{};       ///< never chosen: <image>, <PAD>
};

/// Throws ValueError naming the option that cannot be.
inline void check(const Options& o) {
  const auto need = [](bool ok, const char* expected, const auto& got) {
    if (!ok) fail<ValueError>("generate", expected, got);
  };
  need(o.max_new_tokens >= 1, "max_new_tokens >= 1", o.max_new_tokens);
  need(o.min_new_tokens >= 0, "min_new_tokens >= 0", o.min_new_tokens);
  need(o.min_new_tokens <= o.max_new_tokens, "min_new_tokens <= max_new_tokens", o.min_new_tokens);
  need(o.num_beams >= 1, "num_beams >= 1", o.num_beams);
  need(std::isfinite(o.length_penalty), "a finite length_penalty", o.length_penalty);
  need(o.num_return_sequences >= 1, "num_return_sequences >= 1", o.num_return_sequences);
  need(o.sample || o.num_return_sequences <= o.num_beams,
       "num_return_sequences <= num_beams where nothing is sampled", o.num_return_sequences);
  need(o.no_repeat_ngram_size >= 0, "no_repeat_ngram_size >= 0", o.no_repeat_ngram_size);
  need(!o.sample || o.num_beams == 1, "num_beams 1 for sampling", o.num_beams);
  need(o.temperature > 0 && std::isfinite(o.temperature), "a finite temperature > 0",
       o.temperature);
  need(o.top_k >= 0, "top_k >= 0", o.top_k);
  need(o.top_p > 0 && o.top_p <= 1, "top_p in (0, 1]", o.top_p);
  need(o.eos >= -1, "eos, a token or -1", o.eos);
  need(o.pad >= -1, "pad, a token or -1", o.pad);
}

/// `o` for prompts of up to `prompt` tokens and a model that reads up to `positions`: a text stops, at the latest, with the
/// token that follows the last one the model can read. Throws ValueError where the prompt, or min_new_tokens after it,
/// are too long for that.
inline Options within(index_t positions, index_t prompt, Options o) {
  if (prompt > positions) {
    fail<ValueError>("generate",
                     cat("a prompt of at most ", positions,
                         " tokens, the positions of the language model: fewer shots or a shorter "
                         "text"),
                     cat(prompt, " tokens"));
  }
  const index_t room = positions - prompt + 1;  // the last new token is not read
  if (o.min_new_tokens > room) {
    fail<ValueError>("generate",
                     cat("at most ", room,
                         " new tokens to be asked for (min_new_tokens) after a "
                         "prompt of ",
                         prompt, " tokens: the language model has ", positions, " positions"),
                     o.min_new_tokens);
  }
  o.max_new_tokens = std::min(o.max_new_tokens, room);
  return o;
}

}  // namespace plume::generate
