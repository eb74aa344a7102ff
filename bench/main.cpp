// plume_bench: every op against the ceilings of this machine, and against its peers.
//
//   plume_bench [--benchmark_...]          rows op/pass/shape[/peer]/tN, checked, then timed
//   plume_bench --compare[=REGEX]          ours and the peers in turn, the ratio of each round
//   plume_bench --list-ops                 ops and the passes that have rows; fails if one is missing
//   --threads=1,2  --rounds=9              which thread counts; rounds of a comparison
//   --cpu-time                             processor time instead of the wall's, one thread: for a machine
//                                          that others use too
//
// How to read the numbers: docs/benchmarks.md.

#include <benchmark/benchmark.h>

#include <cstring>
#include <map>
#include <regex>

#include "bench/ceilings.hpp"
#include "bench/compare.hpp"
#include "plume/ops/registry.hpp"

namespace {

using namespace plume::bench;

void print(const char* when, int threads, const Ceilings& c) {
  std::fprintf(stderr,
               "ceilings %-7s %d thread%s  fma %.1f GFLOP/s  triad %.1f  streaming triad %.1f  "
               "read: L2 %.1f  L3 %.1f  memory %.1f GB/s\n",
               when, threads, threads == 1 ? ": " : "s:", c.fma, c.triad, c.stream, c.l2, c.l3,
               c.read);
}

using NamedCeiling = std::pair<const char*, double Ceilings::*>;
constexpr NamedCeiling named_ceilings[] = {
    {"fma_gflops", &Ceilings::fma},    {"triad_gbs", &Ceilings::triad},
    {"stream_gbs", &Ceilings::stream}, {"read_l2_gbs", &Ceilings::l2},
    {"read_l3_gbs", &Ceilings::l3},    {"read_memory_gbs", &Ceilings::read},
};

/// Measured before, and again as the last row.
void add_context(int threads, const Ceilings& c) {
  for (const auto& [name, member] : named_ceilings) {
    char value[32];
    std::snprintf(value, sizeof value, "%.2f", c.*member);
    benchmark::AddCustomContext(plume::cat("ceiling_", name, "_t", threads), value);
  }
}

void measure_again(benchmark::State& state, Machine& machine) {
  for ([[maybe_unused]] auto _ : state) {
    for (auto& [threads, before] : machine.ceilings) {
      const Ceilings after = machine.probe.all(threads);
      print("after", threads, after);
      for (const auto& [name, member] : named_ceilings) {
        state.counters[plume::cat(name, "_t", threads)] = after.*member;
        const double ratio = after.*member / (before.*member);
        if (ratio < 0.9 || ratio > 1.1) {
          std::fprintf(stderr,
                       "WARNING %s with %d threads: %.1f before, %.1f after; this machine had "
                       "other work, do not believe the rows\n",
                       name, threads, before.*member, after.*member);
        }
      }
    }
  }
}

/// The inputs of the row being timed; kept while its contenders and thread counts pass.
struct Stage {
  const Row* row = nullptr;
  std::vector<Contender> contenders;
  std::map<std::pair<std::size_t, int>, std::string> checked;
  std::map<std::size_t, double> memory;

  void enter(const Row& next) {
    if (row == &next) return;
    *this = {};
    plume::cpu_memory().trim();
    row = &next;
    contenders = next.make();
  }
};

void run_row(benchmark::State& state, Machine& machine, Stage& stage, const Row& row,
             std::size_t which, int threads) {
  const ThreadScope scope(threads);
  stage.enter(row);
  const Contender& contender = stage.contenders[which];
  const auto key = std::pair(which, threads);
  if (!stage.checked.count(key)) stage.checked[key] = contender.check();
  if (!stage.checked[key].empty()) {
    state.SkipWithError(stage.checked[key].c_str());
    return;
  }
  if (!stage.memory.count(which)) stage.memory[which] = peak_bytes(contender);

  const Ceilings& ceilings = machine.ceilings.at(threads);
  const double quiet_before = machine.quiet(row.work, threads);
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(state.max_iterations));
  for ([[maybe_unused]] auto _ : state) seconds.push_back(time_once(contender));
  const double quiet_after = machine.quiet(row.work, threads);

