#pragma once
// Session: prompts with images, read once, that a vision-language model continues token by token.
//
//   images [B, M, F, 3, S, S]   ids [B, T]   keys and values of the LM per layer [R, H, T + new, hd]
//
// Images are encoded once, equal ones of the batch together, and what the fusion blocks need of them is prepared
// once, whatever the number of beams: the n beams of a text meet its images as n tokens of one sequence, so
// nothing is repeated. A prompt is read once and its keys and values are copied when it branches. New tokens
// belong to the image the prompt ends with. All of it runs under EvaluationMode: dropout is off.

#include <string_view>
#include <unordered_map>

#include "plume/generate/decode.hpp"
#include "plume/models/flamingo.hpp"

namespace plume::generate {

namespace detail {

/// Row i of the result is row parents[i] of x.
template <Floating T>
Tensor<T> take_rows(const Tensor<T>& x, std::span<const index_t> parents) {
  Dims sizes = x.shape();
  sizes[0] = static_cast<index_t>(parents.size());
  Tensor<T> out(Shape(sizes), x.device());
  for (index_t i = 0; i < out.size(0); ++i)
    out.select(0, i).copy_from(x.select(0, parents[static_cast<std::size_t>(i)]));
  return out;
}

/// Rows [N, ...] without repetition, and for each row its place among them.
template <Floating T>
std::pair<Tensor<T>, std::vector<index_t>> distinct_rows(const Tensor<T>& x) {
  const Tensor<T> rows = x.contiguous();
  const auto N = static_cast<std::size_t>(rows.size(0));
  const std::size_t bytes = N == 0 ? 0 : static_cast<std::size_t>(rows.numel()) / N * sizeof(T);
  std::unordered_map<std::string_view, index_t> known;
  std::vector<index_t> first, place;
  for (std::size_t i = 0; i < N; ++i) {
    const std::string_view row(reinterpret_cast<const char*>(rows.data()) + i * bytes, bytes);
    const auto [at, is_new] = known.emplace(row, static_cast<index_t>(first.size()));
    if (is_new) first.push_back(static_cast<index_t>(i));
    place.push_back(at->second);
  }
  return {first.size() == N ? rows : take_rows(rows, first), std::move(place)};
}

}  // namespace detail

/// Throws ShapeError or ValueError unless `prompt` is whole, [B >= 1, T >= 1], padded on the left alone.
inline void check_prompt(const models::TextInput& prompt) {
  if (!prompt.ids.defined() || prompt.ids.rank() != 2 || prompt.ids.numel() == 0)
    fail<ShapeError>("generate", "prompts [B >= 1, T >= 1]",
                     prompt.ids.defined() ? prompt.ids.shape() : Shape{});
  if (prompt.past != 0) fail<ValueError>("generate", "prompts from their start", prompt.past);
  if (!prompt.mask.defined()) return;
  if (!(prompt.mask.shape() == prompt.ids.shape()))
    fail<ShapeError>("generate", cat("a mask of shape ", prompt.ids.shape()), prompt.mask.shape());
  for (index_t b = 0; b < prompt.ids.size(0); ++b) {
    for (index_t t = 0; t < prompt.ids.size(1); ++t) {
      const bool last = t + 1 == prompt.ids.size(1);
      if (last ? !prompt.mask(b, t) : prompt.mask(b, t) && !prompt.mask(b, t + 1))
        fail<ValueError>("generate", "padding on the left alone",
                         cat("padding at or after token ", t, " of prompt ", b));
    }
  }
}

/// The most tokens that a prompt has, padding left out.
inline index_t longest_prompt(const models::TextInput& prompt) {
  if (!prompt.mask.defined()) return prompt.ids.size(1);
  index_t longest = 0;
  for (index_t b = 0; b < prompt.ids.size(0); ++b) {
    index_t real = 0;
    for (index_t t = 0; t < prompt.ids.size(1); ++t) real += prompt.mask(b, t) ? 1 : 0;
    longest = std::max(longest, real);
  }
  return longest;
}

/// `options` as `model` can meet them after this prompt, which is checked before. Throws as within() does.
template <Floating T, class... Parts>
Options within(const models::VisionLanguageModel<T, Parts...>& model,
               const models::TextInput& prompt, const Options& options) {
  check_prompt(prompt);
  if constexpr (requires { model.lang_encoder->positions(); })
    return within(model.lang_encoder->positions(), longest_prompt(prompt), options);
  return options;
}

template <Floating T, class... Parts>
class Session : public Reader {
 public:
  using Model = models::VisionLanguageModel<T, Parts...>;

