#pragma once
// Scores of captions in COCO's formats: tokens, then BLEU, ROUGE-L and CIDEr-D, of each image and of all of them.

#include <unordered_map>

#include "plume/eval/bleu.hpp"
#include "plume/eval/cider.hpp"
#include "plume/eval/ptb_tokenizer.hpp"
#include "plume/eval/rouge_l.hpp"
#include "plume/text/fields.hpp"

namespace plume::eval {

struct CaptionScores {
  double cider = 0, rouge_l = 0;
  Bleu bleu{};
};

/// One image's captions. `id` is a number or a string, as in the files.
struct CaptionedImage {
  io::Json id;
  std::vector<std::string> references;
  std::string candidate;
  std::vector<Tokens> reference_tokens{};
  Tokens candidate_tokens{};
  CaptionScores scores{};
};

/// The images that have a result, in the order of the annotations' images. The corpus' CIDEr and ROUGE-L are means;
/// its BLEU is not.
struct CaptionEvaluation {
  std::vector<CaptionedImage> images;
  CaptionScores corpus{};

  /// What tables print.
  [[nodiscard]] double cider_percent() const { return 100 * corpus.cider; }
};

namespace detail {

inline std::string image_key(const text::Field& id) {
  if (!id.is_string() && !id.json().is_number_integer()) id.refuse("an image's number or name");
  return io::print_json(id.json());
}

inline std::vector<text::Field> present_list(const text::Field& field) {
  if (field.is_null()) field.refuse("a list");
  return field.list();
}

}  // namespace detail

/// `annotations`: {"images": [{id}], "annotations": [{image_id, caption}]}; `results`: [{image_id, caption}], at most
/// one for an image. An image without a result is left out. Throws FormatError.
inline std::vector<CaptionedImage> captioned_images(const text::Field& annotations,
                                                    const text::Field& results) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<CaptionedImage> known;
  for (const text::Field& image : detail::present_list(annotations["images"])) {
    const text::Field id = image["id"];
    if (places.emplace(detail::image_key(id), known.size()).second)
      known.push_back({id.json(), {}, {}});
  }
  for (const text::Field& annotation : detail::present_list(annotations["annotations"])) {
    const auto place = places.find(detail::image_key(annotation["image_id"]));
    if (place != places.end())
      known[place->second].references.push_back(annotation["caption"].string());
  }
  std::vector<bool> answered(known.size(), false);
  for (const text::Field& result : detail::present_list(results)) {
    const text::Field id = result["image_id"];
    const auto place = places.find(detail::image_key(id));
    if (place == places.end()) id.refuse("one of the annotations' images");
    if (answered[place->second]) id.refuse("an image that has no result yet");
    if (known[place->second].references.empty()) id.refuse("an image with a reference caption");
    answered[place->second] = true;
    known[place->second].candidate = result["caption"].string();
  }
  std::vector<CaptionedImage> out;
  for (std::size_t i = 0; i < known.size(); ++i)
    if (answered[i]) out.push_back(std::move(known[i]));
  if (out.empty()) results.refuse("a list of at least one caption");
  return out;
}

/// Scores `images`, each with at least one reference.
inline CaptionEvaluation evaluate_captions(std::vector<CaptionedImage> images) {
  if (images.empty()) fail<ValueError>("evaluate_captions", "at least one image", "none");
  std::vector<std::string> references, candidates;
  for (const CaptionedImage& image : images) {
    references.insert(references.end(), image.references.begin(), image.references.end());
    candidates.push_back(image.candidate);
  }
  // All references are one file, all candidates another, as the tokenizer gets them.
  std::vector<Tokens> reference_tokens = ptb_tokenize(references);
  std::vector<Tokens> candidate_tokens = ptb_tokenize(candidates);

  CaptionEvaluation out{std::move(images)};
  std::vector<std::vector<NgramCounts>> reference_ngrams;
  std::vector<NgramCounts> candidate_ngrams;
  BleuCounts all;
  std::size_t next = 0;
  for (std::size_t i = 0; i < out.images.size(); ++i) {
    CaptionedImage& image = out.images[i];
    image.candidate_tokens = std::move(candidate_tokens[i]);
    std::vector<std::vector<std::string>> words;
    reference_ngrams.emplace_back();
    for (std::size_t j = 0; j < image.references.size(); ++j) {
      image.reference_tokens.push_back(std::move(reference_tokens[next++]));
      words.push_back(words_of(image.reference_tokens.back()));
      reference_ngrams.back().push_back(count_ngrams(words.back()));
    }
    const std::vector<std::string> candidate = words_of(image.candidate_tokens);
    candidate_ngrams.push_back(count_ngrams(candidate));
    const BleuCounts counts = bleu_counts(candidate, words);
    all += counts;
    image.scores.bleu = counts.score();
    image.scores.rouge_l = rouge_l(image.candidate_tokens, image.reference_tokens);
    out.corpus.rouge_l += image.scores.rouge_l;
  }
  const std::vector<double> ciders = cider(candidate_ngrams, reference_ngrams);
  for (std::size_t i = 0; i < ciders.size(); ++i) {
    out.images[i].scores.cider = ciders[i];
    out.corpus.cider += ciders[i];
  }
  const auto count = static_cast<double>(out.images.size());
  out.corpus.cider /= count;
  out.corpus.rouge_l /= count;
  out.corpus.bleu = all.score();
  return out;
}

/// From files in COCO's formats.
inline CaptionEvaluation evaluate_captions(const std::string& annotations_file,
                                           const std::string& results_file) {
  const io::Json annotations = io::read_json(annotations_file);
  const io::Json results = io::read_json(results_file);
  return evaluate_captions(
      captioned_images({annotations_file, annotations}, {results_file, results}));
}

}  // namespace plume::eval
