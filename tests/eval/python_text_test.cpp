#include "plume/eval/python_text.hpp"

#include <doctest/doctest.h>

using namespace plume::eval;

TEST_CASE("python_text: lower, strip, split, digits, round") {
  CHECK(python_lower("ŁÓDŹ ÀÉÎ ДОМ İ Ǆ") == "łódź àéî дом i̇ ǆ");
  CHECK(python_lower("ΟΔΟΣ ΣΑΣ Σ") == "οδος σας σ");
  CHECK(python_lower("a\xFFZ") == "a\xFFz");  // what is not UTF-8 stays
  CHECK(plume::text::python_strip("\u3000 a b\u00a0\x1f") == "a b");
  CHECK(plume::text::python_strip(" \n").empty());
  CHECK(python_split(" a\u2009b  c ") == std::vector<std::string_view>{"a", "b", "c"});
  CHECK(python_split("").empty());
  CHECK(is_decimal_digit(U'7'));
  CHECK(is_decimal_digit(U'\u0663'));
  CHECK_FALSE(is_decimal_digit(U'\u00B2'));
  CHECK_FALSE(is_decimal_digit(U':'));
  CHECK_FALSE(is_decimal_digit(U'/'));
  CHECK(python_round2(2.675) == 2.67);  // the double is below the tie
  CHECK(python_round2(0.125) == 0.12);  // a tie goes to the even digit
  CHECK(python_round2(71.43 + 1e-9) == 71.43);
  CHECK(replaced("aXbXX", "X", "yy") == "ayybyyyy");
}
