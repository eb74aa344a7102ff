#pragma once
// The best possible score of the world. What a picture shows is plain to see, so 100 % of it can be told; the second
// name of a cloth is known only from demonstrations of the same cloth, and else one of the other names is guessed.

#include "words.hpp"

namespace world {

/// How often, from 0 to 1, the best possible reader of `shots` random demonstrations names the query's cloth right,
/// where each demonstration names its cloth with probability `named`. At zero shots two are read without pictures: what
/// is said in them tells as much as two shots do.
inline double best_naming(index_t shots, double named = 1) {
  constexpr auto all = static_cast<double>(invented_words.size());
  constexpr auto kinds = static_cast<double>(cloths);
  std::array<double, cloths> others{
      1};  // by how many other cloths were named, the query's own was not
  for (index_t shot = 0; shot < (shots == 0 ? 2 : shots); ++shot) {
    std::array<double, cloths> next{};
    for (std::size_t n = 0; n < others.size(); ++n) {
      const auto known = static_cast<double>(n);
      next[n] += others[n] * (1 - named + named * known / kinds);
      if (n + 1 < others.size()) next[n + 1] += others[n] * named * (kinds - 1 - known) / kinds;
    }
    others = next;
  }
  double out = 1;
  for (std::size_t n = 0; n < others.size(); ++n)
    out -= others[n] * (1 - 1 / (all - static_cast<double>(n)));
  return out;
}

/// How often it answers the world's questions right.
inline double best_answers(index_t shots) {
  return 1 - asked_about_cloth * (1 - best_naming(shots, asked_about_cloth));
}

}  // namespace world
