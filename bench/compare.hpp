#pragma once
// The comparison: ours and the peers take turns, so that what disturbs one disturbs the others; what is
// reported is the median over the rounds of the ratio within a round.

#include <chrono>
#include <cstdio>
#include <regex>
#include <thread>

#include "bench/measure.hpp"

namespace plume::bench {

/// The fastest of the calls that fit 30 ms (at least two); a short rest first, in which the threads of the
/// contender before go to sleep.
inline double time_turn(const Contender& contender) {
  std::this_thread::sleep_for(std::chrono::milliseconds(25));
  contender.run();
  double best = time_once(contender);
  for (double spent = best; spent < 0.03;) {
    const double seconds = time_once(contender);
    spent += seconds;
    best = std::min(best, seconds);
  }
  return best;
}

/// False if a contender's result is wrong.
inline bool compare_row(Machine& machine, const Row& row, const std::vector<Contender>& contenders,
                        int threads, int rounds) {
  const ThreadScope scope(threads);
  std::vector<std::size_t> field{0};
  for (std::size_t k = 1; k < contenders.size(); ++k) {
    if (threads <= row.peers[k - 1].most_threads) field.push_back(k);
  }
  if (field.size() == 1) return true;
  for (const std::size_t k : field) {
    const std::string wrong = contenders[k].check();
    if (wrong.empty()) continue;
    std::printf("%-44s %d  %s is wrong: %s\n", row.name().c_str(), threads,
                contenders[k].name.c_str(), wrong.c_str());
    return false;
  }
  std::vector<std::vector<double>> seconds(contenders.size());
  double quiet = 1e9;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t turn = 0; turn < field.size(); ++turn) {
      const std::size_t k = field[(turn + static_cast<std::size_t>(round)) % field.size()];
      seconds[k].push_back(time_turn(contenders[k]));
    }
    quiet = std::min(quiet, machine.quiet(row.work, threads));
  }
  const auto rate = [&](std::size_t k) { return row.work.amount() / median(seconds[k]) * 1e-9; };
  for (const std::size_t k : field) {
    if (k == 0) continue;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < seconds[k].size(); ++round) {
      ratios.push_back(seconds[k][round] / seconds[0][round]);
    }
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("%-44s %d %9.1f %9.1f %-8s %-14s %6.2f  (%.2f to %.2f) %6.2f\n", row.name().c_str(),
                threads, rate(0), rate(k), row.work.unit(), contenders[k].name.c_str(),
                median(ratios), *least, *most, quiet);
    std::fflush(stdout);
  }
  return true;
}

/// Prints one line for each row that matches and each of its peers.
inline int compare(Machine& machine, const std::string& filter, int rounds) {
  const std::regex matches(filter);
  bool right = true;
  std::printf("%-44s %s %9s %9s %-8s %-14s %6s  %-15s %6s\n", "row", "t", "plume", "peer", "",
              "peer", "ratio", "(rounds)", "quiet");
  for (const Row& row : rows()) {
    if (row.peers.empty() || !std::regex_search(row.name(), matches)) continue;
    cpu_memory().trim();
    const std::vector<Contender> contenders = row.make();
    for (const auto& [threads, ceilings] : machine.ceilings) {
      right = compare_row(machine, row, contenders, threads, rounds) && right;
    }
  }
  return right ? 0 : 1;
}

}  // namespace plume::bench
