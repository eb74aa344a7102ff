#pragma once
// The two streams of the recipe, pairs and documents two to one, batch by batch; and batches as tensors.

#include "plume/data/labels.hpp"
#include "plume/data/loader.hpp"

namespace plume::data {

enum class Stream { pairs, documents };

/// Samples as tensors. A picture that a sample does not have is zero.
struct SampleBatch {
  Tensor<std::int64_t> ids, labels;  ///< [B, T]
  Tensor<bool> mask;                 ///< [B, T], true for tokens, false for padding
  Tensor<float> images;              ///< [B, M, 1, 3, S, S]
};

/// Rows of `length` tokens, or as many as the longest has where that is 0; `slots` pictures a row. The samples must
/// have `images` of one size, one for each <image> of their ids, and no more of either than there is room for. Throws
/// ValueError otherwise.
inline SampleBatch collate(const std::vector<Sample>& samples, Stream stream,
                           const Specials& specials, index_t slots, std::size_t length = 0) {
  if (samples.empty()) fail<ValueError>("collate", "samples", "none");
  std::size_t longest = 0;
  const index_t side = samples[0].images.rank() == 4 ? samples[0].images.size(3) : 0;
  for (const Sample& sample : samples) {
    longest = std::max(longest, sample.ids.size());
    const Shape& shape = sample.images.shape();
    if (side == 0 || shape.rank() != 4 || shape[0] > slots ||
        !(shape == Shape{shape[0], 3, side, side})) {
      fail<ValueError>("collate", cat("images [up to ", slots, ", 3, ", side, ", ", side, "]"),
                       shape);
    }
    const auto places = std::count(sample.ids.begin(), sample.ids.end(), specials.image);
    if (places != shape[0]) {
      fail<ValueError>("collate",
                       cat(shape[0], " <image> in record ", sample.key, " of ", sample.shard),
                       places);
    }
  }
  if (length == 0) length = longest;
  if (longest > length) fail<ValueError>("collate", cat("at most ", length, " tokens"), longest);
  const auto batch = static_cast<index_t>(samples.size());
  const Shape text{batch, static_cast<index_t>(length)};
  SampleBatch out{Tensor<std::int64_t>(text), Tensor<std::int64_t>(text), Tensor<bool>(text),
                  zeros<float>({batch, slots, 1, 3, side, side})};
  for (std::size_t b = 0; b < samples.size(); ++b) {
    const Sample& sample = samples[b];
    const text::Ids ids = padded(sample.ids, length, specials);
    const auto labels =
        stream == Stream::pairs ? pair_labels(ids, specials) : document_labels(ids, specials);
    const std::size_t row = b * length;
    std::copy(ids.begin(), ids.end(), out.ids.data() + row);
    std::copy(labels.begin(), labels.end(), out.labels.data() + row);
    for (std::size_t t = 0; t < length; ++t) out.mask.data()[row + t] = t < sample.ids.size();
    const Tensor<float> images = sample.images.contiguous();
    std::copy_n(images.data(), images.numel(),
                out.images.data() + static_cast<index_t>(b) * slots * 3 * side * side);
  }
  return out;
}

/// So many samples of each stream a step; the recipe takes two pairs for each document. A stream of which none are
/// taken may be null. Streams must be endless.
class Mixture {
 public:
  struct Step {
    std::vector<Sample> pairs, documents;
  };

  Mixture(Loader* pairs, std::size_t pairs_a_step, Loader* documents, std::size_t documents_a_step)
      : pairs_(pairs),
        documents_(documents),
        of_pairs_(pairs_a_step),
        of_documents_(documents_a_step) {
    if (of_pairs_ + of_documents_ == 0)
      fail<ValueError>("Mixture", "at least one sample a step", 0);
    if ((of_pairs_ > 0 && pairs == nullptr) || (of_documents_ > 0 && documents == nullptr))
      fail<ValueError>("Mixture", "a loader of what is taken", "none");
  }
  Mixture(Loader& pairs, Loader& documents, std::size_t documents_a_step)
      : Mixture(&pairs, 2 * documents_a_step, &documents, documents_a_step) {}

  Step next() {
    Step out;
    draw(pairs_, of_pairs_, out.pairs);
    draw(documents_, of_documents_, out.documents);
    return out;
  }

  /// Null for a stream that is not there.
  [[nodiscard]] io::Json state() const {
    return {{"pairs", pairs_ != nullptr ? pairs_->state() : io::Json()},
            {"documents", documents_ != nullptr ? documents_->state() : io::Json()}};
  }
  void set_state(const io::Json& state) {
    if (pairs_ != nullptr) pairs_->set_state(state.at("pairs"));
    if (documents_ != nullptr) documents_->set_state(state.at("documents"));
  }

 private:
  static void draw(Loader* loader, std::size_t count, std::vector<Sample>& to) {
    while (to.size() < count) {
      auto sample = loader->next();
      if (!sample) fail<ValueError>("Mixture", "an endless stream", "one that has ended");
      to.push_back(*std::move(sample));
    }
  }

  Loader *pairs_, *documents_;
  std::size_t of_pairs_, of_documents_;
};

}  // namespace plume::data
