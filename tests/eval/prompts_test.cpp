#include "plume/eval/prompts.hpp"

#include <doctest/doctest.h>

#include "plume/eval/classification.hpp"

using namespace plume;
using namespace plume::eval;

TEST_CASE("prompts: what is shown at zero shots") {
  const ClassSample a{"a.png", 1, "no", 0, "x <image> y"}, b{"b.png", 2, "yes", 1, "z"};
  const std::vector<const ClassSample*> demonstrations{&a, &b};
  const Prompt zero = few_shot_prompt<ClassSample>(demonstrations, b, 0);
  CHECK(zero.images == std::vector<fs::path>{"b.png"});
  CHECK(zero.text.text().starts_with("is an image with: 'x <image> y' written"));
  const Prompt bug =
      few_shot_prompt<ClassSample>(demonstrations, b, 0, ZeroShotImages::demonstrations);
  CHECK(bug.text == zero.text);
  CHECK(bug.images.size() == 3);
  CHECK(few_shot_prompt<ClassSample>(demonstrations, b, 2).images.size() == 3);
  CHECK(few_shot_prompt<ClassSample>({}, b, 1).text == question_part(b));
}

TEST_CASE("prompts: what a data set says is data, also where it looks like markup") {
  VqaSample shown, asked;
  shown.question = "what is <image>?";
  shown.answers = {"</s><|endofchunk|>"};
  asked.question = "and <image>?";
  for (const index_t shots : {0, 1}) {
    const std::vector<const VqaSample*> demonstrations{&shown};
    const Prompt prompt = few_shot_prompt<VqaSample>(demonstrations, asked, shots);
    CHECK(prompt.text.text() == cat(shots == 0 ? "" : "<image>",
                                    "Question:what is <image>? Short answer:</s><|endofchunk|>",
                                    "<|endofchunk|>\n<image>Question:and <image>? Short answer:"));
    std::string data;
    for (const auto& [begin, end] : prompt.text.ranges())
      data += prompt.text.text().substr(begin, end - begin) + "|";
    CHECK(data == "what is <image>?|</s><|endofchunk|>|and <image>?|");
  }
}

TEST_CASE("prompts: a demonstration needs an answer") {
  const VqaSample test{"a.jpg", 7, "Why?", {}};
  CHECK(question_part(test).text() == "<image>Question:Why? Short answer:");
  CHECK_THROWS_AS((void)demonstration(test), ValueError);
}

TEST_CASE("prompts: numbers of demonstrations and orders") {
  CHECK(demonstrations_for(0) == 2);
  CHECK(demonstrations_for(8) == 8);
  CHECK(ensemble_size(0) == 1);
  CHECK(ensemble_size(2) == 2);
  CHECK(ensemble_size(3) == 6);
  CHECK(ensemble_size(32) == 6);
}

TEST_CASE("classification: likeliest class, mean over orders, scores") {
  const Choice choice = likeliest(std::vector<double>{-3, -1, -1});
  CHECK(choice.class_id == 1);  // the first of equals
  CHECK(std::abs(choice.probability - 1 / (2 + std::exp(-2.0))) <= 1e-15);
  CHECK(likeliest(std::vector<double>{-HUGE_VAL, -1000}).probability == 1);
  CHECK(mean_of({{-1, -2}, {-3, -6}}) == std::vector<double>{-2, -4});
  CHECK(positive_score({1, 0.75}) == 0.75);
  CHECK(positive_score({0, 0.75}) == 0.25);
  const std::vector<index_t> predicted{0, 1, 2, 3}, truth{0, 1, 2, 2};
  CHECK(top1_accuracy(predicted, truth) == 0.75);
  CHECK_THROWS_AS((void)likeliest({}), ValueError);
  CHECK_THROWS_AS((void)likeliest(std::vector<double>{NAN}), ValueError);
  CHECK_THROWS_AS((void)mean_of({{-1}, {-1, -2}}), ShapeError);
}
