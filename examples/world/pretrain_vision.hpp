#pragma once
// The small vision encoder, trained as CLIP is (Radford et al., arXiv 2103.00020): of the pictures and captions of a
// batch, which belong together?
//
//   a = normalized pooled features of the pictures [N, E]    b = those of the captions [N, E]
//   loss = (cross_entropy(s a b^T, 0 .. N - 1) + cross_entropy(s b a^T, 0 .. N - 1)) / 2,  s = exp(logit_scale)
//
// The same holds for the mean of the patches, so that they too come to tell what there is to see: a Flamingo reads
// them, and not the class token. A caption is the mean of its words, whatever their order: a text tower that reads in
// order learns far more slowly what the words stand for, and no two captions of this world differ in order alone. Only
// the visual part is of use to a Flamingo; the file holds both, as open_clip's do.

#include <algorithm>
#include <numeric>

#include "plume/data/loader.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/models/clip_vision.hpp"
#include "plume/nn/embedding.hpp"
#include "plume/nn/layer_norm.hpp"
#include "plume/ops/concat.hpp"
#include "plume/ops/cross_entropy.hpp"
#include "plume/ops/exp.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/rms_norm.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"
#include "pretrain.hpp"
#include "words.hpp"

namespace world {

struct VisionOptions {
  Course course{.steps = 1000, .learning_rate = 2e-3};
  plume::models::ClipVisionSizes sizes{48, 12, 128, 3, 32, 64, 4, plume::models::Activation::gelu};
  index_t text_width = 64;
  index_t batch = 128, pairs = 20'000;  ///< pairs: at most so many are read
  std::uint64_t seed = 1;
};

/// Pictures [N, 3, S, S] and the tokens of their captions.
struct CaptionedPictures {
  plume::Tensor<float> pictures;
  std::vector<plume::text::Ids> captions;
  std::vector<Content> contents;  ///< as the captions tell
};

/// The first `limit` pairs of the shards. Throws FormatError where one has no caption of the world.
inline CaptionedPictures read_pairs(const std::string& shards, const plume::text::Tokenizer& words,
                                    index_t side, index_t limit) {
  plume::data::SourceOptions source;
  source.shards = plume::data::expand_shards(shards);
  source.sampling = plume::data::Sampling::once;
  source.shuffle = 1;
  plume::data::LoaderOptions options;
  options.image_size = side;
  options.flip = false;
  plume::data::Loader loader(source, plume::data::pair_maker(words), options);
  std::vector<plume::Tensor<float>> pictures;
  CaptionedPictures out;
  while (std::ssize(pictures) < limit) {
    auto sample = loader.next();
    if (!sample) break;
    pictures.push_back(std::move(sample->images));
    out.captions.push_back(words.encode(sample->text));
    const std::optional<Captioned> read = content_of(sample->text);
    if (!read) plume::fail<plume::FormatError>("vision", "captions of the world", sample->text);
    out.contents.push_back(read->content);
  }
  out.pictures = plume::Tensor<float>(plume::Shape{std::ssize(pictures), 3, side, side});
  for (index_t i = 0; i < std::ssize(pictures); ++i)
    out.pictures.select(0, i).copy_from(pictures[static_cast<std::size_t>(i)].select(0, 0));
  return out;
}

/// Which pairs make a batch, none of them twice. Of every second batch all pictures are of one colour and at one
/// place, so that what tells them apart is the rest.
class Batches {
 public:
  Batches(const std::vector<Content>& contents, std::uint64_t seed)
      : random_(seed), all_(contents.size()) {
    std::iota(all_.begin(), all_.end(), std::size_t{0});
    for (const std::size_t i : all_)
      alike_[static_cast<std::size_t>(contents[i].colour * places + contents[i].place)].push_back(
          i);
  }

  std::vector<std::size_t> next(index_t size) {
    hard_ = !hard_;
    std::vector<std::size_t>* from = hard_ ? &alike_[pick(alike_.size())] : &all_;
    if (std::ssize(*from) < size) from = &all_;
    std::vector<std::size_t> out;
    for (std::size_t b = 0; b < static_cast<std::size_t>(size); ++b) {
      std::swap((*from)[b], (*from)[b + pick(from->size() - b)]);
      out.push_back((*from)[b]);
    }
    return out;
  }

 private:
  std::size_t pick(std::size_t n) {
    return static_cast<std::size_t>(random_.below(static_cast<index_t>(n)));
  }

