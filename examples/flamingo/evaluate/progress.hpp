#pragma once
// The line that says how far an evaluation is, written over itself on a terminal.
//
//   coco, 4 shots, seed 42: 128/5000 queries, 3.1/s, 12 min 40 s left

#include <unistd.h>  // isatty

#include <chrono>
#include <iostream>

#include "plume/core/shape.hpp"
#include "plume/report/format.hpp"
#include "plume/report/status_line.hpp"

namespace flamingo {

class EvaluationProgress {
 public:
  /// `all` is the work of all rounds, in any unit.
  explicit EvaluationProgress(double all) : left_(all) {}

  /// What need not be done.
  void skip(double work) { left_ -= work; }
  /// `queries` more are answered, which was so much `work`.
  void add(const std::string& round, plume::index_t done, plume::index_t of, plume::index_t queries,
           double work) {
    work_ += work;
    left_ -= work;
    queries_ += static_cast<double>(queries);
    show(plume::cat(round, ": ", done, "/", of, " queries, ",
                    plume::report::fixed(queries_ / seconds(), 1), "/s, ",
                    plume::report::duration(seconds() * left_ / work_), " left"),
         done == of);
  }
  void pictures(const std::string& what, plume::index_t done, plume::index_t of) {
    show(plume::cat("features of ", what, ": ", done, "/", of, " pictures"), done == of);
  }
  /// A line of its own, which stays.
  void say(const std::string& text) { line_.say(text); }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] double seconds() const {
    return std::max(1e-9, std::chrono::duration<double>(Clock::now() - start_).count());
  }
  void show(const std::string& line, bool last) {
    if (line_.due(last)) line_.show(line);
  }

  Clock::time_point start_ = Clock::now();
  plume::report::StatusLine line_{std::cerr, isatty(STDERR_FILENO) == 1};
  double left_, work_ = 0, queries_ = 0;
};

}  // namespace flamingo
