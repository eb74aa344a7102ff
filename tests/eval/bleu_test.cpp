// BLEU of examples small enough to do by hand.

#include "plume/eval/bleu.hpp"

#include <doctest/doctest.h>

using namespace plume::eval;

namespace {

std::vector<std::string> words(const std::string& text) { return words_of({text}); }

}  // namespace

TEST_CASE("bleu: a word counts as often as one reference has it (Papineni's example)") {
  const BleuCounts c =
      bleu_counts(words("the the the the the the the"),
                  {words("the cat is on the mat"), words("there is a cat on the mat")});
  CHECK(c.correct[0] == 2);
  CHECK(c.correct[1] == 0);
  CHECK(c.guessed == std::array<double, 4>{7, 6, 5, 4});
  CHECK(c.reference_length == 7);
  CHECK(c.score()[0] == doctest::Approx(2.0 / 7));
}

TEST_CASE("bleu: too short a candidate pays; of two references equally close the shorter counts") {
  const BleuCounts c = bleu_counts(words("a b c"), {words("a b c d"), words("a b")});
  CHECK(c.reference_length == 2);
  CHECK(bleu_counts(words("a b"), {words("a b c d")}).score()[1] ==
        doctest::Approx(std::exp(-1.0)));
}

TEST_CASE("bleu: the corpus' counts are sums") {
  BleuCounts sum = bleu_counts(words("a b"), {words("a b")});
  sum += bleu_counts(words("c d"), {words("x y")});
  CHECK(sum.score()[0] == doctest::Approx(0.5));
  CHECK(bleu_counts({}, {words("a")}).score()[0] == 0);
}

TEST_CASE("ngrams: a no-break space is a space") {
  CHECK(words_of({"1\u00A01/2", "cups"}) == std::vector<std::string>{"1", "1/2", "cups"});
  const NgramCounts counts = count_ngrams(words("a b a b"));
  CHECK(counts[0].at("a ") == 2);
  CHECK(counts[1].at("a b ") == 2);
  CHECK(counts[3].size() == 1);
}
