#pragma once
// Loader: the samples of one stream, made ahead by a pool of threads, in the order of their source.
//
//   data::Loader loader(source_options, data::pair_maker(tokenizer), {.threads = 4});
//   while (auto sample = loader.next()) ...
//
// Threads take records in turn under one lock and put what they make into a ring by ticket, so the sequence of
// samples, and state() after each, are the same for every number of threads.

#include <condition_variable>
#include <exception>
#include <iostream>
#include <mutex>
#include <thread>

#include "plume/data/documents.hpp"
#include "plume/data/losses.hpp"
#include "plume/data/source.hpp"

namespace plume::data {

/// Makes a sample of a record, by chance `uniform` in [0, 1) where there is any; throws Drop. Called by several
/// threads at once.
using Maker = std::function<Sample(Record record, double uniform)>;

/// The tokenizer must outlive the maker.
inline Maker pair_maker(const text::Tokenizer& tokenizer, const PairOptions& options = {}) {
  return [&tokenizer, options](Record record, double) {
    return make_pair(std::move(record), tokenizer, options);
  };
}
inline Maker document_maker(const text::Tokenizer& tokenizer, const DocumentOptions& options = {}) {
  return [&tokenizer, options](Record record, double uniform) {
    return make_document(std::move(record), tokenizer, uniform, options);
  };
}

struct LoaderOptions {
  std::size_t threads = 2;  ///< 0: samples are made when they are asked for
  std::size_t ahead = 64;   ///< samples made before they are asked for
  /// Above 0, samples have `images` of this size, flipped left to right half of the time, and no `pictures`.
  index_t image_size = 0;
  image::Normalization normalization{};  ///< of the vision encoder
  bool flip = true;
  LossLimits limits{};
  double stall_seconds =
      300;  ///< without a sample for so long, `stalled` is told who is busy with what
  std::function<void(const std::string&)> stalled = [](const std::string& what) {
    std::cerr << what << std::endl;
  };
};

/// The pictures of a sample as [M, 3, S, S].
inline Tensor<float> transformed(const std::vector<SamplePicture>& pictures, index_t size,
                                 bool flipped, const image::Normalization& normalization) {
  Tensor<float> out(Shape{static_cast<index_t>(pictures.size()), 3, size, size});
  float* to = out.data();
  for (const SamplePicture& picture : pictures) {
    const Tensor<float> one = image::normalize(image::fit(picture.pixels, size), normalization);
    for (index_t row = 0; row < 3 * size; ++row, to += size) {
      const float* from = one.data() + row * size;
      if (flipped) {
        std::reverse_copy(from, from + size, to);
      } else {
        std::copy_n(from, size, to);
      }
    }
  }
  return out;
}

class Loader {
 public:
  Loader(SourceOptions source, Maker make, LoaderOptions options = {})
      : source_(std::move(source)), make_(std::move(make)), options_(std::move(options)) {
    if (options_.ahead < 1) fail<ValueError>("Loader", "at least one sample ahead", options_.ahead);
    source_.on_open([this](const std::string& path) {
      const std::lock_guard lock(mutex_);
      reading_ = path;
    });
    start();
  }
  ~Loader() { stop(); }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next sample; nothing after the last of Sampling::once. Throws DataLossError past the limits.
  std::optional<Sample> next() {
    while (true) {
      Result result = threads_.empty() ? produce() : take();
      if (result.error) std::rethrow_exception(result.error);
      if (!result.more) return std::nullopt;
      cursor_ = result.after;
      if (result.drop) {
        losses_.dropped(result.shard, *result.drop);
        losses_.check(options_.limits);
        continue;
      }
      losses_.emitted(result.sample.note);
      losses_.check(options_.limits);
      return std::move(result.sample);
    }
  }

  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }

  /// Where the sequence is after the last next(), whatever the threads have done since.
  [[nodiscard]] io::Json state() const {
    return {{"source", described()},  {"slot", cursor_.slot},     {"index", cursor_.index},
            {"block", cursor_.block}, {"offset", cursor_.offset}, {"losses", losses_.state()}};
  }
  /// Goes on as the loader did whose state this is. Throws ValueError where it read other shards or in another way.
  void set_state(const io::Json& state) {
    if (state.at("source") != described())
      fail<ValueError>("Loader", cat("the state of a loader of ", io::print_json(described())),
                       io::print_json(state.at("source")));
    stop();
    Cursor cursor;
    cursor.slot = state.at("slot");
    cursor.index = state.at("index");
    cursor.block = state.at("block");
    cursor.offset = state.at("offset");
    source_.seek(cursor);
    cursor_ = cursor;
    losses_.set_state(state.at("losses"));
    start();
  }

