#pragma once
// Interrupt: while it lives, SIGINT (Ctrl-C) and SIGTERM ask the program to come to an end instead of ending it.
// The second one ends it at once, as if nobody listened.

#include <signal.h>  // sigaction

#include <csignal>

#include "plume/core/error.hpp"

namespace plume::train {

class Interrupt {
 public:
  /// Throws ValueError where there is one already.
  Interrupt() {
    if (lives_) fail<ValueError>("Interrupt", "one at a time", "a second one");
    lives_ = true;
    asked_ = 0;
    struct sigaction action {};
    action.sa_handler = &Interrupt::hear;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &before_int_);
    sigaction(SIGTERM, &action, &before_term_);
  }
  ~Interrupt() {
    sigaction(SIGINT, &before_int_, nullptr);
    sigaction(SIGTERM, &before_term_, nullptr);
    lives_ = false;
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Whether a signal came since the last one of these was made.
  static bool asked() noexcept { return asked_ != 0; }

 private:
  static void hear(int signal) {
    if (asked_ != 0) {
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
    asked_ = 1;
  }

  inline static volatile std::sig_atomic_t asked_ = 0;
  inline static bool lives_ = false;
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace plume::train
