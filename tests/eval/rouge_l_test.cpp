// ROUGE-L of examples small enough to do by hand.

#include "plume/eval/rouge_l.hpp"

#include <doctest/doctest.h>

using namespace plume::eval;

TEST_CASE("rouge_l: order counts, gaps do not") {
  CHECK(longest_common_subsequence({"a", "b", "c", "d"}, {"b", "x", "d", "a"}) == 2);
  CHECK(longest_common_subsequence({}, {"a"}) == 0);
  // Precision 1, recall 2/3.
  CHECK(rouge_l({"the", "cat"}, {{"the", "black", "cat"}}) ==
        doctest::Approx(2.44 * (2.0 / 3) / (2.0 / 3 + 1.44)));
}

TEST_CASE("rouge_l: precision and recall may come from different references") {
  // Precision 1 with the first, recall 1 with the second.
  CHECK(rouge_l({"a", "b"}, {{"a", "b", "c", "d"}, {"b"}}) == doctest::Approx(1));
}

TEST_CASE("rouge_l: an empty caption is one empty token") {
  CHECK(rouge_l({}, {{}}) == doctest::Approx(1));
  CHECK(rouge_l({}, {{"a"}}) == 0);
}
