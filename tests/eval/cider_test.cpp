// CIDEr-D of examples small enough to do by hand.

#include "plume/eval/cider.hpp"

#include <doctest/doctest.h>

using namespace plume::eval;

namespace {

NgramCounts ngrams(const std::string& text) { return count_ngrams(words_of({text})); }

}  // namespace

TEST_CASE("cider: two words agree in two of four lengths of n-gram") {
  // "a" is in every image and weighs nothing; "cat" and "a cat" weigh log 2.
  const auto got =
      cider({ngrams("a cat"), ngrams("a cow")}, {{ngrams("a cat")}, {ngrams("a dog")}});
  CHECK(got[0] == doctest::Approx(5));
  CHECK(got[1] == 0);
}

TEST_CASE("cider: a repeated word gains nothing, and the difference in length costs") {
  const auto got = cider({ngrams("a cat cat"), ngrams("")}, {{ngrams("a cat")}, {ngrams("a dog")}});
  const double expected = 10.0 / 4 * (0.5 + 1 / std::sqrt(2.0)) * std::exp(-1.0 / 72);
  CHECK(got[0] == doctest::Approx(expected));
  CHECK(got[1] == 0);
}

TEST_CASE("cider: the mean over references") {
  const auto got = cider({ngrams("a cat"), ngrams("x")},
                         {{ngrams("a cat"), ngrams("some bird")}, {ngrams("a dog")}});
  CHECK(got[0] == doctest::Approx(2.5));
}

TEST_CASE("cider: every image has references, every candidate an image") {
  CHECK_THROWS_AS((void)cider({ngrams("a")}, {}), plume::ShapeError);
  CHECK_THROWS_AS((void)cider({ngrams("a")}, {{}}), plume::ValueError);
}
