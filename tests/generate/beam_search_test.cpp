#include <doctest/doctest.h>

#include "plume/generate/beam_search.hpp"

// The rules of the scorer one by one, on probabilities written down by hand.

using namespace plume;
using namespace plume::generate;

namespace {

constexpr std::int64_t eos = 0;

Options options(index_t beams, double penalty, EarlyStopping when = EarlyStopping::no) {
  Options o;
  o.num_beams = beams;
  o.max_new_tokens = 9;
  o.length_penalty = penalty;
  o.early_stopping = when;
  o.eos = eos;
  return o;
}

std::vector<double> logs(std::vector<double> p) {
  for (double& x : p) x = std::log(x);
  return p;
}

TEST_CASE("beam search: the pool keeps the best hypotheses") {
  HypothesisPool pool(2, options(2, 0), 1);
  pool.add({1}, -4);
  CHECK_FALSE(pool.done(-100, 3));  // not full
  pool.add({2}, -3);
  pool.add({3}, -5);  // worse than the worst
  CHECK(pool.ranked().size() == 2);
  CHECK(pool.ranked()[1].tokens == Ids{1});
  pool.add({4}, -2);
  CHECK(pool.ranked()[0].tokens == Ids{4});
  CHECK(pool.ranked()[1].tokens == Ids{2});
  pool.add({5}, -3);  // no better than the worst
  CHECK(pool.ranked()[1].tokens == Ids{2});
  pool.add({6}, -2);  // of equals the younger is first, and the older goes first
  CHECK(pool.ranked()[0].tokens == Ids{6});
  pool.add({7}, -1);
  CHECK(pool.ranked()[1].tokens == Ids{6});
}

TEST_CASE("beam search: the length counts prompt and new tokens") {
  HypothesisPool pool(2, options(2, 2), 3);
  pool.add({}, -18);
  pool.add({1, 1}, -50);
  CHECK(pool.ranked()[0].score == -2);
  CHECK(pool.ranked()[1].score == -2);
}

TEST_CASE(
    "beam search: a text is done when the best running beam cannot beat its worst hypothesis") {
  const auto pool = [](double penalty, EarlyStopping when) {
    HypothesisPool out(2, options(2, penalty, when), 1);
    out.add({1}, -4);     // length 2
    out.add({1, 1}, -3);  // length 3
    return out;
  };
  const HypothesisPool no = pool(1, EarlyStopping::no);  // scores -2, -1
  CHECK(no.done(-8, 4));
  CHECK_FALSE(no.done(-7.99, 4));
  const HypothesisPool never = pool(1, EarlyStopping::never);  // judged at 1 + 9 tokens
  CHECK(never.done(-20, 4));
  CHECK_FALSE(never.done(-19.9, 4));
  CHECK(pool(1, EarlyStopping::yes).done(0, 4));
  // Where longer is worse, `never` judges at the length there is: scores -8, -9.
  CHECK(pool(-1, EarlyStopping::never).done(-3, 3));
  CHECK_FALSE(pool(-1, EarlyStopping::never).done(-2.99, 3));
}

TEST_CASE("beam search: an ending counts only among the first n continuations") {
  // So short a text would win by far if it counted.
  const auto made = [](double p_eos) {
    BeamSearch search({{1}}, options(2, -10));
    const double rest = (1 - p_eos) / 10;
    auto row = logs({p_eos, 6 * rest, 3 * rest, rest});
    row.insert(row.end(), row.begin(), row.end());
    search.step(row);
    CHECK(search.tokens()[0] == 1);
    CHECK(search.tokens()[1] == 2);
    return search.finish()[0][0].tokens;
  };
  CHECK(made(0.15) == Ids{1});  // third: .51 .255 .15
  CHECK(made(0.30) == Ids{});   // second: .42 .3 .21

  // Also where beams are still missing after the first n.
  BeamSearch search({{1}}, options(2, -10));
  search.step(logs({0.1, 0.5, 0.4, 0.1, 0.5, 0.4}));
  search.step(logs({0.35, 0.6, 0.05, 0.4, 0.31, 0.29}));  // .3, end .175, end .16, .124
  CHECK(Ids(search.tokens().begin(), search.tokens().end()) == Ids{1, 1});
  const std::vector<Hypothesis> both = search.finish()[0];
  CHECK(both[0].tokens == Ids{1});
  CHECK(both[1].tokens == Ids{1, 1});
}

TEST_CASE("beam search: when it is over") {
  // One beam: the text could end at once with log .6 / 1, or go on with the token 1.
  const auto done_after = [](double p) {
    BeamSearch search({{1}}, options(1, 1));
    search.step(logs({0.6, 0.4}));
    CHECK_FALSE(search.done());  // log .6 / 2 could be better
    search.step(logs({1 - p, p}));
    return search.done();
  };
  CHECK(done_after(0.5));        // (log .4 + log .5) / 3 = -.536 < log .6 = -.511
  CHECK_FALSE(done_after(0.6));  // (log .4 + log .6) / 3 = -.476
}

TEST_CASE("beam search: beams branch, and rows follow their parents") {
  BeamSearch search({{3}}, options(2, 0));
  search.step(logs({0.1, 0.5, 0.4, 0.1, 0.5, 0.4}));
  CHECK(Ids(search.tokens().begin(), search.tokens().end()) == Ids{1, 2});
  // .5 * (.1 .5 .4) and .4 * (.05 .05 .9): both best continue different beams, in another order.
  search.step(logs({0.1, 0.5, 0.4, 0.05, 0.05, 0.9}));
  CHECK(search.parents()[0] == 1);
  CHECK(search.parents()[1] == 0);
  CHECK(Ids(search.tokens().begin(), search.tokens().end()) == Ids{2, 1});
  const std::vector<Hypothesis> made = search.finish()[0];
  CHECK(made[0].tokens == Ids{2, 2});
  CHECK(made[0].score == doctest::Approx(std::log(0.36)));
  CHECK(made[1].tokens == Ids{1, 1});
}

TEST_CASE("beam search: of equal continuations the first; too few of them are refused") {
  BeamSearch search({{3}}, options(2, 0));
  search.step(std::vector<double>(10, 0.0));
  CHECK(Ids(search.tokens().begin(), search.tokens().end()) == Ids{1, 2});
  BeamSearch tiny({{3}}, options(2, 0));
  CHECK_THROWS_WITH_AS(tiny.step({0, 0}), doctest::Contains("a vocabulary for 2 beams"),
                       ValueError);
  CHECK_THROWS_AS(search.step(std::vector<double>(10, std::nan(""))), NumericalError);
}

TEST_CASE("beam search: a text that is done waits for the others") {
  Options o = options(1, 0);
  o.pad = 2;
  BeamSearch search({{3}, {3}}, o);
  search.step(logs({0.9, 0.05, 0.05, 0.1, 0.8, 0.1}));
  CHECK_FALSE(search.done());
  // What is computed of the first no longer matters, not even that it is no number.
  auto row = logs({0.9, 0.05, 0.05, 0.9, 0.05, 0.05});
  row[0] = std::nan("");
  search.step(row);
  CHECK(search.done());
  CHECK(search.tokens()[0] == 2);
  const auto made = search.finish();
  CHECK(made[0].size() == 1);
  CHECK(made[0][0].tokens == Ids{});
  CHECK(made[0][0].score == doctest::Approx(std::log(0.9)));
  CHECK(made[1][0].tokens == Ids{1});
}

}  // namespace
