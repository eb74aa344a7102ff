#pragma once
// The line that says how far an evaluation is, written over itself on a terminal.
//
//   coco, 4 shots, seed 42: 128/5000 queries, 3.1/s, 12 min 40 s left

#include <unistd.h>  // isatty

#include <chrono>
#include <iostream>

#include "plume/train/progress.hpp"

namespace flamingo {

class EvaluationProgress {
 public:
  /// `all` is the work of all rounds, in any unit.
  explicit EvaluationProgress(double all) : left_(all) {}
  ~EvaluationProgress() { end_line(); }
  EvaluationProgress(const EvaluationProgress&) = delete;
  EvaluationProgress& operator=(const EvaluationProgress&) = delete;

  /// What need not be done.
  void skip(double work) { left_ -= work; }
  /// `queries` more are answered, which was so much `work`.
  void add(const std::string& round, plume::index_t done, plume::index_t of, plume::index_t queries,
           double work) {
    work_ += work;
    left_ -= work;
    queries_ += static_cast<double>(queries);
    show(plume::cat(round, ": ", done, "/", of, " queries, ",
                    plume::train::fixed(queries_ / seconds(), 1), "/s, ",
                    plume::train::duration(seconds() * left_ / work_), " left"),
         done == of);
  }
  void pictures(const std::string& what, plume::index_t done, plume::index_t of) {
    show(plume::cat("features of ", what, ": ", done, "/", of, " pictures"), done == of);
  }
  /// A line of its own, which stays.
  void say(const std::string& text) {
    end_line();
    std::cerr << text << std::endl;
  }

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] double seconds() const {
    return std::max(1e-9, std::chrono::duration<double>(Clock::now() - start_).count());
  }
  void show(const std::string& line, bool last) {
    const double now = seconds();
    if (!last && now - shown_ < (terminal_ ? 0.1 : 10)) return;
    shown_ = now;
    if (terminal_) {
      std::cerr << '\r' << line << "\x1b[K" << std::flush;
      open_ = true;
    } else {
      std::cerr << line << std::endl;
    }
  }
  void end_line() {
    if (open_) std::cerr << std::endl;
    open_ = false;
  }

  Clock::time_point start_ = Clock::now();
  bool terminal_ = isatty(2) == 1, open_ = false;
  double left_, work_ = 0, queries_ = 0, shown_ = -1e9;
};

}  // namespace flamingo
