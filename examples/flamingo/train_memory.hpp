#pragma once
// What a run will take of memory, said before anything is loaded.

#include <unistd.h>  // sysconf

#include <fstream>
#include <ostream>
#include <sstream>

#include "plume/train/memory_advice.hpp"

namespace flamingo {

/// Bytes that a process of this machine may have without another having to give any away.
inline std::size_t available_memory() {
  std::ifstream facts("/proc/meminfo");
  for (std::string line; std::getline(facts, line);) {
    std::istringstream words(line);
    std::string name;
    std::size_t kib = 0;
    if (words >> name >> kib && name == "MemAvailable:") return kib * 1024;
  }
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Prints what a step of that model takes, and what to turn down where `available` bytes are not enough. Where the system has
/// no address space for the count, that is said instead.
inline void tell_memory(std::ostream& out, plume::models::Flamingo<float>& model,
                        const plume::train::StepShape& shape,
                        std::size_t available = available_memory()) try {
  const auto text = plume::nn::detail::size_text;
  const plume::train::MemoryPlan plan = plume::train::memory_plan<float>(model, shape);
  plume::train::print_plan(out, plan);
  // Beside its tensors a process takes an eighth of them or so.
  const std::size_t room = available / 9 * 8;
  out << "A step takes up to " << text(plan.peak) << ", and the process an eighth more or so; "
      << text(available) << " are free.\n";
  if (plan.peak <= room) return;
  out << "warning: that does not fit. What to turn down:\n";
  const auto advice = plume::train::memory_advice<float>(model, plan, room);
  for (const auto& a : advice) out << "  " << a.text << '\n';
  if (advice.empty()) out << "  nothing that could be would save memory\n";
} catch (const plume::OutOfMemory& problem) {
  out << "warning: what a step takes cannot be planned: " << problem.what() << '\n';
}

}  // namespace flamingo