 private:
  struct Result {
    Sample sample{};
    std::optional<Drop> drop{};
    std::string shard{};
    Cursor after{};
    std::exception_ptr error{};
    bool more = true;  ///< false past the end
  };

  [[nodiscard]] io::Json described() const {
    const SourceOptions& o = source_.options();
    std::uint64_t names = 0xcbf29ce484222325U;  // FNV-1a
    for (const std::string& shard : o.shards) {
      for (const char c : shard + '\n')
        names = (names ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return {{"shards", o.shards.size()},
            {"names", names},
            {"sampling", static_cast<int>(o.sampling)},
            {"seed", o.seed},
            {"stream", o.stream},
            {"rank", o.rank},
            {"world", o.world},
            {"shuffle", o.shuffle},
            {"shuffle_bytes", o.shuffle_bytes}};
  }

  /// What an item comes to. Never throws.
  Result made(Item item) {
    Result out;
    out.after = item.after;
    out.shard = item.record.shard;
    try {
      if (!item.shard_problem.empty()) throw Drop(item.shard_problem);
      const std::uint64_t bits = source_.bits_of(item);
      out.sample = make_(std::move(item.record), static_cast<double>(bits >> 11) * 0x1p-53);
      if (options_.image_size > 0) {
        const bool flipped = options_.flip && (bits & 1) != 0;
        out.sample.images =
            transformed(out.sample.pictures, options_.image_size, flipped, options_.normalization);
        out.sample.pictures.clear();
      }
    } catch (const Drop& drop) {
      out.drop = drop;
    } catch (...) {
      out.error = std::current_exception();
    }
    return out;
  }

  Result produce() {
    auto item = source_.next();
    return item ? made(*std::move(item)) : past_the_end();
  }
  static Result past_the_end() {
    Result out;
    out.more = false;
    return out;
  }

  Result take() {
    std::unique_lock lock(mutex_);
    std::optional<Result>& place = ring_[static_cast<std::size_t>(taken_ % ring_.size())];
    const auto patience = std::chrono::duration<double>(options_.stall_seconds);
    while (!ready_.wait_for(lock, patience, [&] { return place.has_value(); })) {
      std::string what = cat("[data] no sample for ", options_.stall_seconds, " s; last opened ",
                             reading_.empty() ? "nothing" : reading_);
      for (std::size_t i = 0; i < busy_.size(); ++i) {
        if (!busy_[i].empty()) what += cat("; reader ", i, " is ", busy_[i]);
      }
      lock.unlock();
      options_.stalled(what);
      lock.lock();
    }
    if (!place->more || place->error) {  // stays, for whoever asks again
      Result out = past_the_end();
      out.error = place->error;
      return out;
    }
    Result out = *std::move(place);
    place.reset();
    ++taken_;
    room_.notify_all();
    return out;
  }

  void work(std::size_t self) {
    const auto busy_with = [&](std::string what) {
      const std::lock_guard lock(mutex_);
      busy_[self] = std::move(what);
    };
    while (true) {
      std::uint64_t ticket = 0;
      std::optional<Item> item;
      Result result = past_the_end();
      {
        const std::lock_guard turn(turn_);
        {
          std::unique_lock lock(mutex_);
          room_.wait(lock, [&] { return stopping_ || ended_ || given_ < taken_ + ring_.size(); });
          if (stopping_ || ended_) return;
          ticket = given_++;
          busy_[self] = "reading the next record";
        }
        try {
          item = source_.next();
        } catch (...) {
          result.error = std::current_exception();
        }
        if (!item) {
          const std::lock_guard lock(mutex_);
          ended_ = true;
        }
      }
      if (item) {
        busy_with(cat("making ", item->record.key, " of ", item->record.shard));
        result = made(*std::move(item));
      }
      const std::lock_guard lock(mutex_);
      busy_[self].clear();
      ring_[static_cast<std::size_t>(ticket % ring_.size())] = std::move(result);
      ready_.notify_all();
    }
  }

  void start() {
    ring_.clear();
    ring_.resize(options_.ahead);
    busy_.assign(options_.threads, {});
    given_ = taken_ = 0;
    stopping_ = ended_ = false;
    for (std::size_t i = 0; i < options_.threads; ++i)
      threads_.emplace_back([this, i] { work(i); });
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  Source source_;
  Maker make_;
  LoaderOptions options_;
  Losses losses_;
  Cursor cursor_;
  std::mutex turn_;   ///< whose turn it is to take a record
  std::mutex mutex_;  ///< of what follows
  std::condition_variable ready_, room_;
  std::vector<std::optional<Result>> ring_;
  std::vector<std::string> busy_;
  std::string reading_;
  std::uint64_t given_ = 0, taken_ = 0;
  bool stopping_ = false, ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace plume::data
