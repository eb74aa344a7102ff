#pragma once
// From prompts to what a model reads: contexts that fit, batches padded on the left, pictures behind each other.

#include <unordered_map>

#include "plume/eval/prompts.hpp"
#include "plume/image/transform.hpp"
#include "plume/io/mapped_file.hpp"
#include "plume/models/text_decoder.hpp"
#include "plume/text/tokenizer.hpp"

namespace plume::eval {

/// Where a picture is and how it is opened.
struct PictureFile {
  fs::path path;
  bool as_rgb = false;  ///< converted before it is resized, as only ImageNet's are in the reference
};
template <class Sample>
bool opened_as_rgb(const Sample&) {
  return false;
}
inline bool opened_as_rgb(const ClassSample& sample) { return sample.as_rgb; }

/// A prompt in tokens.
struct Context {
  Prompt prompt;
  text::Ids ids;
  bool as_rgb = false;
  std::size_t dropped = 0;  ///< demonstrations that did not fit, the first ones
};

/// The prompt with as many of its `demonstrations` as fit into `limit` tokens; those that come first go first, whole.
/// (The reference cuts tokens off the right, and with them the query.) Throws ValueError where the query alone does
/// not fit.
template <class Sample>
Context fitting_context(const text::Tokenizer& tokenizer,
                        std::span<const Sample* const> demonstrations, const Sample& query,
                        index_t shots, index_t limit, ZeroShotImages zero_shot) {
  for (std::size_t dropped = 0; dropped <= demonstrations.size(); ++dropped) {
    Prompt prompt =
        few_shot_prompt<Sample>(demonstrations.subspan(dropped), query, shots, zero_shot);
    text::Ids ids = tokenizer.encode(prompt.text);
    if (std::ssize(ids) <= limit)
      return {std::move(prompt), std::move(ids), opened_as_rgb(query), dropped};
  }
  fail<ValueError>("prompt", cat("a query of at most ", limit, " tokens"),
                   tokenizer.encode(question_part(query)).size());
}

/// Transformed pictures, the most recently used of which are kept.
class Pictures {
 public:
  /// Keeps at most `kept` pictures of `side` x `side`.
  explicit Pictures(index_t side, std::size_t kept = 512) : side_(side), kept_(kept) {}

  [[nodiscard]] index_t side() const noexcept { return side_; }

  /// [3, side, side]. Throws FormatError, or std::system_error, naming the file.
  Tensor<float> operator()(const PictureFile& file) {
    const std::string key = file.path.string() + (file.as_rgb ? "\n" : "");
    ++clock_;
    if (const auto found = known_.find(key); found != known_.end()) {
      found->second.used = clock_;
      return found->second.pixels;
    }
    const io::Source source = io::Source::file(file.path.string());
    image::Picture picture = image::decode(source.name, source.bytes);
    if (file.as_rgb) picture = image::to_rgb(picture);
    const Tensor<float> pixels = image::normalize(image::fit(picture, side_));
    if (known_.size() >= kept_) {
      const auto oldest = std::min_element(
          known_.begin(), known_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
      known_.erase(oldest);
    }
    known_.emplace(key, Entry{pixels, clock_});
    return pixels;
  }

 private:
  struct Entry {
    Tensor<float> pixels;
    std::uint64_t used;
  };
  index_t side_;
  std::size_t kept_;
  std::uint64_t clock_ = 0;
  std::unordered_map<std::string, Entry> known_;
};

/// Contexts as a model takes them.
template <Floating T>
struct ContextBatch {
  models::TextInput text;  ///< [B, T], padded on the left
  Tensor<T>
      images;  ///< [B, M, 1, 3, S, S]; rows with fewer pictures end in zeros, which no text looks at
};

/// `pad` fills up the texts; it is masked. Contexts must be at least one, each with a picture.
template <Floating T>
ContextBatch<T> batch_of(std::span<const Context> contexts, std::int64_t pad, Pictures& pictures) {
  const auto B = std::ssize(contexts);
  index_t T_longest = 0, M = 0;
  for (const Context& context : contexts) {
    T_longest = std::max<index_t>(T_longest, std::ssize(context.ids));
    M = std::max<index_t>(M, std::ssize(context.prompt.images));
  }
  const index_t S = pictures.side();
  ContextBatch<T> out;
  out.text.ids = full<std::int64_t>(Shape{B, T_longest}, pad);
  out.text.mask = full<bool>(Shape{B, T_longest}, false);
  out.images = zeros<T>(Shape{B, M, 1, 3, S, S});
  for (index_t b = 0; b < B; ++b) {
    const Context& context = contexts[static_cast<std::size_t>(b)];
    const index_t start = T_longest - std::ssize(context.ids);
    for (index_t t = start; t < T_longest; ++t) {
      out.text.ids(b, t) = context.ids[static_cast<std::size_t>(t - start)];
      out.text.mask(b, t) = true;
    }
    for (index_t m = 0; m < std::ssize(context.prompt.images); ++m) {
      const Tensor<float> pixels =
          pictures({context.prompt.images[static_cast<std::size_t>(m)], context.as_rgb});
      Tensor<T> place = out.images.select(0, b).select(0, m).select(0, 0);
      place.copy_from(pixels.cast<T>());
    }
  }
  return out;
}

}  // namespace plume::eval
