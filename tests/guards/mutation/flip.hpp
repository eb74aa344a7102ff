#pragma once
// Run-time mutants of gradient accumulation. tests/guards/mutate rewrites
//
//   dx += g    as    dx *= mutation::at(7) += g
//
// which means the same unless the environment says PLUME_MUTANT=7 (dx -= g) or PLUME_MUTANT=7x (dx gets
// nothing). So one compilation holds all the mutants of an op.
#include <cstdlib>
#include <string>
#include <utility>

namespace mutation {

enum class Effect { add, subtract, drop };

template <class G>
struct Mutated {
  Effect effect;
  G&& gradient;
};

struct At {
  Effect plus;
  Effect minus;
  template <class G>
  Mutated<G> operator+=(G&& g) const {
    return {plus, std::forward<G>(g)};
  }
  template <class G>
  Mutated<G> operator-=(G&& g) const {
    return {minus, std::forward<G>(g)};
  }
};

inline At at(int line) {
  static const char* const chosen = std::getenv("PLUME_MUTANT");
  if (chosen != nullptr && chosen == std::to_string(line)) return {Effect::subtract, Effect::add};
  if (chosen != nullptr && chosen == std::to_string(line) + "x")
    return {Effect::drop, Effect::drop};
  return {Effect::add, Effect::subtract};
}

// A Sink is a GradSink, or a number of the same name in the plain backward function: that is broken too.
template <class Sink, class G>
void operator*=(Sink&& sink, Mutated<G> m) {
  if (m.effect == Effect::add) sink += std::forward<G>(m.gradient);
  if (m.effect == Effect::subtract) sink -= std::forward<G>(m.gradient);
}

}  // namespace mutation
