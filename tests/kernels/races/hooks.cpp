// The race checker: sees every memory access of kernels compiled for host SIMT.
//
// Code compiled with -fsanitize=thread calls a function before each access. This file defines
// those functions (so nothing is linked with -fsanitize=thread, and the usual ThreadSanitizer is
// not involved) and checks accesses to device and shared memory, for each 4 bytes, against the last
// write and the last two reads:
//
//   * two accesses race if one writes, they touch the same byte, are not both atomic, and nothing
//     orders them. Ordered are: one thread's own accesses, launches, threads of a block with a
//     __syncthreads in between, lanes of a warp with a __syncwarp in between. Shuffles order
//     nothing, as in CUDA;
//   * an access outside the piece of memory it belongs to is an error, reads included;
//   * reading shared memory that the block has not written is an error.
//
// The first mistake of a block is reported with both threads and source lines. It must be compiled
// without -fsanitize=thread itself.
#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <unordered_map>

#include "kernels/host/simt.hpp"

namespace {

using plume::simt::detail::device_memory;
using plume::simt::detail::observed;

struct Access {
  std::uint64_t launch = 0;  // 0: none yet
  std::uint64_t block = 0, block_run = 0, barriers = 0, warp_syncs = 0;
  const void* code = nullptr;
  unsigned thread = 0;
  unsigned char bytes = 0;  // which of the four, as bits
  bool atomic = false;
};
struct Cell {
  Access write;
  std::array<Access, 2> reads;
  std::uint64_t written_in = 0;  // block run in which `written` holds
  unsigned char written = 0;     // bytes that the block has written
};

std::unordered_map<std::uintptr_t, Cell> cells;
std::string first_report;
bool busy = false;  // the checker's own accesses, should they be instrumented after all

std::string output_of(const std::string& command) {
  std::string text;
  if (std::FILE* pipe = popen(command.c_str(), "r")) {
    char line[512];
    while (std::fgets(line, sizeof line, pipe) != nullptr) text += line;
    pclose(pipe);
  }
  return text;
}

/// "reduce.cuh:31", or for code inlined from elsewhere "common.cuh:80 in reduce.cuh:31".
std::string line_of(const void* code) {
  Dl_info info{};
  if (dladdr(code, &info) == 0) return "?";
  char command[600];
  const auto offset = static_cast<const char*>(code) - static_cast<const char*>(info.dli_fbase) - 1;
  std::snprintf(command, sizeof command, "addr2line -s -i -e '%s' %#lx 2>/dev/null", info.dli_fname,
                static_cast<unsigned long>(offset));
  std::string lines = output_of(command), text;
  for (std::size_t start = 0; start < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', start), lines.size());
    std::string line = lines.substr(start, end - start);
    line = line.substr(0, line.find(" (disc"));
    if (line.find("simt.hpp") == std::string::npos && line.find("block.hpp") == std::string::npos) {
      text += (text.empty() ? "" : " in ") + line;
    }
    start = end + 1;
  }
  return text.empty() ? "?" : text;
}

std::string describe(const Access& a, const char* verb) {
  return std::string(a.atomic ? "atomic " : "") + verb + " by thread " + std::to_string(a.thread) +
         " of block " + std::to_string(a.block) + " at " + line_of(a.code);
}

void report(const std::string& text) {
  if (first_report.empty()) first_report = text;
}

bool ordered(const Access& a, const Access& b, bool shared) {
  if (a.launch != b.launch || (shared && a.block_run != b.block_run)) return true;
  if (a.block != b.block) return false;
  if (a.thread == b.thread || a.barriers != b.barriers) return true;
  return a.thread / 32 == b.thread / 32 && a.warp_syncs != b.warp_syncs;
}

void check_pair(const Access& now, const char* now_verb, const Access& before,
                const char* before_verb, bool shared) {
  if (before.launch == 0 || (before.bytes & now.bytes) == 0 || (before.atomic && now.atomic) ||
      ordered(before, now, shared)) {
    return;
  }
  report(std::string("race on ") + (shared ? "shared" : "device") +
         " memory: " + describe(now, now_verb) + "; " + describe(before, before_verb));
}

/// Part of an access that lies in one aligned group of four bytes.
void touch(std::uintptr_t group, unsigned char bytes, bool write, bool shared, const void* code) {
  static std::uint64_t launch = 0;
  if (launch != observed.launch) cells.clear();  // what went before is ordered before this
  launch = observed.launch;
  Cell& cell = cells[group];
  const Access now{observed.launch,     observed.block, observed.block_run, observed.barriers,
                   observed.warp_syncs, code,           observed.thread,    bytes,
                   observed.atomic};
  check_pair(now, write ? "write" : "read", cell.write, "write", shared);
  if (cell.written_in != observed.block_run) {
    cell.written_in = observed.block_run;
    cell.written = 0;
  }
  if (write) {
    for (const Access& read : cell.reads) check_pair(now, "write", read, "read", shared);
    cell.write = now;
    cell.written = static_cast<unsigned char>(cell.written | bytes);
    return;
  }
  if (shared && (bytes & ~cell.written) != 0) {
    report("shared memory that nobody has written: " + describe(now, "read"));
  }
  const bool again = cell.reads[0].launch == now.launch && cell.reads[0].thread == now.thread &&
                     cell.reads[0].block == now.block;
  if (!again) cell.reads[1] = cell.reads[0];
  cell.reads[0] = now;
}

/// True if [at, at + size) is wholly in a piece; reports if it is next to one.
bool check_bounds(const unsigned char* at, std::size_t size, bool write, bool shared,
                  const void* code) {
  const unsigned char* start = nullptr;
  std::size_t bytes = 0;
  std::string name = "a device allocation";
  if (shared) {
    for (const auto& piece : plume::simt::detail::Block::running()->shared.pieces()) {
      if (at + plume::simt::detail::guard_bytes >= piece.data &&
          at < piece.data + piece.bytes + plume::simt::detail::guard_bytes) {
        start = piece.data;
        bytes = piece.bytes;
        name = piece.name;
        if (at >= start && at < start + bytes) break;
      }
    }
  } else if (const auto* piece = device_memory().near(at)) {
    start = piece->first;
    bytes = piece->second.bytes;
  }
  if (start == nullptr) return false;  // not ours to judge
  if (at >= start && at + size <= start + bytes) return true;
  Access now;
  now.thread = observed.thread;
  now.block = observed.block;
  now.code = code;
  report("out of bounds: byte " + std::to_string(at - start) + " of " + name + " (" +
         std::to_string(bytes) + " bytes): " + describe(now, write ? "write" : "read"));
  return false;
}

void access(const void* address, std::size_t size, bool write, const void* code) {
  if (!observed.in_kernel || busy) return;
  busy = true;
  const auto* at = static_cast<const unsigned char*>(address);
  const bool shared = plume::simt::detail::Block::running()->shared.contains(at);
  if ((shared || device_memory().near(at) != nullptr) &&
      check_bounds(at, size, write, shared, code)) {
    const auto begin = reinterpret_cast<std::uintptr_t>(at);
    for (std::uintptr_t group = begin & ~std::uintptr_t{3}; group < begin + size; group += 4) {
      unsigned bytes = 0;
      for (unsigned i = 0; i < 4; ++i) {
        if (group + i >= begin && group + i < begin + size) bytes |= 1U << i;
      }
      touch(group, static_cast<unsigned char>(bytes), write, shared, code);
    }
  }
  busy = false;
}

[[maybe_unused]] const bool installed = [] {
  plume::simt::detail::take_report = [] { return std::exchange(first_report, std::string()); };
  return true;
}();

}  // namespace

