#pragma once
// One-to-one assignment of least cost: rows to columns of a matrix, as many pairs as the shorter side has.
//
//   minimise  sum_k cost[row_k, column_k],  rows distinct, columns distinct
//
// Successive shortest augmenting paths with dual prices (D. F. Crouse, "On implementing 2D rectangular assignment
// algorithms", IEEE TAES 52, 2016). Among assignments of equal cost the one scipy's linear_sum_assignment gives:
// of columns equally far the free ones come first, and of those the lowest; of a constant matrix the diagonal.

#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace plume::data {

/// Pairs (row, column), by row. `cost` is row-major. Nothing where no assignment is finite, or a cost is NaN or -inf.
inline std::optional<std::vector<std::pair<std::size_t, std::size_t>>> assign(
    std::size_t rows, std::size_t columns, const std::vector<double>& cost) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  for (const double c : cost) {
    if (std::isnan(c) || c == -infinite) return std::nullopt;
  }
  const bool flipped = columns < rows;
  const std::size_t n = flipped ? columns : rows, m = flipped ? rows : columns;
  const auto at = [&](std::size_t i, std::size_t j) {
    return flipped ? cost[j * columns + i] : cost[i * columns + j];
  };
  std::vector<double> row_price(n, 0), column_price(m, 0), distance(m);
  std::vector<std::size_t> column_of(n, none), row_of(m, none), from(m), open(m);
  std::vector<char> row_seen(n), column_seen(m);
  for (std::size_t start = 0; start < n; ++start) {
    // A shortest path from this row to a free column.
    for (std::size_t k = 0; k < m; ++k) open[k] = m - 1 - k;
    distance.assign(m, infinite);
    row_seen.assign(n, 0);
    column_seen.assign(m, 0);
    std::size_t left = m, row = start, sink = none;
    double reached = 0;
    while (sink == none) {
      row_seen[row] = 1;
      std::size_t best = none;
      double lowest = infinite;
      for (std::size_t k = 0; k < left; ++k) {
        const std::size_t column = open[k];
        const double through = reached + at(row, column) - row_price[row] - column_price[column];
        if (through < distance[column]) {
          distance[column] = through;
          from[column] = row;
        }
        if (distance[column] < lowest || (distance[column] == lowest && row_of[column] == none)) {
          lowest = distance[column];
          best = k;
        }
      }
      if (lowest == infinite) return std::nullopt;
      reached = lowest;
      const std::size_t column = open[best];
      column_seen[column] = 1;
      open[best] = open[--left];
      if (row_of[column] == none) {
        sink = column;
      } else {
        row = row_of[column];
      }
    }
    row_price[start] += reached;
    for (std::size_t i = 0; i < n; ++i) {
      if (row_seen[i] != 0 && i != start) row_price[i] += reached - distance[column_of[i]];
    }
    for (std::size_t j = 0; j < m; ++j) {
      if (column_seen[j] != 0) column_price[j] -= reached - distance[j];
    }
    for (std::size_t column = sink, i = none; i != start;) {
      i = from[column];
      row_of[column] = i;
      std::swap(column_of[i], column);
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> out;
  if (flipped) {
    for (std::size_t j = 0; j < m; ++j) {
      if (row_of[j] != none) out.emplace_back(j, row_of[j]);
    }
  } else {
    for (std::size_t i = 0; i < n; ++i) out.emplace_back(i, column_of[i]);
  }
  return out;
}

}  // namespace plume::data
