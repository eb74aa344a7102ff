#include "plume/eval/roc_auc.hpp"

#include <doctest/doctest.h>

#include "plume/io/json.hpp"

using namespace plume;

TEST_CASE("roc_auc: the recorded numbers") {
  const io::Json recorded = io::read_json("tests/golden/metrics/numbers.json");
  for (const auto& row : recorded["roc_auc"]) {
    const auto labels = row["labels"].get<std::vector<int>>();
    const auto scores = row["scores"].get<std::vector<double>>();
    CHECK(std::abs(eval::roc_auc(labels, scores) - row["roc_auc"].get<double>()) <= 1e-12);
  }
}

TEST_CASE("roc_auc: what it is not defined for is refused") {
  const auto of = [](std::vector<int> labels, std::vector<double> scores) {
    return eval::roc_auc(labels, scores);
  };
  CHECK(of({0, 1}, {-HUGE_VAL, HUGE_VAL}) == 1);
  CHECK_THROWS_AS((void)of({1, 1}, {0, 1}), ValueError);
  CHECK_THROWS_AS((void)of({}, {}), ValueError);
  CHECK_THROWS_AS((void)of({0, 2}, {0, 1}), ValueError);
  CHECK_THROWS_AS((void)of({0, 1}, {0, NAN}), ValueError);
  CHECK_THROWS_AS((void)of({0, 1}, {0}), ShapeError);
}
