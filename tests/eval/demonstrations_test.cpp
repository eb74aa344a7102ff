#include "plume/eval/demonstrations.hpp"

#include <doctest/doctest.h>

#include <set>

namespace {

using namespace plume;
using namespace plume::eval;

bool distinct(const std::vector<index_t>& x) {
  return std::set<index_t>(x.begin(), x.end()).size() == x.size();
}

}  // namespace

TEST_CASE("demonstrations: a seed draws the same again, each sample once, from the pool alone") {
  const DrawOptions options{42, 50, 20, 8};
  const Draw draw = draw_random(100, 300, options);
  CHECK(draw.queries.size() == 50);
  CHECK(distinct(draw.queries));
  std::set<index_t> pool;
  for (const auto& row : draw.demonstrations) {
    CHECK(row.size() == 8);
    CHECK(distinct(row));
    pool.insert(row.begin(), row.end());
  }
  CHECK(pool.size() == 20);
  const Draw again = draw_random(100, 300, options);
  CHECK(again.queries == draw.queries);
  CHECK(again.demonstrations == draw.demonstrations);
  CHECK(draw_random(100, 300, {43, 50, 20, 8}).queries != draw.queries);
}

TEST_CASE(
    "demonstrations: the queries do not depend on shots, nor on how demonstrations are found") {
  const std::vector<index_t> queries = draw_random(40, 30, {42, 10, 2048, 0}).queries;
  CHECK(draw_random(40, 30, {42, 10, 2048, 16}).queries == queries);
  CHECK(draw_queries(40, {42, 10, 2048, 4}) == queries);
  CHECK(draw_queries(40, {42, -1, 2048, 4}).size() == 40);
}

TEST_CASE("demonstrations: zero shots take two; who asks for more than there is is told") {
  CHECK(draw_random(5, 30, {1, -1, 2048, 0}).demonstrations[0].size() == 2);
  CHECK_THROWS_AS((void)draw_random(5, 7, {1, -1, 2048, 8}), ValueError);
  CHECK_THROWS_AS((void)draw_random(5, 70, {1, -1, 4, 8}), ValueError);
  CHECK_THROWS_AS((void)draw_random(5, 70, {1, 6, 2048, 8}), ValueError);
  CHECK_THROWS_AS((void)draw_random(0, 70, {1, -1, 2048, 8}), ValueError);
}

TEST_CASE("demonstrations: RICES puts the most similar last, and fewer shots are the end of more") {
  Tensor<float> features(Shape{4, 2});
  const float angles[] = {0.0F, 0.4F, 0.8F, 1.2F};
  for (index_t i = 0; i < 4; ++i) {
    features(i, 0) = std::cos(angles[i]);
    features(i, 1) = std::sin(angles[i]);
  }
  Tensor<float> asked(Shape{2, 2});
  asked(0, 0) = 2;  // need not be of length 1
  asked(0, 1) = 0;
  asked(1, 0) = std::cos(0.9F);
  asked(1, 1) = std::sin(0.9F);
  const Draw two = draw_similar({7, 3}, features, asked, 2),
             three = draw_similar({7, 3}, features, asked, 3);
  CHECK(two.queries == std::vector<index_t>{7, 3});
  CHECK(two.demonstrations == std::vector<std::vector<index_t>>{{1, 0}, {3, 2}});
  CHECK(three.demonstrations == std::vector<std::vector<index_t>>{{2, 1, 0}, {1, 3, 2}});
  CHECK(draw_similar({7, 3}, features, asked, 0).demonstrations == two.demonstrations);
  CHECK_THROWS_AS((void)draw_similar({7, 3}, features, asked, 5), ValueError);
  CHECK_THROWS_AS((void)draw_similar({7}, features, asked, 2), ShapeError);
}

TEST_CASE("demonstrations: orders of an ensemble are different, the drawn one first") {
  for (const index_t n : {1, 2, 3, 4, 8}) {
    CAPTURE(n);
    const auto orders = ensemble_orders(n, 42, 5);
    CHECK(static_cast<index_t>(orders.size()) == ensemble_size(n));
    CHECK(orders[0] == plume::eval::detail::counted(n));
    CHECK(std::set<std::vector<index_t>>(orders.begin(), orders.end()).size() == orders.size());
    for (auto order : orders) {
      std::sort(order.begin(), order.end());
      CHECK(order == plume::eval::detail::counted(n));
    }
    CHECK(ensemble_orders(n, 42, 5) == orders);
  }
  CHECK(ensemble_orders(8, 42, 5) != ensemble_orders(8, 42, 6));
  CHECK(ensemble_orders(8, 42, 5) != ensemble_orders(8, 43, 5));
}
