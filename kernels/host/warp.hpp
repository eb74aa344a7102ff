#pragma once
// Warp shuffles, votes and __syncwarp.
//
// The lanes of a mask meet: each leaves its value, and the last to come gives every lane its
// result. Checked: the caller is in its own mask, all lanes call the same function at the same
// line, masks that overlap are equal, and a shuffle reads from a lane that takes part. A lane that
// has returned, or that a block of 48 threads does not have, is not waited for, as on a GPU, but
// nobody may read from it.

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "block.hpp"

namespace plume::simt::detail {

inline std::string hex(std::uint32_t mask) {
  static const char digits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += digits[(mask >> shift) & 15U];
  return text;
}
inline std::string place(const char* file, int line) {
  return std::string(" at ") + file + ":" + std::to_string(line);
}

inline bool Block::complete(Rendezvous& r, unsigned warp) {
  std::uint32_t active = 0;
  for (unsigned lane = 0; lane < 32 && warp * 32 + lane < count_; ++lane) {
    if (threads_[warp * 32 + lane]->wait != Wait::returned) active |= 1U << lane;
  }
  if ((r.mask & active & ~r.arrived) != 0) return false;
  std::uint64_t ballot = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((r.arrived >> lane & 1U) != 0 && r.value[lane] != 0) ballot |= 1U << lane;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((r.arrived >> lane & 1U) == 0) continue;
    const auto source = static_cast<unsigned>(r.source[lane]);
    if (!r.vote && (r.arrived >> source & 1U) == 0) {
      throw Error(std::string(r.what) + place(r.file, r.line) + ": lane " + std::to_string(lane) +
                  " reads from lane " + std::to_string(source) + ", which takes no part (mask " +
                  hex(r.mask) + ", lanes present " + hex(r.arrived) + ")");
    }
    threads_[warp * 32 + lane]->result = r.vote ? ballot : r.value[source];
    make_ready(warp * 32 + lane);
  }
  return true;
}

inline std::uint64_t Block::warp(const char* what, std::uint32_t mask, std::uint64_t value,
                                 int source, bool vote, const char* file, int line) {
  Thread& self = *current_;
  const unsigned lane = self.linear % 32;
  const unsigned warp = self.linear / 32;
  const auto here = [&] { return std::string(what) + place(file, line) + ": "; };
  if ((mask >> lane & 1U) == 0) {
    throw Error(here() + "lane " + std::to_string(lane) + " is not in its own mask " + hex(mask));
  }
  Rendezvous* meeting = nullptr;
  for (Rendezvous& r : warps_[warp]) {
    if (r.mask == mask) meeting = &r;
    if (r.mask != mask && (r.mask & mask) != 0) {
      throw Error(here() + "mask " + hex(mask) + " overlaps mask " + hex(r.mask) +
                  ", on which other lanes wait in " + r.what + place(r.file, r.line));
    }
  }
  if (meeting == nullptr) {
    meeting = &warps_[warp].emplace_back();
    meeting->mask = mask;
    meeting->vote = vote;
    meeting->what = what;
    meeting->file = file;
    meeting->line = line;
  }
  if (meeting->line != line || std::string_view(meeting->what) != what ||
      std::string_view(meeting->file) != file) {
    throw Error(here() + "lane " + std::to_string(lane) + " meets other lanes of its mask " +
                hex(mask) + " in " + meeting->what + place(meeting->file, meeting->line));
  }
  meeting->arrived |= 1U << lane;
  meeting->value[lane] = value;
  meeting->source[lane] = source;
  wait_at(Wait::warp, what, file, line);
  if (complete(*meeting, warp))
    warps_[warp].erase(warps_[warp].begin() + (meeting - warps_[warp].data()));
  switch_from(self.context);
  return self.result;
}

template <class T>
std::uint64_t to_bits(T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "shuffles carry up to 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}
template <class T>
T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

/// A shuffle whose source lane is `source` if inside the caller's segment of `width` lanes, else
/// its own.
template <class T>
T shuffle(const char* what, unsigned mask, T value, int source, bool inside, const char* file,
          int line) {
  Block& block = this_block();
  const int lane = static_cast<int>(block.current().linear % 32);
  return from_bits<T>(
      block.warp(what, mask, to_bits(value), inside ? source : lane, false, file, line));
}
inline int lane_index() { return static_cast<int>(this_block().current().linear % 32); }

}  // namespace plume::simt::detail

// The default arguments are evaluated where a kernel calls, so reports name the kernel's line.
#define PLUME_SIMT_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, PLUME_SIMT_HERE) {
  const int segment = plume::simt::detail::lane_index() & ~(width - 1);
  return plume::simt::detail::shuffle("__shfl_sync", mask, value, segment + (source & (width - 1)),
                                      true, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, PLUME_SIMT_HERE) {
  const int lane = plume::simt::detail::lane_index();
  const int source = lane - static_cast<int>(delta);
  return plume::simt::detail::shuffle("__shfl_up_sync", mask, value, source,
                                      source >= (lane & ~(width - 1)), file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, PLUME_SIMT_HERE) {
  const int lane = plume::simt::detail::lane_index();
  const int source = lane + static_cast<int>(delta);
  return plume::simt::detail::shuffle("__shfl_down_sync", mask, value, source,
                                      source < (lane & ~(width - 1)) + width, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, PLUME_SIMT_HERE) {
  const int lane = plume::simt::detail::lane_index();
  const int source = lane ^ lane_mask;
  return plume::simt::detail::shuffle("__shfl_xor_sync", mask, value, source,
                                      source < (lane & ~(width - 1)) + width, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, PLUME_SIMT_HERE) {
  return static_cast<unsigned>(plume::simt::detail::this_block().warp(
      "__ballot_sync", mask, predicate != 0, 0, true, file, line));
}
inline int __any_sync(unsigned mask, int predicate, PLUME_SIMT_HERE) {
  return plume::simt::detail::this_block().warp("__any_sync", mask, predicate != 0, 0, true, file,
                                                line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, PLUME_SIMT_HERE) {
  return plume::simt::detail::this_block().warp("__all_sync", mask, predicate == 0, 0, true, file,
                                                line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffU, PLUME_SIMT_HERE) {
  auto& block = plume::simt::detail::this_block();
  block.warp("__syncwarp", mask, 0, 0, true, file, line);
  block.passed_warp_sync();
}

inline void __syncthreads(PLUME_SIMT_HERE) {
  plume::simt::detail::this_block().barrier("__syncthreads", file, line);
}
inline int __syncthreads_count(int predicate, PLUME_SIMT_HERE) {
  return static_cast<int>(
      plume::simt::detail::this_block().barrier("__syncthreads_count", file, line, predicate != 0));
}
inline int __syncthreads_or(int predicate, PLUME_SIMT_HERE) {
  return plume::simt::detail::this_block().barrier("__syncthreads_or", file, line,
                                                   predicate != 0) != 0;
}
inline int __syncthreads_and(int predicate, PLUME_SIMT_HERE) {
  return plume::simt::detail::this_block().barrier("__syncthreads_and", file, line,
                                                   predicate == 0) == 0;
}

#undef PLUME_SIMT_HERE
