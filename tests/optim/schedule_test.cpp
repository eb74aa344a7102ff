#include "plume/optim/schedule.hpp"

#include <doctest/doctest.h>

using namespace plume;

namespace {

TEST_CASE("schedule: warm-up is a straight line from 0") {
  for (const Schedule& s :
       {Schedule::constant(4), Schedule::linear(4, 14), Schedule::cosine(4, 14)}) {
    CHECK(s(0) == 0);
    CHECK(s(1) == 0.25);
    CHECK(s(3) == 0.75);
    CHECK(s(4) == 1);
  }
}

TEST_CASE("schedule: after the warm-up") {
  CHECK(Schedule::constant(4)(1000000) == 1);
  const Schedule linear = Schedule::linear(4, 14);
  CHECK(linear(9) == 0.5);
  CHECK(linear(14) == 0);
  CHECK(linear(99) == 0);
  const Schedule cosine = Schedule::cosine(4, 14);
  CHECK(cosine(9) == doctest::Approx(0.5));
  CHECK(cosine(6) == doctest::Approx((1 + 0.80901699437) / 2));
  CHECK(cosine(14) == 0);
}

TEST_CASE("schedule: no warm-up, and nothing but warm-up") {
  CHECK(Schedule::constant(0)(0) == 1);
  CHECK(Schedule::linear(0, 2)(1) == 0.5);
  CHECK(Schedule::linear(2, 2)(1) == 0.5);
  CHECK(Schedule::linear(2, 2)(2) == 0);
  CHECK_THROWS_AS(Schedule::constant(-1), ValueError);
  CHECK_THROWS_AS(Schedule::linear(3, 2), ValueError);
}

}  // namespace