  /// Keeps a reference to the model. Images that no <image> speaks of are not attended to.
  Session(const Model& model, const Tensor<T>& images, const models::TextInput& prompt)
      : Session(model, prompt) {
    if (images.rank() != 6 || images.size(0) != rows_)
      fail<ShapeError>("generate", cat("images [", rows_, ", M, F, 3, S, S]"), images.shape());
    const NoGrad scope;
    const EvaluationMode mode;
    media_ = model_.prepare(encode(images));
  }
  /// The same with images that were seen before: `latents` [B, M, L, W] of `model.see`.
  Session(const Model& model, const Var<T>& latents, const models::TextInput& prompt)
      : Session(model, prompt) {
    if (latents.rank() != 4 || latents.size(0) != rows_)
      fail<ShapeError>("generate", cat("latents [", rows_, ", M, L, W]"), latents.shape());
    const NoGrad scope;
    const EvaluationMode mode;
    media_ = model_.prepare(latents);
  }

  std::vector<double> start() override {
    const NoGrad scope;
    const EvaluationMode mode;
    cache_ = {};
    rows_ = prompt_.ids.size(0);
    const Tensor<std::int64_t> times = nn::text_times(prompt_.ids, model_.plan.image_token);
    const index_t T_prompt = prompt_.ids.size(1);
    const Var<T> x = run({prompt_.ids, padded_ ? prompt_.mask : Tensor<bool>(), 0}, times, cache_);
    read_ = T_prompt;
    return flat(model_.lang_encoder->logits(slice(x, 1, T_prompt - 1, T_prompt)));
  }

  std::vector<double> advance(std::span<const index_t> parents,
                              std::span<const std::int64_t> tokens) override {
    const NoGrad scope;
    const EvaluationMode mode;
    follow(parents);
    Tensor<std::int64_t> ids(Shape{rows_, 1});
    std::copy(tokens.begin(), tokens.end(), ids.data());
    const Var<T> x = run(next(ids), times_of(1), cache_);
    ++read_;
    return flat(model_.lang_encoder->logits(x));
  }

  /// Logits [R, k, V] after each of the tokens ids [R, k], which are read but not kept.
  Tensor<double> preview(const Tensor<std::int64_t>& ids) const {
    const NoGrad scope;
    const EvaluationMode mode;
    models::KvCache<T> cache = cache_;  // shares what is there; a read replaces, never overwrites
    const Var<T> x = run(next(ids), times_of(ids.size(1)), cache);
    return model_.lang_encoder->logits(x).value().template cast<double>().contiguous();
  }

 private:
  Session(const Model& model, const models::TextInput& prompt)
      : model_(model), prompt_(prompt), rows_(prompt.ids.defined() ? prompt.ids.size(0) : 0) {
    (void)within(model, prompt, Options{});
    const Tensor<std::int64_t> times = nn::text_times(prompt.ids, model_.plan.image_token);
    for (index_t b = 0; b < rows_; ++b)
      last_times_.push_back(times.data()[(b + 1) * prompt.ids.size(1) - 1]);
    for (index_t b = 0; prompt.mask.defined() && b < rows_; ++b) padded_ |= !prompt.mask(b, 0);
  }

