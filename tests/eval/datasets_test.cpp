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
          "a.json] expected one annotation for each question_id of " +
              (folder.path / "q.json").string() + ", got none of 2");
  refuses([&] { (void)questions(one, R"({"annotations":[{"question_id":2,"answers":[{}]}]})"); },
          "annotations[0].answers[0].answer to be a string, got null");
  refuses([&] { (void)questions(R"({"questions":[{"image_id":"x","question_id":2}]})", {}); },
          "questions[0].image_id to be an integer");
  refuses([&] { (void)read_hateful_memes(folder.put("m.jsonl", "{\"id\":1}\n{"), images); },
          "m.jsonl line 1] expected label to be an integer of 0 to 1, got null");
  refuses([&] { (void)read_imagenet(images); }, "expected a folder for each class, got none");
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

TEST_CASE("datasets: annotations belong to the question with their id, wherever they stand") {
  const plume::test::Folder folder;
  fs::create_directories(folder.path / "images");
  const auto record = [](int id, const char* answer) {
    return cat(R"({"question_id":)", id, R"(,"answers":[{"answer":")", answer, R"("}]})");
  };
  const auto read = [&](const std::string& annotations,
                        const std::string& ids = R"([[1,"a"],[2,"b"],[30,"c"]])") {
    io::Json questions = io::Json::array();
    for (const io::Json& pair : io::parse_json("ids", ids))
      questions.push_back({{"question_id", pair[0]}, {"image_id", pair[1]}, {"question", "?"}});
    return read_questions(
        VqaSet::textvqa, folder.put("q.json", io::Json{{"questions", questions}}.dump()),
        folder.put("a.json", "{\"annotations\":[" + annotations + "]}"), folder.path / "images");
  };
  const std::string one = record(1, "one"), two = record(2, "two"), thirty = record(30, "thirty");
  const auto sorted = read(one + "," + two + "," + thirty);
  for (const std::string& order :
       {thirty + "," + two + "," + one, two + "," + thirty + "," + one}) {
    const auto samples = read(order);
    REQUIRE(samples.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(samples[i].id == sorted[i].id);
      CHECK(samples[i].answers == sorted[i].answers);
    }
    CHECK(samples[2].answers.front() == "thirty");
    CHECK(samples[2].image.filename() == "c.jpg");
  }
  refuses([&] { (void)read(one + "," + two); }, "q.json, got none of 30");
  refuses([&] { (void)read(one + "," + two + "," + thirty + "," + record(7, "x")); },
          "q.json, got annotations of 7, which are not asked");
  refuses([&] { (void)read(one + "," + record(8, "x")); },
          "got none of 2, 30; annotations of 8, which are not asked");
  refuses([&] { (void)read(one + "," + two + "," + two); },
          "a.json] expected annotations[2].question_id to be an id that no other record has "
          "(record 1 has it), got 2");
  refuses([&] { (void)read(one + "," + two, R"([[1,"a"],[2,"b"],[1,"c"]])"); },
          "q.json] expected questions[2].question_id to be an id that no other record has");
}

TEST_CASE("datasets: pictures of captions and memes are known by their ids") {
  const plume::test::Folder folder;
  fs::create_directories(folder.path / "images");
  const auto captions = [&](const std::string& images) {
    (void)read_captions(CaptionSet::coco, folder.put("k.json", "{\"images\":[" + images + "]}"),
                        {folder.path / "images", folder.path / "images"}, "test");
  };
  const auto image = [](const char* file, int id) {
    return cat(R"({"split":"test","filepath":"val2014","sentences":[{"raw":"x"}],"filename":")",
               file, R"(","cocoid":)", id, "}");
  };
  captions(image("COCO_val2014_000000000007.jpg", 7));
  refuses([&] { captions(image("COCO_val2014_000000000007.jpg", 8)); },
          "images[0].cocoid to be the number in the name of its picture, "
          "COCO_val2014_000000000007.jpg, got 8");
  refuses([&] { captions(image("a.jpg", 7) + "," + image("a.jpg", 8)); },
          "images[1].filename to be an id that no other record has");
  const std::string meme = R"({"id":7,"img":"img/7.png","label":0,"text":"x"})";
  refuses(
      [&] {
        (void)read_hateful_memes(folder.put("m.jsonl", meme + "\n" + meme + "\n"),
                                 folder.path / "images");
      },
      "m.jsonl line 2] expected id to be an id that no other record has (record 0 has it), got 7");
}

TEST_CASE("datasets: a class of ImageNet is its folder's WordNet id, whatever folders are there") {
  const plume::test::Folder folder;
  for (const char* file : {"in/n01443537/b.JPEG", "in/n01443537/a.jpg", "in/n15075141/z.png",
                           "in/n15075141/notes.txt", "in/n02123159/deep/er/x.webp"}) {
    folder.put(file, "");
  }
  const auto samples = read_imagenet(folder.path / "in");
  REQUIRE(samples.size() == 4);
  CHECK(samples[0].image.filename() == "a.jpg");
  CHECK(samples[0].class_name == "goldfish");  // the first folder, and not the first class
  CHECK(samples[0].class_id == 1);
  CHECK(samples[2].class_name == "tiger cat");
  CHECK(samples[2].class_id == 282);
  CHECK(samples[3].class_name == "toilet paper");
  CHECK(samples[3].class_id == 999);
  CHECK(imagenet_class_names().size() == 1000);
  CHECK(eval::detail::imagenet_wordnet.size() == 8000);
  for (index_t c = 0; c < 1000; ++c) {
    const std::string id = "n" + std::string(eval::detail::imagenet_wordnet.substr(
                                     8 * static_cast<std::size_t>(c), 8));
    CHECK(imagenet_class_id(id) == c);
  }
  for (const char* name : {"", "n", "n0144076", "n01440765", "N01440764", "01440764", "n014407640"})
    CHECK(imagenet_class_id(name) == -1);
  for (const char* name : {"0", "1", "2", "3", "10"})
    folder.put(cat("numbers/", name, "/x.jpg"), "");
  refuses([&] { (void)read_imagenet(folder.path / "numbers"); },
          "(a class is known by that id; the order of folders is not used), got 0, 1, 10, 2, 3");
  folder.put("in/goldfish/x.jpg", "");
  refuses([&] { (void)read_imagenet(folder.path / "in"); }, "got goldfish");
}
