#pragma once
// How a report is printed.

#include <cstdio>
#include <iostream>

#include "verify/report.hpp"

namespace flamingo {

inline std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

inline void print_table(const Report& report) {
  std::printf("    %-10s %-10s %-10s %s\n", "relative", "tolerance", "max", "name");
  for (const Comparison& c : report.comparisons()) {
    std::printf("  %c %-10s %-10s %-10s %s%s%s\n", c.passes() ? ' ' : '!', shown(c.error).c_str(),
                shown(c.tolerance).c_str(), shown(c.difference).c_str(), c.name.c_str(),
                c.detail.empty() ? "" : "   ", c.detail.c_str());
  }
}

/// Prints what a case came to; whether it passed.
inline bool conclude(const std::string& name, const Report& report, bool table) {
  const Comparison* worst = nullptr;
  const Comparison* first_divergent = nullptr;
  std::size_t divergent = 0;
  for (const Comparison& c : report.comparisons()) {
    if (worst == nullptr || !(c.error <= worst->error)) worst = &c;
    if (c.passes()) continue;
    ++divergent;
    if (first_divergent == nullptr) first_divergent = &c;
  }
  const bool passed = divergent == 0 && worst != nullptr;
  std::cout << (passed ? "pass  " : "FAIL  ") << name << "  " << report.comparisons().size()
            << " comparisons";
  if (worst != nullptr) {
    std::cout << ", worst error " << shown(worst->error);
    if (worst->error > 0) std::cout << " at " << worst->name;
  }
  std::cout << '\n';
  if (first_divergent != nullptr) {
    std::cout << "      " << divergent << " diverge; the first: " << first_divergent->name
              << ", error " << shown(first_divergent->error) << " > "
              << shown(first_divergent->tolerance) << ", largest difference "
              << shown(first_divergent->difference);
    if (!first_divergent->detail.empty()) std::cout << "; " << first_divergent->detail;
    std::cout << '\n';
  }
  if (table) print_table(report);
  if (!report.pending().empty()) {
    std::cout << "      not yet verified: ";
    for (std::size_t i = 0; i < report.pending().size(); ++i)
      std::cout << (i == 0 ? "" : ", ") << report.pending()[i];
    std::cout << '\n';
  }
  return passed;
}

}  // namespace flamingo
