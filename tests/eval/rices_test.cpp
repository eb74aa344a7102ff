#include "plume/eval/rices.hpp"

#include <doctest/doctest.h>

#include "plume/io/json.hpp"

namespace {

using namespace plume;
using io::Json;
using Lists = std::vector<std::vector<index_t>>;

Tensor<float> matrix(const Json& rows) {
  const auto height = static_cast<index_t>(rows.size());
  const auto width = static_cast<index_t>(rows.at(0).size());
  Tensor<float> out = zeros<float>({height, width});
  float* at = out.data();
  for (const Json& row : rows) {
    for (const Json& x : row) *at++ = x.get<float>();
  }
  return out;
}

}  // namespace

TEST_CASE("rices: the recorded neighbours") {
  const Json recorded = io::read_json("tests/golden/metrics/numbers.json");
  for (const Json& c : recorded["rices"]) {
    const bool cached = c["bank_before_normalising"].is_null();
    const Tensor<float> bank =
        cached ? matrix(c["bank"]) : eval::unit_rows(matrix(c["bank_before_normalising"]));
    Lists got = eval::most_similar_last(bank, matrix(c["queries_before_normalising"]),
                                        c["shots"].get<index_t>());
    Lists want = c["most_similar_last"].get<Lists>();
    if (c.contains("twins")) {  // equal rows, in either order
      for (Lists* lists : {&got, &want}) {
        for (auto& list : *lists) {
          for (const Json& twin : c["twins"])
            std::replace(list.begin(), list.end(), twin[1].get<index_t>(), twin[0].get<index_t>());
        }
      }
    }
    CHECK(got == want);
  }
  for (const Json& c : io::read_json("tests/golden/metrics_edge/retrieval.json")) {
    CHECK(eval::most_similar_last(eval::unit_rows(matrix(c["features"])), matrix(c["queries"]),
                                  c["shots"].get<index_t>()) ==
          c["most_similar_last"].get<Lists>());
  }
}

TEST_CASE("rices: ties, zeros, refusals") {
  const Tensor<float> bank = matrix({{1, 0}, {0, 1}, {1, 0}, {0, 0}});
  CHECK(eval::most_similar_last(bank, matrix({{2, 0}}), 3) == Lists{{1, 2, 0}});
  CHECK(eval::most_similar_last(bank, matrix({{0, 0}}), 9) == Lists{{3, 2, 1, 0}});
  CHECK_THROWS_AS((void)eval::most_similar_last(bank, matrix({{1, 0, 0}}), 1), ShapeError);
  CHECK_THROWS_AS((void)eval::most_similar_last(bank, matrix({{1, 0}}), -1), ValueError);
  CHECK_THROWS_AS((void)eval::most_similar_last(full<float>({2, 2}, NAN), matrix({{1, 0}}), 1),
                  NumericalError);
}
