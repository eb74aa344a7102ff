#pragma once
// generate: a vision-language model continues prompts that images are woven into.

#include "plume/generate/session.hpp"

namespace plume::generate {

/// `images` [B, M, F, 3, S, S], or the latents [B, M, L, W] of images seen before, a Var; prompt [B, T], padded on the
/// left; M as many as the prompt with most images has, the others' filled up behind. Besides `suppressed` the model's
/// <image> is never chosen. Texts are as long as the positions of the language model allow; ValueError where the prompt or
/// min_new_tokens are not.
template <Floating T, class... Parts, class Images>
Result generate(const models::VisionLanguageModel<T, Parts...>& model, const Images& images,
                const models::TextInput& prompt, const Options& options,
                const OnToken& on_token = {}) {
  check(options);
  Options all = within(model, prompt, options);
  if (model.plan.image_token >= 0) all.suppressed.push_back(model.plan.image_token);
  Session<T, Parts...> session(model, images, prompt);
  const Tensor<std::int64_t> ids = prompt.ids.contiguous();
  const index_t T_prompt = ids.size(1);
  std::vector<Ids> prompts;
  for (index_t b = 0; b < ids.size(0); ++b)
    prompts.emplace_back(ids.data() + b * T_prompt, ids.data() + (b + 1) * T_prompt);
  return decode(session, prompts, all, on_token);
}

}  // namespace plume::generate
