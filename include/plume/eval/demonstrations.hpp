#pragma once
// Which samples of a test set are asked, in which order, and which samples of the training set come before each.
//
//   under a seed: the asked samples are drawn, and a pool of the training set; each asked sample takes its shots
//   from the pool. Without a pool, RICES takes those of the whole training set whose pictures are most like.
//
// The draws are the reference's (eval/reference_random.hpp), as one process makes them: several processes share
// out what one would do, so that they find the same. In the reference each process draws for itself.

#include <algorithm>

#include "plume/core/random.hpp"
#include "plume/eval/prompts.hpp"
#include "plume/eval/reference_random.hpp"
#include "plume/eval/rices.hpp"

namespace plume::eval {

struct DrawOptions {
  std::uint32_t seed = 42;
  index_t queries = -1;  ///< of the test set; -1: all
  index_t pool = 2048;   ///< of the training set, or all of it where it is smaller
  index_t shots = 0;
};

/// Positions in the test set in the order of asking, and for each those of its demonstrations in the training set,
/// in order of appearance.
struct Draw {
  std::vector<index_t> queries;
  std::vector<std::vector<index_t>> demonstrations;
};

/// The samples that are asked under a seed, which are the same for all shots, and with RICES. Throws ValueError
/// where the test set has fewer than `queries`.
inline std::vector<index_t> draw_queries(NumpyRandom& numpy, index_t test, index_t queries) {
  const index_t asked = queries < 0 ? test : queries;
  if (asked < 1 || asked > test)
    fail<ValueError>("draw", cat("1 to ", test, " queries of ", test, " samples"), asked);
  const std::vector<index_t> chosen = numpy.choice(test, asked);
  std::vector<index_t> out;
  for (const index_t place : torch_permutation(asked, 0))
    out.push_back(chosen[static_cast<std::size_t>(place)]);
  return out;
}

/// Random demonstrations. Throws ValueError where the pool is smaller than what a query needs.
inline Draw draw_random(index_t test, index_t train, const DrawOptions& options) {
  NumpyRandom numpy(options.seed);
  Draw out{draw_queries(numpy, test, options.queries), {}};
  const std::vector<index_t> pool = numpy.choice(train, std::min(options.pool, train));
  const index_t shots = demonstrations_for(options.shots);
  if (std::ssize(pool) < shots)
    fail<ValueError>("draw", cat("at least ", shots, " samples to take demonstrations from"),
                     pool.size());
  PythonRandom python(options.seed);
  for (std::size_t q = 0; q < out.queries.size(); ++q) {
    std::vector<index_t>& row = out.demonstrations.emplace_back();
    for (const index_t place : python.sample(std::ssize(pool), shots))
      row.push_back(pool[static_cast<std::size_t>(place)]);
  }
  return out;
}

/// The samples that are asked under `options`, in order.
inline std::vector<index_t> draw_queries(index_t test, const DrawOptions& options) {
  NumpyRandom numpy(options.seed);
  return draw_queries(numpy, test, options.queries);
}

/// RICES: the demonstrations of the training set most like each query, the most similar last. `features` [train, E]
/// are unit rows, `query_features` [queries, E] those of the queries' pictures.
inline Draw draw_similar(std::vector<index_t> queries, const Tensor<float>& features,
                         const Tensor<float>& query_features, index_t shots) {
  const index_t needed = demonstrations_for(shots);
  if (features.size(0) < needed)
    fail<ValueError>("draw", cat("at least ", needed, " samples to take demonstrations from"),
                     features.size(0));
  if (query_features.size(0) != std::ssize(queries))
    fail<ShapeError>("draw", cat("features [", queries.size(), ", E] of the queries"),
                     query_features.shape());
  return {std::move(queries), most_similar_last(features, query_features, needed)};
}

/// Different orders of n demonstrations, `ensemble_size(n)` of them, the given one first, the others drawn for
/// query number `query` under `seed`. (The reference shuffles as often, and may meet an order twice; which orders
/// depends on how queries are batched.)
inline std::vector<std::vector<index_t>> ensemble_orders(index_t n, std::uint64_t seed,
                                                         index_t query) {
  std::vector<std::vector<index_t>> out{detail::counted(n)};
  std::uint64_t number = 0;
  while (std::ssize(out) < ensemble_size(n)) {
    std::vector<index_t> order = out.front();
    for (std::size_t i = order.size(); i-- > 1;)
      std::swap(order[i],
                order[philox(seed, static_cast<std::uint64_t>(query), number++)[0] % (i + 1)]);
    if (std::find(out.begin(), out.end(), order) == out.end()) out.push_back(std::move(order));
  }
  return out;
}

}  // namespace plume::eval
