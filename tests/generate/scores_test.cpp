#include <doctest/doctest.h>

#include "plume/generate/scores.hpp"

using namespace plume;
using namespace plume::generate;

namespace {

const double banned = -HUGE_VAL;
using Row = std::vector<double>;

TEST_CASE("scores: a run of n tokens is not repeated, prompt included") {
  Row s(6, 0.0);
  ban_repeated(s, Ids{1, 2, 3, 1, 2}, 3);  // 1 2 was followed by 3
  CHECK(s == Row{0, 0, 0, banned, 0, 0});
  s = Row(6, 0.0);
  ban_repeated(s, Ids{4, 5, 4, 1, 4}, 2);  // 4 was followed by 5 and 1
  CHECK(s == Row{0, banned, 0, 0, 0, banned});
  s = Row(6, 0.0);
  ban_repeated(s, Ids{4, 2}, 1);  // no token twice
  CHECK(s == Row{0, 0, banned, 0, banned, 0});
  s = Row(6, 0.0);
  ban_repeated(s, Ids{4, 4}, 3);  // shorter than a run
  ban_repeated(s, Ids{4, 4}, 0);
  ban_repeated(s, Ids{}, 1);
  CHECK(s == Row(6, 0.0));
  ban_repeated(s, Ids{4, 4, 4}, 3);
  CHECK(s == Row{0, 0, 0, 0, banned, 0});
}

TEST_CASE("scores: bans of the options") {
  Options o;
  o.eos = 2;
  o.min_new_tokens = 2;
  o.suppressed = {0, 4};
  Row s(5, 1.0);
  apply_bans(s, Ids{3, 3, 1}, 2, o);  // one new token: too early to end
  CHECK(s == Row{banned, 1, banned, 1, banned});
  s = Row(5, 1.0);
  apply_bans(s, Ids{3, 3, 1, 1}, 2, o);
  CHECK(s == Row{banned, 1, 1, 1, banned});
  o.suppressed = {5};
  CHECK_THROWS_WITH_AS(apply_bans(s, Ids{3}, 1, o), doctest::Contains("a token below 5"),
                       ValueError);
}

TEST_CASE("scores: log-probabilities") {
  Row s{1000, 1000, banned, 999};
  to_log_probabilities(s);
  double sum = 0;
  for (const double x : s) sum += std::exp(x);
  CHECK(sum == doctest::Approx(1));
  CHECK(s[0] - s[3] == doctest::Approx(1));
  CHECK(s[2] == banned);
  Row broken{0, std::nan(""), 1};
  CHECK_THROWS_AS(to_log_probabilities(broken), NumericalError);
  CHECK_THROWS_AS(best(Row{0, std::nan(""), 1}), NumericalError);
  CHECK_THROWS_AS(best(Row{banned, banned}), ValueError);
  CHECK(best(Row{1, 3, 3, 2}) == 1);
}

TEST_CASE("scores: top-k and top-p") {
  Row s{1, 4, 2, 4, 3};
  keep_top_k(s, 3);
  CHECK(s == Row{banned, 4, banned, 4, 3});
  s = {1, 2, 2, 3};
  keep_top_k(s, 2);  // equals of the second stay
  CHECK(s == Row{banned, 2, 2, 3});
  s = {1, 2};
  keep_top_k(s, 0);
  keep_top_k(s, 9);
  CHECK(s == Row{1, 2});

  const auto logs = [](Row p) {
    for (double& x : p) x = std::log(x);
    return p;
  };
  const auto kept = [&](double p) {
    Row x = logs({0.1, 0.4, 0.2, 0.3});
    keep_top_p(x, p);
    std::vector<int> out;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] > banned) out.push_back(static_cast<int>(i));
    }
    return out;
  };
  CHECK(kept(1) == std::vector<int>{0, 1, 2, 3});
  CHECK(kept(0.91) == std::vector<int>{0, 1, 2, 3});
  CHECK(kept(0.85) == std::vector<int>{1, 2, 3});
  CHECK(kept(0.6) == std::vector<int>{1, 3});
  CHECK(kept(0.01) == std::vector<int>{1});
}

TEST_CASE("scores: draws follow the probabilities, and repeat with the seed") {
  Options o;
  o.top_k = 0;
  const Row logits{std::log(1.0), std::log(2.0), banned, std::log(5.0)};
  std::array<double, 4> share{};
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    Row s = logits;
    share[static_cast<std::size_t>(sample(s, o, draw(3, 1, i)))] += 1.0 / n;
  }
  CHECK(share[0] == doctest::Approx(0.125).epsilon(0.1));
  CHECK(share[1] == doctest::Approx(0.25).epsilon(0.1));
  CHECK(share[2] == 0);
  CHECK(share[3] == doctest::Approx(0.625).epsilon(0.1));
  // Probabilities in order, u at their borders.
  const auto at = [&](double u) {
    Row s = logits;
    return sample(s, o, u);
  };
  CHECK(at(0) == 0);
  CHECK(at(0.13) == 1);
  CHECK(at(0.376) == 3);
  CHECK(at(1 - 0x1p-53) == 3);
  o.temperature = 1e-3;
  CHECK(at(0) == 3);
  o.temperature = 1;
  o.top_k = 1;
  CHECK(at(0) == 3);
  CHECK(draw(3, 1, 5) == draw(3, 1, 5));
  CHECK(draw(3, 1, 5) != draw(4, 1, 5));
  CHECK(draw(3, 1, 5) != draw(3, 2, 5));
}

TEST_CASE("options: those that cannot be are named") {
  const auto refuse = [](const char* what, auto change) {
    Options o;
    change(o);
    CHECK_THROWS_WITH_AS(check(o), doctest::Contains(what), ValueError);
  };
  check(Options{});
  refuse("max_new_tokens >= 1", [](Options& o) { o.max_new_tokens = 0; });
  refuse("min_new_tokens >= 0", [](Options& o) { o.min_new_tokens = -1; });
  refuse("min_new_tokens <= max", [](Options& o) { o.min_new_tokens = 21; });
  refuse("num_beams >= 1", [](Options& o) { o.num_beams = 0; });
  refuse("finite length_penalty", [](Options& o) { o.length_penalty = HUGE_VAL; });
  refuse("num_return_sequences >= 1", [](Options& o) { o.num_return_sequences = 0; });
  refuse("num_return_sequences <= num_beams", [](Options& o) { o.num_return_sequences = 2; });
  refuse("no_repeat_ngram_size", [](Options& o) { o.no_repeat_ngram_size = -1; });
  refuse("num_beams 1 for sampling", [](Options& o) { o.sample = true, o.num_beams = 2; });
  refuse("temperature", [](Options& o) { o.temperature = 0; });
  refuse("temperature", [](Options& o) { o.temperature = std::nan(""); });
  refuse("top_k", [](Options& o) { o.top_k = -1; });
  refuse("top_p", [](Options& o) { o.top_p = 0; });
  refuse("top_p", [](Options& o) { o.top_p = 1.5; });
  refuse("eos", [](Options& o) { o.eos = -2; });
  refuse("pad", [](Options& o) { o.pad = -2; });
}

}  // namespace