  if (row.work.amount() > 0) {
    const double rate = row.work.amount() / median(seconds) * 1e-9;
    state.counters[row.work.unit()] = rate;
    state.counters["%peak"] = 100 * rate / Machine::ceiling(row.work, ceilings);
  }
  state.counters["quiet"] = std::min(quiet_before, quiet_after);
  state.counters["MiB"] = stage.memory[which] / 1048576.0;
}

int list_ops() {
  bool complete = true;
  for (const plume::OpInfo& op : plume::all_ops) {
    std::string line(op.name);
    for (const char* pass : {"forward", "backward"}) {
      bool found = false;
      for (const Row& row : rows()) found = found || (row.op == op.name && row.pass == pass);
      line += found ? plume::cat(" ", pass) : plume::cat(" MISSING:", pass);
      complete = complete && found;
    }
    std::printf("%s\n", line.c_str());
  }
  for (const Row& row : rows()) {
    bool known = false;
    for (const plume::OpInfo& op : plume::all_ops) known = known || row.op == op.name;
    if (!known) std::printf("%s is in no registry\n", row.op.c_str());
    complete = complete && known;
  }
  return complete ? 0 : 1;
}

struct Options {
  bool list = false;
  bool compare = false;
  std::string compare_filter;
  std::vector<int> threads;
  int rounds = 9;
};

/// Takes our options out of argv; Google Benchmark gets the others.
Options parse(int& argc, char** argv) {
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&] { return std::string(argument.substr(argument.find('=') + 1)); };
    if (argument == "--list-ops") {
      options.list = true;
    } else if (argument == "--compare" || argument.starts_with("--compare=")) {
      options.compare = true;
      if (argument.size() > 9) options.compare_filter = value();
    } else if (argument == "--cpu-time") {
      use_cpu_time = true;
      options.threads = {1};
    } else if (argument.starts_with("--rounds=")) {
      options.rounds = std::max(1, std::atoi(value().c_str()));
    } else if (argument.starts_with("--threads=")) {
      for (const char c : value()) {
        if (c >= '1' && c <= '9') options.threads.push_back(c - '0');
      }
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  if (options.threads.empty()) {
    options.threads.push_back(1);
    if (std::thread::hardware_concurrency() > 1) options.threads.push_back(2);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.list) return list_ops();

  Machine machine;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (use_cpu_time) benchmark::AddCustomContext("clock", "processor time");
  for (const int threads : options.threads) {
    machine.ceilings[threads] = machine.probe.all(threads);
    print("before", threads, machine.ceilings[threads]);
    add_context(threads, machine.ceilings[threads]);
  }
  if (options.compare) return compare(machine, options.compare_filter, options.rounds);

  Stage stage;
  for (const Row& row : rows()) {
    for (std::size_t which = 0; which <= row.peers.size(); ++which) {
      const std::string peer = which == 0 ? "" : plume::cat("/", row.peers[which - 1].name);
      for (const int threads : options.threads) {
        if (which > 0 && threads > row.peers[which - 1].most_threads) continue;
        benchmark::RegisterBenchmark(plume::cat(row.name(), peer, "/t", threads).c_str(),
                                     [&, which, threads](benchmark::State& state) {
                                       run_row(state, machine, stage, row, which, threads);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  benchmark::RegisterBenchmark("ceilings/after", [&](benchmark::State& state) {
    stage = {};
    measure_again(state, machine);
  })->Iterations(1);
  std::string filter = benchmark::GetBenchmarkFilter();
  if (!filter.empty() && filter[0] != '-' && filter != "all")
    filter = plume::cat("(", filter, ")|^ceilings/after");
  benchmark::RunSpecifiedBenchmarks(nullptr, nullptr, filter);
  benchmark::Shutdown();
  return 0;
}
