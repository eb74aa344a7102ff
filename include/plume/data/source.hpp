#pragma once
// Source: the sequence of records of one stream, a function of its options alone.
//
// Shards are read in slots 0, 1, 2, ...: which shard a slot of a rank is follows from (seed, stream, rank, world,
// slot). Records are shuffled in blocks: as many as the buffer holds are read, permuted by (seed, block), and handed
// out. So four numbers say where a source is, and it can go on from there after reading at most one block again.

#include <cstdint>
#include <functional>
#include <numeric>

#include "plume/core/random.hpp"
#include "plume/data/tar.hpp"
#include "plume/io/json.hpp"

namespace plume::data {

enum class Sampling {
  resampled,  ///< each slot any shard, with replacement, without end
  shuffled,   ///< all shards in a new order each epoch, dealt to the ranks, without end
  once,       ///< all shards in their order, dealt to the ranks, one time
};

struct SourceOptions {
  std::vector<std::string> shards;
  Sampling sampling = Sampling::resampled;
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< streams of one seed are independent
  std::uint64_t rank = 0, world = 1;
  std::size_t shuffle = 1000;                          ///< records of a block; 1 keeps their order
  std::size_t shuffle_bytes = std::size_t{256} << 20;  ///< a block that has so many bytes is full
};

/// The block that begins with record `index` of slot `slot`, of which `offset` records are handed out.
struct Cursor {
  std::uint64_t slot = 0, index = 0, block = 0, offset = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// A record, or why a shard gave none.
struct Item {
  Record record;
  std::string shard_problem{};  ///< empty for a record
  std::uint64_t slot = 0, index = 0;
  Cursor after{};  ///< where to go on
};

class Source {
 public:
  explicit Source(SourceOptions options) : options_(std::move(options)) {
    const auto& o = options_;
    if (o.shards.empty()) fail<ValueError>("Source", "shards", "none");
    if (o.world < 1 || o.rank >= o.world)
      fail<ValueError>("Source", cat("a rank below ", o.world), o.rank);
    if (o.shuffle < 1 || o.shuffle_bytes < 1)
      fail<ValueError>("Source", "a block of at least one record", o.shuffle);
  }

  [[nodiscard]] const SourceOptions& options() const noexcept { return options_; }

  /// Called with the path of every shard before it is opened.
  void on_open(std::function<void(const std::string&)> call) { on_open_ = std::move(call); }

  /// Nothing after the last; that comes with Sampling::once alone.
  std::optional<Item> next() {
    if (cursor_.offset == block_.size()) {
      if (!block_.empty()) ++cursor_.block;
      cursor_ = {slot_, index_, cursor_.block, 0};
      fill();
      if (block_.empty()) return std::nullopt;
    }
    Item out = std::move(block_[cursor_.offset++]);
    out.after = cursor_;
    return out;
  }

  /// Goes on after an item whose `after` is `cursor`. Throws FormatError where the shards do not hold that anymore.
  void seek(const Cursor& cursor) {
    slot_ = cursor.slot;
    index_ = 0;
    shard_.reset();
    while (index_ < cursor.index) {
      if (!read() || slot_ != cursor.slot) {
        fail<FormatError>("Source", cat("record ", cursor.index, " of ", name(cursor.slot)),
                          "a shard that ends before; has it changed?");
      }
    }
    cursor_ = cursor;
    fill();
    if (block_.size() < cursor.offset) {
      fail<FormatError>("Source", cat(cursor.offset, " records from ", name(cursor.slot), " on"),
                        block_.size());
    }
  }