#define CODE __builtin_return_address(0)
#define ACCESS(n)                                                       \
  void __tsan_read##n(void* p) { access(p, n, false, CODE); }           \
  void __tsan_write##n(void* p) { access(p, n, true, CODE); }           \
  void __tsan_unaligned_read##n(void* p) { access(p, n, false, CODE); } \
  void __tsan_unaligned_write##n(void* p) { access(p, n, true, CODE); } \
  void __tsan_volatile_read##n(void* p) { access(p, n, false, CODE); }  \
  void __tsan_volatile_write##n(void* p) { access(p, n, true, CODE); }

// std::atomic, which kernels do not use but what is around them does.
#define ATOMIC(bits)                                                                               \
  using a##bits = std::uint##bits##_t;                                                             \
  a##bits __tsan_atomic##bits##_load(const volatile a##bits* p, int) {                             \
    return __atomic_load_n(p, 5);                                                                  \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile a##bits* p, a##bits v, int) {                          \
    __atomic_store_n(p, v, 5);                                                                     \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_exchange(volatile a##bits* p, a##bits v, int) {                    \
    return __atomic_exchange_n(p, v, 5);                                                           \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_fetch_add(volatile a##bits* p, a##bits v, int) {                   \
    return __atomic_fetch_add(p, v, 5);                                                            \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_fetch_sub(volatile a##bits* p, a##bits v, int) {                   \
    return __atomic_fetch_sub(p, v, 5);                                                            \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_fetch_and(volatile a##bits* p, a##bits v, int) {                   \
    return __atomic_fetch_and(p, v, 5);                                                            \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_fetch_or(volatile a##bits* p, a##bits v, int) {                    \
    return __atomic_fetch_or(p, v, 5);                                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile a##bits* p, a##bits* e, a##bits v,    \
                                                    int, int) {                                    \
    return __atomic_compare_exchange_n(p, e, v, false, 5, 5);                                      \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile a##bits* p, a##bits* e, a##bits v, int, \
                                                  int) {                                           \
    return __atomic_compare_exchange_n(p, e, v, true, 5, 5);                                       \
  }                                                                                                \
  a##bits __tsan_atomic##bits##_compare_exchange_val(volatile a##bits* p, a##bits e, a##bits v,    \
                                                     int, int) {                                   \
    __atomic_compare_exchange_n(p, &e, v, false, 5, 5);                                            \
    return e;                                                                                      \
  }

extern "C" {
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
ATOMIC(8) ATOMIC(16) ATOMIC(32) ATOMIC(64) void __tsan_read_range(void* p, unsigned long n) {
  access(p, n, false, CODE);
}
void __tsan_write_range(void* p, unsigned long n) { access(p, n, true, CODE); }
void* __tsan_memcpy(void* to, const void* from, unsigned long n) {
  access(from, n, false, CODE);
  access(to, n, true, CODE);
  return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
  access(from, n, false, CODE);
  access(to, n, true, CODE);
  return std::memmove(to, from, n);
}
void* __tsan_memset(void* p, int value, unsigned long n) {
  access(p, n, true, CODE);
  return std::memset(p, value, n);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}
}
