#pragma once
// RICES, retrieval-based in-context example selection: the demonstrations whose pictures are most like the query's.
//
//   similarity = unit(queries) features^T     [Q, D] x [D, N] -> [Q, N], float
//
// The most similar comes last, next to the query; of equals the one with the lowest index counts as more similar.
// Features of the bank that were cached are used as they are, which is right where `unit_rows` was applied before.
//
// Alayrac et al., "Flamingo", 2022, section A.4.1; Yang et al., "An Empirical Study of GPT-3 for Few-Shot
// Knowledge-Based VQA", AAAI 2022.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "plume/core/parallel.hpp"
#include "plume/core/tensor.hpp"

namespace plume::eval {

/// Each row of [N, D] divided by its length; a row of zeros stays.
inline Tensor<float> unit_rows(const Tensor<float>& rows) {
  if (rows.rank() != 2) fail<ShapeError>("unit_rows", "[N, D]", rows.shape());
  Tensor<float> out = rows.clone();
  const index_t width = out.shape()[1];
  for (index_t i = 0; i < out.shape()[0]; ++i) {
    float* const row = out.data() + i * width;
    double squares = 0;
    for (index_t j = 0; j < width; ++j) squares += static_cast<double>(row[j]) * row[j];
    const auto norm = static_cast<float>(std::sqrt(squares));
    if (norm == 0) continue;
    for (index_t j = 0; j < width; ++j) row[j] /= norm;
  }
  return out;
}

namespace detail {

inline std::vector<index_t> most_similar_last(const Tensor<float>& bank, const float* query,
                                              index_t take) {
  const index_t n = bank.shape()[0], width = bank.shape()[1];
  std::vector<float> similarity(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) {
    const float* const row = bank.data() + i * width;
    float sum = 0;
    PLUME_SIMD_SUM(sum)
    for (index_t j = 0; j < width; ++j) sum += query[j] * row[j];
    if (std::isnan(sum))
      fail<NumericalError>("most_similar_last", "a similarity that is a number",
                           cat("NaN for feature ", i));
    similarity[static_cast<std::size_t>(i)] = sum;
  }
  std::vector<index_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), index_t{0});
  std::partial_sort(order.begin(), order.begin() + take, order.end(), [&](index_t a, index_t b) {
    const float x = similarity[static_cast<std::size_t>(a)];
    const float y = similarity[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  order.resize(static_cast<std::size_t>(take));
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace detail

/// For each row of `queries` [Q, D] the rows of `features` [N, D] that are most similar, least similar first:
/// `shots` of them, or all N if there are fewer. Queries are normalised, features are not. Throws ShapeError,
/// ValueError, NumericalError where a similarity is not a number.
inline std::vector<std::vector<index_t>> most_similar_last(const Tensor<float>& features,
                                                           const Tensor<float>& queries,
                                                           index_t shots) {
  constexpr const char* op = "most_similar_last";
  if (features.rank() != 2) fail<ShapeError>(op, "features [N, D]", features.shape());
  if (queries.rank() != 2 || queries.shape()[1] != features.shape()[1])
    fail<ShapeError>(op, cat("queries [Q, ", features.shape()[1], "]"), queries.shape());
  if (shots < 0) fail<ValueError>(op, "shots of at least 0", shots);
  const Tensor<float> bank = features.contiguous(), asked = unit_rows(queries);
  const index_t n = bank.shape()[0], width = bank.shape()[1], take = std::min(shots, n);
  std::vector<std::vector<index_t>> out(static_cast<std::size_t>(asked.shape()[0]));
  parallel_for(asked.shape()[0], n * width, [&](index_t begin, index_t end) {
    for (index_t q = begin; q < end; ++q) {
      out[static_cast<std::size_t>(q)] =
          detail::most_similar_last(bank, asked.data() + q * width, take);
    }
  });
  return out;
}

}  // namespace plume::eval