  /// The shard of a slot; nothing past the end.
  [[nodiscard]] std::optional<std::size_t> shard_of(std::uint64_t slot) const {
    const auto n = static_cast<std::uint64_t>(options_.shards.size());
    if (options_.sampling == Sampling::resampled)
      return static_cast<std::size_t>(below(n, draw(1, options_.rank, slot)));
    const std::uint64_t at = slot * options_.world + options_.rank;
    if (options_.sampling == Sampling::once)
      return at < n ? std::optional(static_cast<std::size_t>(at)) : std::nullopt;
    if (order_.empty() || epoch_ != at / n) {
      epoch_ = at / n;
      order_ = permutation(static_cast<std::size_t>(n), 2, epoch_);
    }
    return order_[static_cast<std::size_t>(at % n)];
  }

  /// 64 random bits that belong to an item.
  [[nodiscard]] std::uint64_t bits_of(const Item& item) const {
    return draw(4, item.slot, item.index);
  }

 private:
  /// 64 bits of (seed, stream, rank, purpose, a, b). Purpose 2, the order of an epoch, is of all ranks alike.
  [[nodiscard]] std::uint64_t draw(std::uint64_t purpose, std::uint64_t a, std::uint64_t b) const {
    const std::uint64_t rank = purpose == 2 ? 0 : options_.rank + 1;
    const auto join = [](const std::array<std::uint32_t, 4>& w) {
      return static_cast<std::uint64_t>(w[1]) << 32 | w[0];
    };
    return join(philox(join(philox(options_.seed, options_.stream << 8 | purpose, rank)), a, b));
  }
  static std::uint64_t below(std::uint64_t n, std::uint64_t bits) {
    __extension__ using wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<wide>(bits) * n >> 64);
  }
  [[nodiscard]] std::vector<std::size_t> permutation(std::size_t n, std::uint64_t purpose,
                                                     std::uint64_t a) const {
    std::vector<std::size_t> out(n);
    std::iota(out.begin(), out.end(), std::size_t{0});
    for (std::size_t i = n; i > 1; --i)
      std::swap(out[i - 1], out[static_cast<std::size_t>(below(i, draw(purpose, a, i)))]);
    return out;
  }

  [[nodiscard]] std::string name(std::uint64_t slot) const {
    const auto shard = shard_of(slot);
    return shard ? options_.shards[*shard] : "the end";
  }

  void fill() {
    std::vector<Item> read_items;
    std::size_t bytes = 0;
    while (read_items.size() < options_.shuffle && bytes < options_.shuffle_bytes) {
      auto item = read();
      if (!item) break;
      for (const auto& [name, file] : item->record.files) bytes += file.size();
      read_items.push_back(*std::move(item));
    }
    block_.clear();
    if (options_.shuffle == 1) {
      block_ = std::move(read_items);
    } else {
      for (const std::size_t i : permutation(read_items.size(), 3, cursor_.block))
        block_.push_back(std::move(read_items[i]));
    }
  }

  /// The next item in the order of reading. How a shard ends is an item too, unless it ends well.
  std::optional<Item> read() {
    while (true) {
      const auto number = shard_of(slot_);
      if (!number) return std::nullopt;
      const std::string& path = options_.shards[*number];
      Item out{{path, {}}, {}, slot_, index_};
      try {
        if (!shard_) {
          if (on_open_) on_open_(path);
          shard_.emplace(path);
        }
        auto record = shard_->next();
        if (!record && index_ == 0) throw Drop("shard: no record");
        if (record) {
          out.record = *std::move(record);
          ++index_;
          return out;
        }
        next_slot();
      } catch (const Drop& drop) {
        out.shard_problem = drop.what();
        next_slot();
        return out;
      }
    }
  }
  void next_slot() {
    shard_.reset();
    ++slot_;
    index_ = 0;
  }

  SourceOptions options_;
  Cursor cursor_;
  std::vector<Item> block_;
  std::optional<Shard> shard_;  ///< of slot_, where index_ records are read
  std::uint64_t slot_ = 0, index_ = 0;
  std::function<void(const std::string&)> on_open_;
  mutable std::vector<std::size_t> order_;
  mutable std::uint64_t epoch_ = 0;
};

}  // namespace plume::data
