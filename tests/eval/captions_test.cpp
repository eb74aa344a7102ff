// Caption metrics against recorded scores, and what must hold whatever the captions.

#include "plume/eval/captions.hpp"

#include <doctest/doctest.h>

#include "verify/captions_case.hpp"

using namespace plume;
using namespace plume::eval;
using io::Json;

namespace {

CaptionedImage image(int id, std::vector<std::string> references, std::string candidate) {
  return {id, std::move(references), std::move(candidate)};
}

std::vector<CaptionedImage> read(const Json& annotations, const Json& results) {
  return captioned_images({"annotations.json", annotations}, {"results.json", results});
}

Json two_images() {
  return {{"images", {{{"id", 1}}, {{"id", 2}}}},
          {"annotations",
           {{{"image_id", 1}, {"caption", "a cat"}}, {{"image_id", 2}, {"caption", "a dog"}}}}};
}

}  // namespace

TEST_CASE("captions: the recorded tokens and scores") {
  for (const char* folder :
       {"tests/golden/metrics", "tests/golden/metrics_edge", "tests/golden/metrics_ptb"}) {
    flamingo::Report report;
    flamingo::check_captions(folder, report);
    CHECK(report.comparisons().size() > 100);
    for (const flamingo::Comparison& c : report.comparisons()) {
      INFO(c.name << ": " << c.detail);
      CHECK(c.error <= c.tolerance);
    }
  }
}

TEST_CASE("captions: a candidate that is the only reference scores in full") {
  const auto got =
      evaluate_captions({image(1, {"a black cat sits on a mat"}, "a black cat sits on a mat"),
                         image(2, {"two dogs run in the park"}, "two dogs run in the park")});
  for (const CaptionedImage& i : got.images) {
    CHECK(i.scores.cider == doctest::Approx(10));
    CHECK(i.scores.rouge_l == doctest::Approx(1));
    for (const double b : i.scores.bleu) CHECK(b == doctest::Approx(1));
  }
  CHECK(got.cider_percent() == doctest::Approx(1000));
}

TEST_CASE("captions: with one image every n-gram is in all of them and CIDEr is 0") {
  CHECK(evaluate_captions({image(1, {"a cat"}, "a cat")}).corpus.cider == 0);
}

TEST_CASE("captions: scores stay in their ranges, and the order of references and images is free") {
  std::vector<CaptionedImage> images = {
      image(1, {"a cat on a mat", "the cat sat", "one cat"}, "a cat sat on the mat"),
      image(2, {"a red bus", "the bus"}, "a big red bus in town"), image(3, {"a man"}, "")};
  const auto got = evaluate_captions(images);
  std::reverse(images.begin(), images.end());
  for (auto& i : images) std::reverse(i.references.begin(), i.references.end());
  const auto other = evaluate_captions(images);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const CaptionScores &a = got.images[i].scores, &b = other.images[images.size() - 1 - i].scores;
    CHECK(std::abs(a.cider - b.cider) <= 1e-12);
    CHECK(a.rouge_l == b.rouge_l);
    CHECK(a.bleu == b.bleu);
    CHECK((a.cider >= 0 && a.cider <= 10));
    CHECK((a.rouge_l >= 0 && a.rouge_l <= 1));
    for (const double x : a.bleu) CHECK((x >= 0 && x <= 1));
  }
  CHECK(got.images[2].scores.cider == 0);
  CHECK(got.images[2].scores.bleu[0] == 0);
}

TEST_CASE("captions: an image without a result counts nowhere") {
  const auto images = read(two_images(), {{{"image_id", 2}, {"caption", "a dog"}}});
  REQUIRE(images.size() == 1);
  CHECK(images[0].id == 2);
}

TEST_CASE("captions: malformed files are refused by the field") {
  const auto refused = [](const Json& annotations, const Json& results, const char* message) {
    CHECK_THROWS_WITH_AS(read(annotations, results), message, FormatError);
  };
  const Json good = {{{"image_id", 1}, {"caption", "a cat"}}};
  refused(two_images(), Json::array(),
          "[results.json] expected the document to be a list of at least one caption, got []");
  refused(Json::object(), good, "[annotations.json] expected images to be a list, got null");
  refused(two_images(), {{{"image_id", 1}, {"caption", 3}}},
          "[results.json] expected [0].caption to be a string, got 3");
  refused(two_images(), {{{"image_id", 9}, {"caption", "a cat"}}},
          "[results.json] expected [0].image_id to be one of the annotations' images, got 9");
  refused(two_images(), {good[0], good[0]},
          "[results.json] expected [1].image_id to be an image that has no result yet, got 1");
  Json unlabelled = two_images();
  unlabelled["annotations"].erase(0);
  refused(unlabelled, good,
          "[results.json] expected [0].image_id to be an image with a reference caption, got 1");
  CHECK_THROWS_AS(evaluate_captions(std::vector<CaptionedImage>{}), ValueError);
}
