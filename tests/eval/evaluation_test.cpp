#include <doctest/doctest.h>

#include "verify/evaluation_case.hpp"
#include "verify/evaluation_runs_case.hpp"

// Data sets, prompts, post-processing and scores of the seven benchmarks against the reference's evaluation.

TEST_CASE("evaluation: the golden case") {
  flamingo::Report report;
  flamingo::check_evaluation("tests/golden/evaluation", report);
  CHECK(report.comparisons().size() > 300);
  for (const flamingo::Comparison& c : report.comparisons()) {
    CHECK_MESSAGE(c.passes(), c.name, ": ", c.detail, " ", c.error);
  }
}

TEST_CASE("evaluation: whole runs of the reference's program") {
  flamingo::Report report;
  flamingo::check_evaluation_runs("tests/golden/evaluation_edge", report);
  CHECK(report.comparisons().size() > 900);
  for (const flamingo::Comparison& c : report.comparisons()) {
    CHECK_MESSAGE(c.passes(), c.name, ": ", c.detail, " ", c.error);
  }
}