  plume::Generator random_;
  std::vector<std::size_t> all_;
  std::array<std::vector<std::size_t>, colours * places> alike_;
  bool hard_ = false;
};

/// Names as in the file.
struct Clip : plume::nn::Module {
  plume::models::ClipVision<float> visual;
  plume::nn::Embedding<float> token_embedding;
  plume::nn::LayerNorm<float> ln_final;
  plume::nn::Parameter<float> text_projection, logit_scale;

  Clip(const VisionOptions& o, index_t vocabulary)
      : visual(*this, "visual", o.sizes),
        token_embedding(*this, "token_embedding", vocabulary, o.text_width, 0.2),
        ln_final(*this, "ln_final", o.text_width),
        text_projection(*this, "text_projection", {o.text_width, o.sizes.embed},
                        plume::nn::Init::normal(0.1)),
        logit_scale(*this, "logit_scale", {1}, plume::nn::Init::zeros()) {}

  static plume::Var<float> normalized(const plume::Var<float>& x) {
    const auto width = static_cast<double>(x.size(-1));
    return rms_norm(x, plume::constant(plume::full<float>(
                           {x.size(-1)}, static_cast<float>(1 / std::sqrt(width)))));
  }
  /// Captions filled up to one length; weights [N, T, 1] are 1 over its length for each token of a caption, else 0.
  [[nodiscard]] plume::Var<float> read(const plume::Tensor<std::int64_t>& ids,
                                       const plume::Tensor<float>& weights) const {
    const auto mean = sum(mul(ln_final(token_embedding(ids)), plume::constant(weights)), {1});
    return matmul(mean, text_projection());
  }
  /// Features of the mean of the patches, as those of the class token are made.
  [[nodiscard]] plume::Var<float> of_patches(const plume::Var<float>& tokens) const {
    return matmul(visual.ln_post(mean(tokens, {1})), visual.proj());
  }
  /// Cross-entropy of which caption belongs to a picture, and which picture to a caption: by the class token, and by
  /// the mean of the patches, which are what a Flamingo reads.
  [[nodiscard]] plume::Var<float> loss(const plume::Tensor<float>& pictures,
                                       const plume::Tensor<std::int64_t>& ids,
                                       const plume::Tensor<float>& weights) const {
    const auto own = plume::arange<std::int64_t>(ids.size(0));
    const plume::Var<float> b = permute(normalized(read(ids, weights)), {1, 0});
    const auto of = [&](const plume::Var<float>& features) {
      const auto s = mul(matmul(normalized(features), b), exp(logit_scale()));
      return add(cross_entropy(s, own), cross_entropy(permute(s, {1, 0}), own));
    };
    const auto seen = visual(plume::Var<float>(pictures));
    return scale(add(of(seen.pooled), of(of_patches(seen.tokens))), 0.25);
  }
};

/// Captions as Clip::read takes them.
struct CaptionBatch {
  plume::Tensor<std::int64_t> ids;
  plume::Tensor<float> weights;

  CaptionBatch(index_t count, index_t longest)
      : ids(plume::zeros<std::int64_t>({count, longest})),
        weights(plume::zeros<float>({count, longest, 1})) {}

