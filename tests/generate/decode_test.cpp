#include <doctest/doctest.h>

#include <limits>

#include "tests/generate/toy_reader.hpp"

// Decoding without a model: every text there can be is scored by hand and the search's choice compared.

using namespace plume;
using namespace plume::generate;
using plume::test::ToyReader;

namespace {

constexpr std::int64_t eos = 0;

Options options(index_t beams, index_t length, double penalty = 1) {
  Options o;
  o.num_beams = beams;
  o.max_new_tokens = length;
  o.length_penalty = penalty;
  o.eos = eos;
  return o;
}

/// The sum of the log-probabilities of `made` after `prompt`.
double log_probability(const ToyReader& toy, Ids prompt, const Ids& made) {
  double sum = 0;
  for (const std::int64_t token : made) {
    std::vector<double> row = toy.logits(prompt);
    to_log_probabilities(row);
    sum += row[static_cast<std::size_t>(token)];
    prompt.push_back(token);
  }
  return sum;
}

/// Greedy by the book.
Ids greedy(const ToyReader& toy, Ids text, index_t length) {
  Ids made;
  while (static_cast<index_t>(made.size()) < length) {
    made.push_back(best(toy.logits(text)));
    text.push_back(made.back());
    if (made.back() == eos) break;
  }
  return made;
}

/// Every text of up to `length` tokens that ends with eos or is that long.
void every_text(Ids& made, std::int64_t V, index_t length, std::vector<Ids>& out) {
  for (std::int64_t token = 0; token < V; ++token) {
    made.push_back(token);
    if (token == eos || static_cast<index_t>(made.size()) == length) {
      out.push_back(made);
    } else {
      every_text(made, V, length, out);
    }
    made.pop_back();
  }
}

const std::vector<Ids> prompts{{1, 2, 3}, {3, 1, 1}, {2, 2, 2}};

TEST_CASE("decode: one beam is greedy search, text for text") {
  ToyReader toy(prompts, 5, 11);
  ToyReader reader(prompts, 5, 11);
  const Result r = decode(reader, prompts, options(1, 12));
  REQUIRE(r.tokens.size() == 3);
  CHECK(r.scores.empty());
  std::size_t longest = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const Ids expected = greedy(toy, prompts[i], 12);
    longest = std::max(longest, expected.size());
    CHECK(Ids(r.tokens[i].begin(), r.tokens[i].begin() + static_cast<index_t>(expected.size())) ==
          expected);
    for (std::size_t t = expected.size(); t < r.tokens[i].size(); ++t)
      CHECK(r.tokens[i][t] == eos);  // padding
  }
  CHECK(r.tokens[0].size() == longest);
  CHECK(reader.steps == static_cast<int>(longest) - 1);  // the last tokens are not read
}

TEST_CASE("decode: BeamSearch with one beam chooses what greedy search does") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ToyReader reader({prompts[0]}, 5, seed);
    const Options o = options(1, 8, 0);
    BeamSearch search({prompts[0]}, o);
    std::vector<double> logits = reader.start();
    search.step(logits);
    while (!search.done()) {
      logits = reader.advance(search.parents(), search.tokens());
      search.step(logits);
    }
    const Hypothesis h = search.finish()[0][0];
    Ids expected = greedy(reader, prompts[0], 8);
    const double sum = log_probability(reader, prompts[0], expected);
    if (expected.back() == eos) expected.pop_back();
    // With one beam a better ending met earlier wins over the text greedy search goes on with.
    if (h.tokens == expected)
      CHECK(h.score == doctest::Approx(sum));
    else
      CHECK(h.score > sum);
  }
}

TEST_CASE("decode: as many beams as there are texts find the best text of all") {
  std::vector<Ids> texts;
  Ids made;
  every_text(made, 3, 3, texts);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    for (const double penalty : {0.0, 1.0, -1.0}) {
      ToyReader reader(prompts, 3, seed);
      const ToyReader toy(prompts, 3, seed);
      Options o = options(2 * 2 * 2, 3, penalty);
      o.num_return_sequences = 3;
      o.early_stopping = EarlyStopping::never;
      const Result r = decode(reader, prompts, o);
      for (std::size_t b = 0; b < prompts.size(); ++b) {
        std::vector<double> scores;
        for (const Ids& text : texts) {
          const std::size_t length = text.size() - (text.back() == eos ? 1 : 0);
          scores.push_back(log_probability(toy, prompts[b], text) /
                           std::pow(static_cast<double>(3 + length), penalty));
        }
        std::sort(scores.begin(), scores.end(), std::greater<>());
        CHECK(r.scores[3 * b] == doctest::Approx(scores[0]));
        if (penalty >= 0) CHECK(r.scores[3 * b + 1] == doctest::Approx(scores[1]));
        CHECK(r.scores[3 * b] >= r.scores[3 * b + 1]);
        CHECK(r.scores[3 * b + 1] >= r.scores[3 * b + 2]);
      }
    }
  }
}

