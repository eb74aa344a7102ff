#pragma once
// What a golden case came to: every comparison with its error, the first one that failed, and what the case
// records that cannot be verified yet.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "plume/core/tensor.hpp"
#include "plume/io/json.hpp"

namespace flamingo {

struct Comparison {
  std::string name;
  double error =
      0;  ///< relative to the largest expected element; 0 or 1 for what is equal or is not
  double tolerance = 0;   ///< passes only if error <= tolerance
  double difference = 0;  ///< largest absolute difference
  std::string detail{};   ///< where the worst element is, or got and expected

  [[nodiscard]] bool passes() const { return error <= tolerance; }  // false for NaN
};

class Report {
 public:
  void add(Comparison c) { comparisons_.push_back(std::move(c)); }
  void within(std::string name, double error, double tolerance) {
    add({std::move(name), error, tolerance, error, {}});
  }
  /// Both sides as JSON; what is shown of them is cut after 200 characters.
  void equal(std::string name, const plume::io::Json& got, const plume::io::Json& expected) {
    const bool same = got == expected;
    add({std::move(name), same ? 0.0 : 1.0, 0, same ? 0.0 : 1.0,
         same ? std::string() : "got " + shown(got) + ", expected " + shown(expected)});
  }
  void wrong(std::string name, std::string what) {
    add({std::move(name), HUGE_VAL, 0, HUGE_VAL, std::move(what)});
  }
  /// The case records this, and Plume does not verify it yet.
  void pending(std::string name) { pending_.push_back(std::move(name)); }

  [[nodiscard]] const std::vector<Comparison>& comparisons() const { return comparisons_; }
  [[nodiscard]] const std::vector<std::string>& pending() const { return pending_; }

 private:
  static std::string shown(const plume::io::Json& json) {
    const std::string text = plume::io::print_json(json);
    return text.size() <= 200 ? text : text.substr(0, 200) + "...";
  }
  std::vector<Comparison> comparisons_;
  std::vector<std::string> pending_;
};

}  // namespace flamingo
