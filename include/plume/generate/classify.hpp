#pragma once
// Rank classification: which of several names a model finds likeliest after a prompt.
//
//   total_c = sum_j log p(name_cj | prompt, name_c1 .. name_c,j-1)     mean_c = total_c / length of name c
//
// The prompt is read once. Its logits give the first token of every name; a longer name is read after the
// prompt's keys and values, which stay as they are for the next name. (The reference's evaluation lets left
// padding, and with MPT the names before, be seen by later tokens of a name; its numbers for names of one token
// are these.)

#include "plume/generate/session.hpp"

namespace plume::generate {

struct ClassScores {
  Tensor<double> mean, total;  ///< [B, names]
};

/// `images` [B, M, F, 3, S, S], or latents [B, M, L, W] of images seen before, a Var; prompt [B, T], padded on the left;
/// names: tokens of each.
template <Floating T, class... Parts, class Images>
ClassScores classify(const models::VisionLanguageModel<T, Parts...>& model, const Images& images,
                     const models::TextInput& prompt, const std::vector<Ids>& names) {
  Session<T, Parts...> session(model, images, prompt);
  std::vector<double> first = session.start();
  const auto B = static_cast<std::size_t>(prompt.ids.size(0));
  const std::size_t V = first.size() / B;
  for (std::size_t b = 0; b < B; ++b) to_log_probabilities(std::span(first).subspan(b * V, V));
  const Shape shape{prompt.ids.size(0), static_cast<index_t>(names.size())};
  ClassScores out{Tensor<double>(shape), Tensor<double>(shape)};
  for (std::size_t c = 0; c < names.size(); ++c) {
    const Ids& name = names[c];
    if (name.empty())
      fail<ValueError>("classify", "names of one token or more", cat("none in ", c));
    for (const std::int64_t token : name) {
      if (token < 0 || token >= static_cast<std::int64_t>(V))
        fail<ValueError>("classify", cat("a token below ", V), token);
    }
    const auto k = static_cast<index_t>(name.size()) - 1;
    Tensor<double> later;
    if (k > 0) {
      Tensor<std::int64_t> ids(Shape{shape[0], k});
      for (index_t b = 0; b < shape[0]; ++b) std::copy_n(name.begin(), k, ids.data() + b * k);
      later = session.preview(ids);
    }
    for (std::size_t b = 0; b < B; ++b) {
      double total = first[b * V + static_cast<std::size_t>(name[0])];
      for (std::size_t j = 1; j < name.size(); ++j) {
        const std::span<double> row(later.data() + (b * static_cast<std::size_t>(k) + j - 1) * V,
                                    V);
        to_log_probabilities(row);
        total += row[static_cast<std::size_t>(name[j])];
      }
      const auto at_b = static_cast<index_t>(b), at_c = static_cast<index_t>(c);
      out.total(at_b, at_c) = total;
      out.mean(at_b, at_c) = total / static_cast<double>(name.size());
    }
  }
  return out;
}

}  // namespace plume::generate
