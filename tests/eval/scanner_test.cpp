// Patterns, and which of several matches wins.

#include "plume/eval/scanner.hpp"

#include <doctest/doctest.h>

using namespace plume;
using namespace plume::eval;

TEST_CASE("scanner: the longest match, then the first rule; what must follow is given back") {
  Scanner s({{"ab", "[ab]{2,3}"}},
            {{1, "x", "y+z"}, {2, "xy"}, {3, "{ab}|c"}, {4, "[a-c]+"}, {5, "[^a-c]\\."}});
  const auto match = [&](std::u32string_view text) {
    const Scanner::Match m = s.match(text);
    return std::pair(m.kind, m.length);
  };
  CHECK(match(U"xyyz") == std::pair(1, std::size_t{1}));
  CHECK(match(U"xyy") == std::pair(2, std::size_t{2}));
  CHECK(match(U"aba") == std::pair(3, std::size_t{3}));
  CHECK(match(U"abab") == std::pair(4, std::size_t{4}));
  CHECK(match(U"C") == std::pair(3, std::size_t{1}));
  CHECK(match(U"\U0001F600.") == std::pair(5, std::size_t{2}));
  CHECK(match(U"q").first == -1);
  for (const char* bad : {"(a", "a)", "[a", "{none}", "a{3,2}", "\\", "\\u12"})
    CHECK_THROWS_AS(Scanner({}, {{1, bad}}), ValueError);
}

TEST_CASE(
    "scanner: letters and digits of Unicode, either case of literals, case of classes as written") {
  Scanner s({}, {{1, "\\p+"}, {2, "\\d+"}, {3, "-x?-"}, {4, "\\s\\u00E9?"}});
  const auto match = [&](std::u32string_view text) {
    const Scanner::Match m = s.match(text);
    return std::pair(m.kind, m.length);
  };
  CHECK(match(U"\u00E9\u65E5\u0414\u00D7") == std::pair(1, std::size_t{3}));
  CHECK(match(U"1\u0663x") == std::pair(2, std::size_t{2}));
  CHECK(match(U"-X-") == std::pair(3, std::size_t{3}));
  CHECK(match(U"--") == std::pair(3, std::size_t{2}));
  CHECK(match(U"-[-").first == -1);
  CHECK(match(U"").first == -1);
}
