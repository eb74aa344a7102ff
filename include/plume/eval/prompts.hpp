#pragma once
// What a model is asked: demonstrations, then the query, of one data set.
//
//   captions      <image>Output:CAPTION<|endofchunk|>                                   pieces end in a line end
//   questions     <image>Question:QUESTION Short answer:FIRST ANSWER<|endofchunk|>      pieces end in a line end
//   memes         <image>is an image with: 'TEXT' written on it. Is it hateful? Answer:CLASS<|endofchunk|>
//   ImageNet      <image>Output:CLASS<|endofchunk|>
//
// The query stops where the answer would begin. Zero shots are two demonstrations as text alone, so that the
// model knows the form: their <image> is left out. (The reference takes "<image>" out of their questions and answers too.)

#include <span>
#include <string>
#include <vector>

#include "plume/eval/datasets.hpp"
#include "plume/eval/python_text.hpp"
#include "plume/text/marked_text.hpp"
#include "plume/text/utf8.hpp"

namespace plume::eval {

/// Up to where the answer begins, with or without its picture. What a data set says is data.
inline text::MarkedText question_part(const CaptionSample&, bool picture = true) {
  return text::MarkedText().markup(picture ? "<image>Output:" : "Output:");
}
inline text::MarkedText question_part(const VqaSample& sample, bool picture = true) {
  return text::MarkedText()
      .markup(picture ? "<image>Question:" : "Question:")
      .data(text::lossy_utf8(sample.question))
      .markup(" Short answer:");
}
inline text::MarkedText question_part(const ClassSample& sample, bool picture = true) {
  text::MarkedText out;
  if (picture) out.markup("<image>");
  if (!sample.text) return out.markup("Output:");
  return out.markup("is an image with: '")
      .data(text::lossy_utf8(*sample.text))
      .markup("' written on it. Is it hateful? Answer:");
}

inline std::string answer_part(const CaptionSample& sample) {
  return std::string(text::python_strip(sample.caption));
}
inline std::string answer_part(const VqaSample& sample) {
  if (sample.answers.empty())
    fail<ValueError>("prompt", "a demonstration with an answer",
                     cat("none for question ", io::print_json(sample.id)));
  return sample.answers.front();
}
inline std::string answer_part(const ClassSample& sample) { return sample.class_name; }

template <class Sample>
text::MarkedText demonstration(const Sample& sample, bool picture = true) {
  return question_part(sample, picture)
      .data(text::lossy_utf8(answer_part(sample)))
      .markup("<|endofchunk|>");
}

/// What stands between a demonstration and what follows.
template <class Sample>
inline constexpr std::string_view separator = "\n";
template <>
inline constexpr std::string_view separator<ClassSample> = "";

struct Prompt {
  text::MarkedText text;
  std::vector<fs::path> images;  ///< one for each <image> of the text, in order
};

/// How many demonstrations `shots` shots take.
constexpr index_t demonstrations_for(index_t shots) { return shots == 0 ? 2 : shots; }

/// What is shown at zero shots.
enum class ZeroShotImages {
  query,          ///< the query's picture alone
  demonstrations  ///< in classification also those of the two demonstrations, as the reference does
};

/// `demonstrations` in order of appearance, as many as `demonstrations_for(shots)`, or fewer. At zero shots the
/// reference's classification hands over the demonstrations' pictures with the query's, so that the query looks at
/// the first demonstration's; `ZeroShotImages::demonstrations` does it too, to compare with published numbers.
template <class Sample>
Prompt few_shot_prompt(std::span<const Sample* const> demonstrations, const Sample& query,
                       index_t shots, ZeroShotImages zero_shot = ZeroShotImages::query) {
  Prompt out;
  const bool with_images =
      shots > 0 || (std::is_same_v<Sample, ClassSample> && zero_shot != ZeroShotImages::query);
  for (const Sample* sample : demonstrations) {
    out.text.append(demonstration(*sample, shots > 0)).markup(separator<Sample>);
    if (with_images) out.images.push_back(sample->image);
  }
  out.text.append(question_part(query));
  out.images.push_back(query.image);
  return out;
}

/// How the reference lets a model answer: beam search without a penalty for length.
struct AnswerOptions {
  index_t min_new_tokens = 0;
  index_t max_new_tokens = 20;  ///< of a caption
  index_t beams = 3;
  double length_penalty = 0;
};
constexpr AnswerOptions answer_options(CaptionSet) { return {}; }
constexpr AnswerOptions answer_options(VqaSet set) {
  AnswerOptions options;
  options.max_new_tokens = set == VqaSet::textvqa ? 10 : 5;
  return options;
}

/// Orders of the demonstrations that ensembling averages over: min(6, shots!).
constexpr index_t ensemble_size(index_t shots) {
  index_t orders = 1;
  for (index_t i = 2; i <= shots && orders < 6; ++i) orders *= i;
  return orders < 6 ? orders : 6;
}

}  // namespace plume::eval