TEST_CASE(
    "decode: a text's beams do not depend on the texts beside it, and scores are those of the "
    "texts") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Options o = options(3, 7, 0);
    o.num_return_sequences = 2;
    o.no_repeat_ngram_size = seed % 2 == 0 ? 2 : 0;
    ToyReader together(prompts, 8, seed);
    const Result all = decode(together, prompts, o);
    REQUIRE(all.tokens.size() == 6);
    for (std::size_t b = 0; b < prompts.size(); ++b) {
      ToyReader alone({prompts[b]}, 8, seed);
      const Result one = decode(alone, {prompts[b]}, o);
      for (std::size_t i = 0; i < 2; ++i) {
        const Ids& x = all.tokens[2 * b + i];
        const Ids& y = one.tokens[i];
        CHECK(all.scores[2 * b + i] == one.scores[i]);
        const std::size_t both = std::min(x.size(), y.size());
        CHECK(std::equal(x.begin(), x.begin() + static_cast<index_t>(both), y.begin()));
        Ids text(y.begin(), std::find(y.begin(), y.end(), eos));
        if (text.size() < 7) text.push_back(eos);
        CHECK(one.scores[i] == doctest::Approx(log_probability(alone, prompts[b], text)));
      }
    }
  }
}

TEST_CASE("decode: nothing banned is chosen; no text ends early") {
  for (const index_t beams : {1, 3}) {
    ToyReader reader(prompts, 6, 5);
    Options o = options(beams, 9, 0);
    o.suppressed = {4};
    o.min_new_tokens = 5;
    o.pad = 5;
    for (const Ids& row : decode(reader, prompts, o).tokens) {
      const auto end = std::find(row.begin(), row.end(), eos);
      CHECK(end - row.begin() >= 5);
      CHECK(std::find(row.begin(), row.end(), 4) == row.end());
      CHECK(std::all_of(end == row.end() ? end : end + 1, row.end(),
                        [](std::int64_t t) { return t == 5; }));
    }
  }
}

TEST_CASE("decode: a text is done as early as early_stopping says") {
  const auto steps = [](EarlyStopping when) {
    int sum = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      ToyReader reader(prompts, 4, seed);
      Options o = options(2, 30, 1);
      o.early_stopping = when;
      decode(reader, prompts, o);
      sum += reader.steps;
    }
    return sum;
  };
  const int yes = steps(EarlyStopping::yes), no = steps(EarlyStopping::no),
            never = steps(EarlyStopping::never);
  CHECK(yes < no);
  CHECK(no < never);
}

TEST_CASE("decode: sampling repeats with its seed, differs without, and can be listened to") {
  Options o = options(1, 10);
  o.sample = true;
  o.seed = 4;
  o.num_return_sequences = 3;
  const auto run = [&](const OnToken& hear = {}) {
    ToyReader reader(prompts, 9, 2);
    return decode(reader, prompts, o, hear).tokens;
  };
  std::vector<Ids> heard(9);
  const std::vector<Ids> first = run([&](index_t row, std::int64_t token) {
    heard.at(static_cast<std::size_t>(row)).push_back(token);
  });
  REQUIRE(first.size() == 9);
  CHECK(first == run());
  CHECK(std::set<Ids>(first.begin(), first.end()).size() > 5);
  for (std::size_t row = 0; row < 9; ++row) {
    Ids text = heard[row];
    text.resize(first[row].size(), eos);
    CHECK(text == first[row]);
  }
  o.seed = 5;
  CHECK(first != run());
  o.top_k = 1;  // leaves no choice
  const ToyReader toy(prompts, 9, 2);
  CHECK(run()[4] == [&] {
    Ids text = greedy(toy, prompts[1], 10);
    text.resize(run()[4].size(), eos);
    return text;
  }());
}

TEST_CASE("decode: what it cannot do is said") {
  ToyReader reader(prompts, 6, 5);
  CHECK_THROWS_WITH_AS(decode(reader, prompts, options(2, 4), [](index_t, std::int64_t) {}),
                       doctest::Contains("num_beams 1 to hear"), ValueError);
  CHECK_THROWS_AS(decode(reader, {{1, 2}, {1}}, options(1, 4)), ShapeError);
  CHECK_THROWS_AS(decode(reader, prompts, options(0, 4)), ValueError);
  CHECK(decode(reader, {}, options(1, 4)).tokens.empty());
}

TEST_CASE("within: texts end where the positions of the model do, and what cannot fit is refused") {
  Options o = options(1, 20);
  o.min_new_tokens = 3;
  CHECK(within(128, 100, o).max_new_tokens == 20);
  CHECK(within(128, 109, o).max_new_tokens == 20);  // the last one is not read
  CHECK(within(128, 110, o).max_new_tokens == 19);
  CHECK(within(128, 126, o).max_new_tokens == 3);
  CHECK_THROWS_WITH_AS(within(128, 127, o), doctest::Contains("at most 2 new tokens"), ValueError);
  CHECK_THROWS_WITH_AS(within(128, 129, o), doctest::Contains("a prompt of at most 128 tokens"),
                       ValueError);
  CHECK(within(std::numeric_limits<index_t>::max(), 5, o).max_new_tokens == 20);
}

}  // namespace
