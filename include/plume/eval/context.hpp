#pragma once
// From prompts to what a model reads: contexts that fit, batches padded on the left, pictures behind each other.

#include <algorithm>
#include <functional>
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

/// How many tokens the language model of a config.json may read in all; where it does not say, the number that
/// transformers takes for each of these models. Throws FormatError.
inline index_t positions_of(const std::string& file) {
  constexpr std::int64_t most = INT64_C(1) << 31;
  const io::Json config = io::read_json(file);
  const text::Field fields(file, config);
  for (const char* key : {"max_position_embeddings", "max_seq_len"}) {
    if (fields[key].is_null()) continue;
    const index_t positions = fields[key].integer(most);
    if (positions == 0) fields[key].refuse("at least 1");
    return positions;
  }
  return 2048;
}

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
    const auto places = std::count(ids.begin(), ids.end(), tokenizer.image().value_or(-1));
    const bool apart = shots == 0 && zero_shot == ZeroShotImages::demonstrations;
    if (places != std::ssize(prompt.images) && !apart) {
      fail<ValueError>(cat("query ", io::print_json(query.id)),
                       cat("an <image> for each of ", prompt.images.size(), " pictures"), places);
    }
    if (std::ssize(ids) <= limit)
      return {std::move(prompt), std::move(ids), opened_as_rgb(query), dropped};
  }
  const index_t room = std::max<index_t>(0, limit);
  fail<ValueError>(cat("query ", io::print_json(query.id)),
                   cat("at most ", room, " tokens, which the model has beside the answer"),
                   tokenizer.encode(question_part(query)).size());
}

/// A picture as the vision encoder takes it, [3, side, side]. Throws FormatError, or std::system_error, naming the file.
inline Tensor<float> pixels_of(const PictureFile& file, index_t side,
                               const image::Normalization& normalization = {}) {
  const io::Source source = io::Source::file(file.path.string());
  image::Picture picture = image::decode(source.name, source.bytes);
  if (file.as_rgb) picture = image::to_rgb(picture);
  return image::normalize(image::fit(picture, side), normalization);
}

/// Reads and decodes a picture. Throws as pixels_of does.
inline void check_picture(const PictureFile& file) {
  const io::Source source = io::Source::file(file.path.string());
  (void)image::decode(source.name, source.bytes);
}

/// What is made of pictures; the most recently used are kept, which spares the work for demonstrations that come again.
template <Floating T>
class KeptPictures {
 public:
  using Make = std::function<Tensor<T>(const PictureFile&)>;
  /// Keeps at most `kept` of them, at least one.
  KeptPictures(std::size_t kept, Make make) : kept_(kept), make_(std::move(make)) {}

  const Tensor<T>& operator()(const PictureFile& file) {
    const std::string key = file.path.string() + (file.as_rgb ? "\n" : "");
    const auto found = known_.find(key);
    if (found != known_.end()) {
      found->second.used = ++clock_;
      return found->second.made;
    }
    Tensor<T> made = make_(file);
    if (known_.size() >= kept_ && !known_.empty()) {
      known_.erase(std::min_element(known_.begin(), known_.end(), [](const auto& a, const auto& b) {
        return a.second.used < b.second.used;
      }));
    }
    return known_.emplace(key, Entry{std::move(made), ++clock_}).first->second.made;
  }

 private:
  struct Entry {
    Tensor<T> made;
    std::uint64_t used;
  };
  std::size_t kept_;
  Make make_;
  std::uint64_t clock_ = 0;
  std::unordered_map<std::string, Entry> known_;
};

/// Contexts as a model takes them.
template <Floating T>
struct ContextBatch {
  models::TextInput text;  ///< [B, T], padded on the left
  Tensor<T> pictures;      ///< [B, M, ...]; rows with fewer end in zeros, which no text looks at
};

/// `pad` fills up the texts; it is masked. Contexts must be at least one, each with a picture; what is made of each
/// picture has one shape.
template <Floating T>
ContextBatch<T> batch_of(std::span<const Context> contexts, std::int64_t pad,
                         KeptPictures<T>& pictures) {
  const auto B = std::ssize(contexts);
  index_t T_longest = 0, M = 0;
  for (const Context& context : contexts) {
    T_longest = std::max<index_t>(T_longest, std::ssize(context.ids));
    M = std::max<index_t>(M, std::ssize(context.prompt.images));
  }
  ContextBatch<T> out;
  out.text.ids = full<std::int64_t>(Shape{B, T_longest}, pad);
  out.text.mask = full<bool>(Shape{B, T_longest}, false);
  for (index_t b = 0; b < B; ++b) {
    const Context& context = contexts[static_cast<std::size_t>(b)];
    const index_t start = T_longest - std::ssize(context.ids);
    for (index_t t = start; t < T_longest; ++t) {
      out.text.ids(b, t) = context.ids[static_cast<std::size_t>(t - start)];
      out.text.mask(b, t) = true;
    }
    for (index_t m = 0; m < std::ssize(context.prompt.images); ++m) {
      const Tensor<T>& made =
          pictures({context.prompt.images[static_cast<std::size_t>(m)], context.as_rgb});
      if (!out.pictures.defined()) {
        Dims sizes{B, M};
        for (const index_t size : made.shape()) sizes.push_back(size);
        out.pictures = zeros<T>(Shape(sizes));
      }
      out.pictures.select(0, b).select(0, m).copy_from(made);
    }
  }
  return out;
}

}  // namespace plume::eval
