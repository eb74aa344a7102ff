#pragma once
// Row: one measurement, and the list of all of them. Files of bench/ops add rows when the program starts;
// main.cpp runs them.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace plume::bench {

/// What a row must at least do, and so which ceiling it is held against.
struct Work {
  double bytes = 0;  ///< each input read once, each output written once
  double flops = 0;
  [[nodiscard]] bool computes() const { return flops > 0; }
  [[nodiscard]] double amount() const { return computes() ? flops : bytes; }
  [[nodiscard]] const char* unit() const {
    return computes() ? "GFLOP/s" : bytes > 0 ? "GB/s" : "calls";
  }
};
inline Work moves(double bytes) { return {bytes, 0}; }
inline Work computes(double flops) { return {0, flops}; }
/// A view: no work, the time of a call is all there is to know.
inline Work views() { return {}; }

/// One way of doing a row's work: ours, or a peer's.
struct Contender {
  std::string name;                    ///< "plume", or the peer
  std::function<void()> run;           ///< what is timed
  std::function<std::string()> check;  ///< empty: right. Else what is wrong.
  std::function<void()> once;          ///< from the inputs alone; its peak memory is reported
};

struct PeerName {
  std::string name;
  int most_threads;  ///< it cannot use more
};

struct Row {
  std::string op;
  std::string pass;   ///< "forward" or "backward"
  std::string shape;  ///< "8192x2048"
  Work work;
  std::vector<PeerName> peers;  ///< in the order in which make() returns them, after ours
  /// Builds the inputs and everything that is to be timed; they live as long as the result.
  std::function<std::vector<Contender>()> make;

  [[nodiscard]] std::string name() const { return op + "/" + pass + "/" + shape; }
};

/// Every row of the program.
inline std::vector<Row>& rows() {
  static std::vector<Row> all;
  return all;
}

}  // namespace plume::bench