  void set(index_t row, const plume::text::Ids& caption) {
    for (index_t t = 0; t < std::ssize(caption); ++t) {
      ids(row, t) = caption[static_cast<std::size_t>(t)];
      weights(row, t, 0) = 1 / static_cast<float>(caption.size());
    }
  }
};

/// How often, from 0 to 1, the caption of all of the world that a picture is most like tells it right: its parts, and
/// all of it. By the class token ("pooled") and by the mean of the patches.
inline plume::io::Json zero_shot(const Clip& clip, const plume::text::Tokenizer& words,
                                 const CaptionedPictures& pairs, index_t first, index_t longest) {
  const plume::NoGrad scope;
  const plume::EvaluationMode mode;
  std::vector<Content> all;
  for (index_t c = 0; c < combinations; ++c)
    for (index_t cloth = 0; cloth < cloths; ++cloth) all.push_back(content_at(c, cloth));
  constexpr index_t block = 256;
  std::vector<plume::Var<float>> blocks;
  for (index_t begin = 0; begin < std::ssize(all); begin += block) {
    const index_t here = std::min(block, std::ssize(all) - begin);
    CaptionBatch batch(here, longest);
    for (index_t i = 0; i < here; ++i)
      batch.set(i, words.encode(caption(all[static_cast<std::size_t>(begin + i)], 0)));
    blocks.push_back(Clip::normalized(clip.read(batch.ids, batch.weights)));
  }
  const plume::Var<float> texts = permute(concat(blocks, 0), {1, 0});
  const index_t count = pairs.pictures.size(0) - first;
  const auto seen = clip.visual(plume::Var<float>(pairs.pictures.slice(0, first, first + count)));
  plume::io::Json out;
  for (const auto& [name, features] :
       {std::pair<const char*, plume::Var<float>>{"pooled", seen.pooled},
        {"patches", clip.of_patches(seen.tokens)}}) {
    const plume::Tensor<float> alike = matmul(Clip::normalized(features), texts).value();
    std::array<index_t, 6> right{};
    for (index_t n = 0; n < count; ++n) {
      const float* row = alike.data() + n * alike.size(1);
      const Content& told =
          all[static_cast<std::size_t>(std::max_element(row, row + alike.size(1)) - row)];
      const Content& is = pairs.contents[static_cast<std::size_t>(first + n)];
      const std::array<bool, 6> same{told.thing == is.thing, told.colour == is.colour,
                                     told.count == is.count, told.place == is.place,
                                     told.cloth == is.cloth, told == is};
      for (std::size_t k = 0; k < same.size(); ++k) right[k] += same[k] ? 1 : 0;
    }
    constexpr std::array<const char*, 6> parts{"thing", "colour", "count", "place", "cloth", "all"};
    for (std::size_t k = 0; k < parts.size(); ++k)
      out[name][parts[k]] = static_cast<double>(right[k]) / static_cast<double>(count);
  }
  return out;
}

/// Trains on the pair shards of DATA and writes open_clip_config.json, open_clip_model.safetensors and log.jsonl
/// below `out`. Returns what is to be known of it: {"steps", "parameters", "loss", "zero_shot"}; the last pictures are
/// held out for that.
inline plume::io::Json pretrain_vision(const std::string& data, const std::string& out,
                                       const VisionOptions& o) {
  const auto words = plume::text::Tokenizer::load(data + "/model/tokenizer");
  const std::string file = data + "/world.json";
  const plume::io::Json world = plume::io::read_json(file);
  const std::string shards = plume::text::Field(file, world)["pair_shards"].string();
  const CaptionedPictures pairs = read_pairs(data + "/" + shards, words, o.sizes.image, o.pairs);
  const index_t count = pairs.pictures.size(0), train = count - std::min<index_t>(count / 10, 400);
  if (train < o.batch)
    plume::fail<plume::ValueError>("vision", plume::cat("at least ", o.batch, " pairs to train on"),
                                   train);
  std::filesystem::create_directories(out);
  index_t longest = 0;
  for (const auto& caption : pairs.captions) longest = std::max(longest, std::ssize(caption));
  Clip clip(o, words.size());
  plume::nn::initialize(clip, o.seed);
  // As strong as what is in a patch: a resampler knows the places of patches from nothing else.
  plume::Generator random(o.seed);
  clip.visual.positional_embedding.set_value(
      plume::normal<float>(clip.visual.positional_embedding.shape(), random, 0, 0.5));
  clip.logit_scale.set_value(plume::full<float>({1}, static_cast<float>(std::log(1 / 0.07))));

  Batches batches({pairs.contents.begin(), pairs.contents.begin() + train}, o.seed);
  const double loss = pretrain(clip, o.course, out + "/log.jsonl", [&](index_t) {
    plume::Tensor<float> pictures(plume::Shape{o.batch, 3, o.sizes.image, o.sizes.image});
    CaptionBatch captions(o.batch, longest);
    const std::vector<std::size_t> chosen = batches.next(o.batch);
    for (index_t b = 0; b < o.batch; ++b) {
      const std::size_t i = chosen[static_cast<std::size_t>(b)];
      pictures.select(0, b).copy_from(pairs.pictures.select(0, static_cast<index_t>(i)));
      captions.set(b, pairs.captions[i]);
    }
    return clip.loss(pictures, captions.ids, captions.weights);
  });
  save_weights(clip, out + "/open_clip_model.safetensors");
  const auto& v = o.sizes;
  save_json({{"embed_dim", v.embed},
             {"quick_gelu", false},
             {"vision_cfg",
              {{"image_size", v.image},
               {"patch_size", v.patch},
               {"width", v.width},
               {"layers", v.layers},
               {"head_width", v.head_width},
               {"mlp_ratio", v.mlp_ratio}}},
             {"text_cfg", {{"width", o.text_width}, {"layers", 0}}}},
            out + "/open_clip_config.json");
  return {{"steps", o.course.steps},
          {"parameters", plume::nn::parameter_count(clip.visual)},
          {"loss", loss},
          {"zero_shot", zero_shot(clip, words, pairs, train, longest)}};
}

}  // namespace world
