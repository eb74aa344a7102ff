#pragma once
// The small vision encoder, trained as CLIP is (Radford et al., arXiv 2103.00020): of the pictures and captions of a
// batch, which belong together?
//
//   a = normalized pooled features of the pictures [N, E]    b = those of the captions [N, E]
//   loss = (cross_entropy(s a b^T, 0 .. N - 1) + cross_entropy(s b a^T, 0 .. N - 1)) / 2,  s = exp(logit_scale)
//
// The same holds for the mean of the patches, so that they too come to tell what there is to see: a Flamingo reads
// them, and not the class token. The text tower is an OPT, averaged over a caption's tokens. Only the visual part is of use to a Flamingo; the file
// holds both, as open_clip's do.

#include <algorithm>
#include <map>
#include <numeric>

#include "plume/data/loader.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/models/clip_vision.hpp"
#include "plume/models/opt.hpp"
#include "plume/ops/cross_entropy.hpp"
#include "plume/ops/exp.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/rms_norm.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"
#include "pretrain.hpp"

namespace world {

struct VisionOptions {
  Course course{.steps = 600, .learning_rate = 2e-3};
  plume::models::ClipVisionSizes sizes{48, 8, 96, 4, 32, 64, 4, plume::models::Activation::gelu};
  index_t text_width = 64, text_layers = 1;
  index_t batch = 128, pairs = 10'000;  ///< pairs: at most so many are read
  std::uint64_t seed = 1;
};

/// Pictures [N, 3, S, S] and the tokens of their captions.
struct CaptionedPictures {
  plume::Tensor<float> pictures;
  std::vector<plume::text::Ids> captions;
};

/// The first `most` pairs of the shards.
inline CaptionedPictures read_pairs(const std::string& shards, const plume::text::Tokenizer& words,
                                    index_t side, index_t most) {
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
  while (std::ssize(pictures) < most) {
    auto sample = loader.next();
    if (!sample) break;
    pictures.push_back(std::move(sample->images));
    out.captions.push_back(words.encode(sample->text));
  }
  out.pictures = plume::Tensor<float>(plume::Shape{std::ssize(pictures), 3, side, side});
  for (index_t i = 0; i < std::ssize(pictures); ++i)
    out.pictures.select(0, i).copy_from(pictures[static_cast<std::size_t>(i)].select(0, 0));
  return out;
}

/// Which pairs make a batch, none of them twice. Every second batch is of captions that share a token, a colour say, so
/// that what tells them apart is the rest.
class Batches {
 public:
  Batches(const std::vector<plume::text::Ids>& captions, std::uint64_t seed)
      : captions_(captions), random_(seed), all_(captions.size()) {
    std::iota(all_.begin(), all_.end(), std::size_t{0});
    for (const std::size_t i : all_) {
      for (const std::int64_t token : captions[i]) {
        std::vector<std::size_t>& list = with_[token];
        if (list.empty() || list.back() != i) list.push_back(i);
      }
    }
  }

  std::vector<std::size_t> next(index_t size) {
    shared_ = !shared_;
    std::vector<std::size_t>* from = &all_;
    if (shared_) {
      const plume::text::Ids& caption = captions_[pick(captions_.size())];
      from = &with_.at(caption[pick(caption.size())]);
      if (std::ssize(*from) < size) from = &all_;
    }
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

  const std::vector<plume::text::Ids>& captions_;
  plume::Generator random_;
  std::vector<std::size_t> all_;
  std::map<std::int64_t, std::vector<std::size_t>> with_;
  bool shared_ = true;
};

/// Names as in the file.
struct Clip : plume::nn::Module {
  plume::models::ClipVision<float> visual;
  plume::models::Opt<float> text;
  plume::nn::Parameter<float> text_projection, logit_scale;

  Clip(const VisionOptions& o, index_t vocabulary, index_t longest)
      : visual(*this, "visual", o.sizes),
        text(*this, "text",
             {vocabulary, o.text_width, o.text_layers, 2, 4 * o.text_width, longest}),
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
    const plume::models::TextInput input{ids};
    const auto step = text.begin(input, nullptr);
    plume::Var<float> x = text.embed(input);
    for (index_t i = 0; i < text.layer_count(); ++i) x = text.layer(i, x, step);
    const auto mean = sum(mul(text.final_norm(x), plume::constant(weights)), {1});
    return matmul(mean, text_projection());
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
    const auto patches = matmul(visual.ln_post(mean(seen.tokens, {1})), visual.proj());
    return scale(add(of(seen.pooled), of(patches)), 0.25);
  }
};

/// Trains on the pair shards of DATA and writes open_clip_config.json, open_clip_model.safetensors and log.jsonl
/// below `out`. Returns what is to be known of it: {"steps", "parameters", "loss"}.
inline plume::io::Json pretrain_vision(const std::string& data, const std::string& out,
                                       const VisionOptions& o) {
  const auto words = plume::text::Tokenizer::load(data + "/model/tokenizer");
  const std::string file = data + "/world.json";
  const plume::io::Json world = plume::io::read_json(file);
  const std::string shards = plume::text::Field(file, world)["pair_shards"].string();
  const CaptionedPictures pairs = read_pairs(data + "/" + shards, words, o.sizes.image, o.pairs);
  const index_t count = pairs.pictures.size(0);
  if (count < o.batch)
    plume::fail<plume::ValueError>("vision", plume::cat("at least ", o.batch, " pairs"), count);
  std::filesystem::create_directories(out);
  index_t longest = 0;
  for (const auto& caption : pairs.captions) longest = std::max(longest, std::ssize(caption));
  Clip clip(o, words.size(), longest);
  plume::nn::initialize(clip, o.seed);
  // As strong as what is in a patch: a resampler knows the places of patches from nothing else.
  plume::Generator random(o.seed);
  clip.visual.positional_embedding.set_value(
      plume::normal<float>(clip.visual.positional_embedding.shape(), random, 0, 0.5));
  clip.logit_scale.set_value(plume::full<float>({1}, static_cast<float>(std::log(1 / 0.07))));

  Batches batches(pairs.captions, o.seed);
  const double loss = pretrain(clip, o.course, out + "/log.jsonl", [&](index_t) {
    plume::Tensor<float> pictures(plume::Shape{o.batch, 3, o.sizes.image, o.sizes.image});
    auto ids = plume::zeros<std::int64_t>({o.batch, longest});
    auto weights = plume::zeros<float>({o.batch, longest, 1});
    const std::vector<std::size_t> chosen = batches.next(o.batch);
    for (index_t b = 0; b < o.batch; ++b) {
      const std::size_t i = chosen[static_cast<std::size_t>(b)];
      pictures.select(0, b).copy_from(pairs.pictures.select(0, static_cast<index_t>(i)));
      const plume::text::Ids& caption = pairs.captions[i];
      for (index_t t = 0; t < std::ssize(caption); ++t) {
        ids(b, t) = caption[static_cast<std::size_t>(t)];
        weights(b, t, 0) = 1 / static_cast<float>(caption.size());
      }
    }
    return clip.loss(pictures, ids, weights);
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
             {"text_cfg", {{"width", o.text_width}, {"layers", o.text_layers}}}},
            out + "/open_clip_config.json");
  return {{"steps", o.course.steps},
          {"parameters", plume::nn::parameter_count(clip.visual)},
          {"loss", loss}};
}

}  // namespace world