  Var<T> encode(const Tensor<T>& images) const {
    const index_t B = images.size(0), M = images.size(1), F = images.size(2);
    const Dims picture{images.size(3), images.size(4), images.size(5)};
    const auto [distinct, place] =
        detail::distinct_rows(images.reshape({B * M, F * picture[0], picture[1], picture[2]}));
    const Var<T> pixels(
        distinct.reshape({distinct.size(0) * F, picture[0], picture[1], picture[2]}));
    const Tensor<T> tokens = (*model_.vision_encoder)(pixels).tokens.value();
    const index_t P = tokens.size(1), W = tokens.size(2);
    const Tensor<T> all = detail::take_rows(tokens.reshape({distinct.size(0), F, P, W}), place);
    return (*model_.perceiver)(Var<T>(all.reshape({B, M, F, P, W})));
  }

  /// Hidden states [R, k, d] of new tokens, whose keys and values go into `cache`.
  Var<T> run(const models::TextInput& input, const Tensor<std::int64_t>& times,
             models::KvCache<T>& cache) const {
    const auto& lm = *model_.lang_encoder;
    const auto step = lm.begin(input, &cache);
    const index_t B = static_cast<index_t>(last_times_.size()), k = input.ids.size(1);
    Var<T> x = lm.embed(input);
    const index_t d = x.size(2);
    for (index_t i = 0; i < lm.layer_count(); ++i) {
      if (model_.fusion.has(i)) {
        // Fusion treats each token by itself, so the rows of one text can follow each other as one.
        const Var<T> together = reshape(x, {B, rows_ / B * k, d});
        x = reshape(model_.fusion[i](together, media_[static_cast<std::size_t>(i)], times),
                    {rows_, k, d});
      }
      x = lm.layer(i, x, step);
    }
    return x;
  }

  /// New tokens after what has been read, all of them real.
  models::TextInput next(const Tensor<std::int64_t>& ids) const {
    const index_t k = ids.size(1), T_prompt = prompt_.ids.size(1), B = prompt_.ids.size(0);
    models::TextInput input{ids, {}, read_};
    if (!padded_) return input;
    input.mask = full<bool>(Shape{rows_, read_ + k}, true);
    for (index_t r = 0; r < rows_; ++r) {
      for (index_t t = 0; t < T_prompt; ++t) input.mask(r, t) = prompt_.mask(r / (rows_ / B), t);
    }
    return input;
  }
  /// Text times [B, n k] of k new tokens per row.
  [[nodiscard]] Tensor<std::int64_t> times_of(index_t k) const {
    const auto B = static_cast<index_t>(last_times_.size());
    const index_t n = rows_ / B * k;
    Tensor<std::int64_t> out(Shape{B, n});
    for (index_t b = 0; b < B; ++b)
      std::fill_n(out.data() + b * n, n, last_times_[static_cast<std::size_t>(b)]);
    return out;
  }
  void follow(std::span<const index_t> parents) {
    bool same = static_cast<index_t>(parents.size()) == rows_;
    for (std::size_t i = 0; same && i < parents.size(); ++i)
      same = parents[i] == static_cast<index_t>(i);
    if (same) return;
    for (auto& layer : cache_.layers) {
      layer.keys = detail::take_rows(layer.keys, parents);
      layer.values = detail::take_rows(layer.values, parents);
    }
    rows_ = static_cast<index_t>(parents.size());
  }
  static std::vector<double> flat(const Var<T>& logits) {
    const Tensor<double> x = logits.value().template cast<double>().contiguous();
    return {x.data(), x.data() + x.numel()};
  }

  const Model& model_;
  models::TextInput prompt_;
  typename Model::Media media_;
  models::KvCache<T> cache_;
  std::vector<std::int64_t> last_times_;  // of each prompt
  index_t rows_;                          // prompts, or as many per prompt as there are beams
  index_t read_ = 0;                      // tokens in the cache
  bool padded_ = false;
};

}  // namespace plume::generate
