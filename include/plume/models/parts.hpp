#pragma once
// What a vision-language model needs of its four parts. A part is any nn::Module with these calls, T its scalar:
//
//   VisionEncoder   encoder(pixels [N, 3, S, S]).tokens [N, P, W]
//   Resampler       resampler(features [B, M, F, P, W]) -> latents [B, M, L, W]
//   Fusion          block(text [B, T, d], block.prepare(latents), times [B, T]) -> text [B, T, d]
//   LanguageModel   begin(input, cache), embed(input), layer(i, x, step), logits(x), layer_count()
//
// The concepts answer yes or no. parts_fit says in a sentence what a part lacks.

#include <concepts>

#include "plume/models/text_decoder.hpp"

namespace plume::models {

namespace part {

template <class P>
concept IsModule = std::derived_from<P, nn::Module>;

template <class E, class T>
concept GivesTokens = requires(const E& encoder, const Var<T>& pixels) {
  { encoder(pixels).tokens } -> std::convertible_to<Var<T>>;
};
template <class R, class T>
concept GivesLatents = requires(const R& resampler, const Var<T>& features) {
  { resampler(features) } -> std::convertible_to<Var<T>>;
};

template <class F, class T>
concept Prepares = requires(const F& fusion, const Var<T>& latents) {
  fusion.prepare(latents);
};
template <class F, class T>
concept Fuses = requires(const F& fusion, const Var<T>& x, const Tensor<std::int64_t>& times) {
  { fusion(x, fusion.prepare(x), times) } -> std::convertible_to<Var<T>>;
};

template <class L, class T>
concept Begins = requires(const L& model, const TextInput& input, KvCache<T>* cache) {
  model.begin(input, cache);
};
template <class L, class T>
concept Embeds = requires(const L& model, const TextInput& input) {
  { model.embed(input) } -> std::convertible_to<Var<T>>;
};
template <class L, class T>
concept HasLayers = requires(const L& model, const TextInput& input, const Var<T>& x) {
  { model.layer(index_t{0}, x, model.begin(input, nullptr)) } -> std::convertible_to<Var<T>>;
};
template <class L>
concept CountsLayers = requires(const L& model) {
  { model.layer_count() } -> std::convertible_to<index_t>;
};
template <class L, class T>
concept GivesLogits = requires(const L& model, const Var<T>& x) {
  { model.logits(x) } -> std::convertible_to<Var<T>>;
};

}  // namespace part

template <class E, class T>
concept VisionEncoder = part::IsModule<E> && part::GivesTokens<E, T>;

template <class R, class T>
concept Resampler = part::IsModule<R> && part::GivesLatents<R, T>;

/// Media are prepared once per set of images; tokens may come one by one.
template <class F, class T>
concept Fusion = part::IsModule<F> && part::Prepares<F, T> && part::Fuses<F, T>;

/// Tokens in, logits out, one layer at a time.
template <class L, class T>
concept LanguageModel = part::IsModule<L> && part::Begins<L, T> && part::Embeds<L, T> &&
    part::HasLayers<L, T> && part::CountsLayers<L> && part::GivesLogits<L, T>;

/// True, or does not compile and says which part lacks what.
template <class T, class Vision, class Resample, class Fuse, class Language>
consteval bool parts_fit() {
  static_assert(part::IsModule<Vision>,
                "plume: the vision encoder must derive from plume::nn::Module");
  static_assert(part::GivesTokens<Vision, T>,
                "plume: the vision encoder must be callable as encoder(pixels) const and give "
                "something with a member `tokens`, a Var<T> [N, P, W]");

  static_assert(part::IsModule<Resample>,
                "plume: the resampler must derive from plume::nn::Module");
  static_assert(part::GivesLatents<Resample, T>,
                "plume: the resampler must be callable as resampler(features) const and give "
                "latents, a Var<T> [B, M, L, W]");

  static_assert(part::IsModule<Fuse>, "plume: the fusion block must derive from plume::nn::Module");
  static_assert(part::Prepares<Fuse, T>,
                "plume: the fusion block lacks prepare(latents) const: what it needs of the "
                "images, computed once for all tokens");
  static_assert(!part::Prepares<Fuse, T> || part::Fuses<Fuse, T>,
                "plume: the fusion block must be callable as block(x, prepared, times) const and "
                "give text, a Var<T> [B, T, d]");

  static_assert(part::IsModule<Language>,
                "plume: the language model must derive from plume::nn::Module");
  static_assert(part::Begins<Language, T>,
                "plume: the language model lacks begin(input, cache) const: what all layers of "
                "one call share");
  static_assert(part::Embeds<Language, T>,
                "plume: the language model lacks embed(input) const, a Var<T> [B, T, d]");
  static_assert(!part::Begins<Language, T> || part::HasLayers<Language, T>,
                "plume: the language model lacks layer(i, x, step) const, a Var<T> [B, T, d]: "
                "fusion blocks stand between its layers");
  static_assert(part::CountsLayers<Language>,
                "plume: the language model lacks layer_count() const");
  static_assert(part::GivesLogits<Language, T>,
                "plume: the language model lacks logits(x) const, a Var<T> [B, T, V]");
  return true;
}

}  // namespace plume::models
