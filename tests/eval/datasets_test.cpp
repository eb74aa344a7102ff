#include "plume/eval/datasets.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"

namespace {

using namespace plume;
using namespace plume::eval;

template <class F>
void refuses(F&& f, const std::string& part) {
  try {
    f();
    FAIL("nothing was refused");
  } catch (const FormatError& error) {
    CHECK_MESSAGE(std::string(error.what()).find(part) != std::string::npos, error.what());
  }
}

}  // namespace

TEST_CASE("datasets: what is missing is named") {
  const plume::test::Folder folder;
  const fs::path images = folder.path / "val2014";
  fs::create_directories(images);
  const auto questions = [&](const std::string& asked, const std::optional<std::string>& answered) {
    const fs::path q = folder.put("q.json", asked);
    std::optional<fs::path> a;
    if (answered) a = folder.put("a.json", *answered);
    return read_questions(VqaSet::vqav2, q, a, images);
  };
  refuses([&] { (void)read_questions(VqaSet::vqav2, folder.path / "no.json", {}, images); },
          "expected the questions at " + (folder.path / "no.json").string() + ", got no such file");
  refuses([&] { (void)read_questions(VqaSet::vqav2, images, {}, folder.path / "none"); },
          "the folder of pictures at " + (folder.path / "none").string() + ", got no such folder");
  refuses([&] { (void)questions("{}", {}); }, "expected questions to be a list, got null");
  refuses([&] { (void)questions(R"({"questions":[{"image_id":1,"question_id":2}]})", {}); },
          "q.json] expected questions[0].question to be a string, got null");
  const char* one = R"({"questions":[{"image_id":1,"question_id":2,"question":"?"}]})";
  refuses([&] { (void)questions(one, R"({"annotations":[]})"); },
          "a.json] expected 1 annotations, one for each question, got 0");
  refuses([&] { (void)questions(one, R"({"annotations":[{"answers":[{}]}]})"); },
          "annotations[0].answers[0].answer to be a string, got null");
  refuses([&] { (void)questions(R"({"questions":[{"image_id":"x","question_id":2}]})", {}); },
          "questions[0].image_id to be an integer");
  refuses([&] { (void)read_hateful_memes(folder.put("m.jsonl", "{\"id\":1}\n{"), images); },
          "m.jsonl line 1] expected label to be an integer of 0 to 1, got null");
  refuses([&] { (void)read_imagenet(images); }, "1 to 1000 folders, one a class, got 0");
  refuses([&] { (void)read_imagenet(folder.path); }, "val2014] expected pictures");
  refuses(
      [&] {
        (void)read_captions(CaptionSet::flickr,
                            folder.put("k.json", R"({"images":[{"split":"test","filename":"a"}]})"),
                            {images}, "test");
      },
      "images[0].sentences to be at least one caption, got null");
}

TEST_CASE("datasets: test sets without answers, pictures by the folder's name") {
  const plume::test::Folder folder;
  fs::create_directories(folder.path / "test2015");
  const auto asked =
      folder.put("q.json", R"({"questions":[{"image_id":42,"question_id":7,"question":"Why?"}]})");
  const auto samples = read_questions(VqaSet::vqav2, asked, {}, folder.path / "test2015" / "");
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].image.filename() == "COCO_test2015_000000000042.jpg");
  CHECK(samples[0].answers.empty());
  CHECK(samples[0].id == 7);
}

TEST_CASE("datasets: ImageNet is read in the order of names") {
  const plume::test::Folder folder;
  for (const char* file : {"in/n2/b.JPEG", "in/n2/a.jpg", "in/n1/z.png", "in/n1/notes.txt"}) {
    folder.put(file, "");
  }
  const auto samples = read_imagenet(folder.path / "in");
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].image.filename() == "z.png");
  CHECK(samples[1].image.filename() == "a.jpg");
  CHECK(samples[2].class_name == "goldfish");
  CHECK(samples[2].class_id == 1);
  CHECK(imagenet_class_names().size() == 1000);
  CHECK(imagenet_class_names().back() == "toilet paper");
}
