#pragma once
// Byte-pair encoding: neighbours are joined in the order of their rank, the leftmost first among equals.
//
// The symbols of a word are a linked list and the pairs that can be joined wait in a priority queue, so a word
// of n symbols costs O(n log n), whatever it is: at most n - 1 pairs to begin with and two more for each join.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "plume/core/error.hpp"

namespace plume::text {

using TokenId = std::int32_t;

/// (left, right) -> (rank, joined), in one flat table with linear probing.
class MergeTable {
 public:
  struct Merge {
    std::int32_t rank = -1;
    TokenId joined = -1;
  };

  MergeTable() = default;
  explicit MergeTable(std::size_t merges) {
    std::size_t slots = 16;
    while (slots < 2 * merges) slots *= 2;
    slots_.resize(slots);
  }

  /// A pair that is set twice keeps the later rank.
  void set(TokenId left, TokenId right, Merge merge) {
    Slot& slot = slots_[find(key(left, right))];
    slot = {key(left, right), merge};
  }
  /// nullptr where the two are not joined.
  [[nodiscard]] const Merge* get(TokenId left, TokenId right) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[find(key(left, right))];
    return slot.key == empty ? nullptr : &slot.merge;
  }

 private:
  static constexpr std::uint64_t empty = std::numeric_limits<std::uint64_t>::max();
  struct Slot {
    std::uint64_t key = empty;
    Merge merge;
  };
  static std::uint64_t key(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t find(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 32;
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at].key != empty && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::vector<Slot> slots_;
};

/// Joins pairs until none is left. Keeps its memory from word to word.
class PairMerger {
 public:
  /// Replaces the symbols of one word by what they become. Returns how many pairs went through the queue,
  /// which is below 3 n.
  std::size_t merge(const MergeTable& table, std::vector<TokenId>& word) {
    const auto count = static_cast<std::int32_t>(word.size());
    if (count < 2) return 0;
    if (word.size() > (std::size_t{1} << 30)) {
      fail<ValueError>("tokenizer", "a word of at most 2^30 symbols", word.size());
    }
    symbols_.resize(word.size());
    for (std::int32_t i = 0; i < count; ++i) {
      symbols_[index(i)] = {word[index(i)], i - 1, i + 1 < count ? i + 1 : -1};
    }
    queue_.clear();
    std::size_t queued = 0;
    for (std::int32_t i = 0; i < count; ++i) queued += push(table, i);

    while (!queue_.empty()) {
      const Pair pair = pop();
      Symbol& left = symbols_[index(pair.left)];
      if (left.id < 0 || left.next < 0) continue;
      Symbol& right = symbols_[index(left.next)];
      // The neighbours may have changed since the pair was queued.
      const auto* merge = table.get(left.id, right.id);
      if (merge == nullptr || merge->joined != pair.joined) continue;
      left.id = pair.joined;
      left.next = right.next;
      right.id = -1;
      if (left.next >= 0) symbols_[index(left.next)].previous = pair.left;
      if (left.previous >= 0) queued += push(table, left.previous);
      queued += push(table, pair.left);
    }

    word.clear();
    for (std::int32_t i = 0; i >= 0; i = symbols_[index(i)].next)
      word.push_back(symbols_[index(i)].id);
    return queued;
  }

 private:
  struct Symbol {
    TokenId id;
    std::int32_t previous, next;
  };
  struct Pair {
    std::int32_t rank, left;
    TokenId joined;
    friend bool operator<(const Pair& a, const Pair& b) {  // later in the queue
      return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
    }
  };
  static std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

  std::size_t push(const MergeTable& table, std::int32_t left) {
    const Symbol& symbol = symbols_[index(left)];
    if (symbol.next < 0) return 0;
    const auto* merge = table.get(symbol.id, symbols_[index(symbol.next)].id);
    if (merge == nullptr) return 0;
    queue_.push_back({merge->rank, left, merge->joined});
    std::push_heap(queue_.begin(), queue_.end());
    return 1;
  }
  Pair pop() {
    std::pop_heap(queue_.begin(), queue_.end());
    const Pair pair = queue_.back();
    queue_.pop_back();
    return pair;
  }

  std::vector<Symbol> symbols_;
  std::vector<Pair> queue_;
};

}  // namespace plume::text
