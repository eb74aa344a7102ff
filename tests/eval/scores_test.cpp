#include "plume/eval/scores.hpp"

#include <doctest/doctest.h>

// Scores come from answers alone, in whatever order and form they come.

namespace {

using namespace plume;
using namespace plume::eval;

Answer answer(const std::string& benchmark, std::uint32_t seed, index_t place, index_t of,
              const std::string& prediction, io::Json truth) {
  Answer a;
  a.benchmark = benchmark;
  a.shots = 4;
  a.seed = seed;
  a.place = place;
  a.of = of;
  a.id = 100 + place;
  a.prediction = a.raw = prediction;
  a.truth = std::move(truth);
  return a;
}

io::Json answers_of(std::initializer_list<const char*> texts) {
  io::Json out = io::Json::array();
  for (const char* text : texts) out.push_back({{"answer", text}, {"answer_id", out.size() + 1}});
  return {{"answers", out}};
}

std::vector<Answer> some() {
  std::vector<Answer> all;
  for (const std::uint32_t seed : {42U, 43U}) {
    all.push_back(
        answer("vqav2", seed, 0, 3, "yes", answers_of({"yes", "yes", "yes", "yes", "no"})));
    all.push_back(
        answer("vqav2", seed, 1, 3, seed == 42 ? "no" : "2", answers_of({"two", "2", "2", "2"})));
    all.push_back(answer("vqav2", seed, 2, 3, "cat", answers_of({"dog", "Cat.", "cow"})));
  }
  all.push_back(answer("coco", 42, 0, 2, "a red bus on the road",
                       {{"references", {"a red bus on a road", "the bus"}}}));
  all.push_back(
      answer("coco", 42, 1, 2, "two dogs play", {{"references", {"two dogs play in snow"}}}));
  for (index_t i = 0; i < 4; ++i) {
    Answer a = answer("hateful-memes", 42, i, 4, "",
                      {{"class_id", i % 2}, {"class_name", i % 2 ? "yes" : "no"}});
    a.chosen = ChosenClass{
        i < 3 ? 0 : 1, 0.6 + 0.1 * static_cast<double>(i), {{"no", -1.5}, {"yes", -2.25}}};
    all.push_back(a);
  }
  return all;
}

}  // namespace

TEST_CASE("scores: of hand-made answers") {
  std::vector<Answer> all = some();
  const std::vector<SeedScores> scores = score_answers(all);
  REQUIRE(scores.size() == 4);
  // "yes" is right with any one left out, and so is "2", which "two" counts as. "cat" has one annotator of three: 2/9.
  CHECK(scores[0].scores.at("vqa_accuracy") == 40.74);
  CHECK(scores[1].scores.at("vqa_accuracy") == 74.07);
  CHECK(*all[0].score == 1);
  CHECK(scores[2].benchmark == "coco");
  CHECK(scores[2].scores.at("cider") > 0);
  CHECK(all[6].score.has_value());
  CHECK(scores[3].scores.at("accuracy") == 75);
  CHECK(scores[3].scores.contains("roc_auc"));
  const std::vector<ShotScores> rows = over_seeds(scores);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].seeds == std::vector<std::uint32_t>{42, 43});
  CHECK(rows[0].queries == 3);
  const auto& both = rows[0].by_seed.at("vqa_accuracy");
  CHECK(rows[0].scores.at("vqa_accuracy").mean == (*both[0] + *both[1]) / 2);
  CHECK(*rows[0].scores.at("vqa_accuracy").deviation ==
        doctest::Approx(std::abs(*both[0] - *both[1]) / std::sqrt(2.0)));
}

TEST_CASE("scores: the same of shuffled answers, and of their lines read again") {
  std::vector<Answer> all = some(), mixed;
  const std::vector<SeedScores> expected = score_answers(all);
  for (std::size_t i = 0; i < all.size(); i += 2) mixed.push_back(all[i]);
  for (std::size_t i = 1; i < all.size(); i += 2) mixed.push_back(all[i]);
  std::vector<Answer> read;
  for (const Answer& a : mixed)
    read.push_back(answer_of_json("line", io::parse_json("line", to_json(a).dump())));
  for (std::vector<Answer>* answers : {&mixed, &read}) {
    const std::vector<SeedScores> got = score_answers(*answers);
    REQUIRE(got.size() == expected.size());
    for (const SeedScores& s : got) {
      const auto same = std::find_if(expected.begin(), expected.end(), [&](const SeedScores& e) {
        return e.benchmark == s.benchmark && e.seed == s.seed;
      });
      CHECK(same->scores == s.scores);
    }
  }
  CHECK(to_json(read[0]) == to_json(mixed[0]));
}

TEST_CASE("scores: a missing answer, one that comes twice, and one without truth") {
  std::vector<Answer> missing = some();
  missing.erase(missing.begin() + 1);
  CHECK_THROWS_AS((void)score_answers(missing), FormatError);
  std::vector<Answer> last = some();
  last.erase(last.begin() + 2);
  CHECK_THROWS_AS((void)score_answers(last), FormatError);
  std::vector<Answer> twice = some();
  twice.push_back(twice[0]);
  CHECK_THROWS_AS((void)score_answers(twice), FormatError);
  std::vector<Answer> same_id = some();
  same_id[1].id = same_id[0].id;
  CHECK_THROWS_WITH_AS(
      (void)score_answers(same_id),
      "[vqav2, 4 shots, seed 42] expected each id once, got 100 at the places 0 and 1",
      FormatError);

  std::vector<Answer> secret{answer("vqav2", 42, 0, 1, "yes", {})};
  const std::vector<SeedScores> scores = score_answers(secret);
  CHECK(scores[0].scores.empty());
  CHECK(scores[0].queries == 1);
  CHECK_FALSE(to_json(secret[0]).contains("truth"));
}

TEST_CASE("scores: a metric that is undefined says why, and takes no other along") {
  const std::vector<SeedScores> good = [] {
    std::vector<Answer> all = some();
    return score_answers(all);
  }();
  const auto scored = [&](auto&& change) {
    std::vector<Answer> all = some();
    for (Answer& a : all) change(a);
    // As `flamingo score` reads them.
    for (Answer& a : all) a = answer_of_json("line", io::parse_json("line", to_json(a).dump()));
    const std::vector<SeedScores> got = score_answers(all);
    std::vector<SeedScores> changed;
    REQUIRE(got.size() == good.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      if (got[i].scores != good[i].scores) changed.push_back(got[i]);
    REQUIRE(changed.size() == 1);
    return changed[0];
  };
  const SeedScores memes = scored([](Answer& a) {
    if (a.benchmark == "hateful-memes") a.truth = {{"class_id", 0}, {"class_name", "no"}};
  });
  CHECK(memes.scores.at("accuracy") == 75);
  CHECK(memes.undefined.at("roc_auc") ==
        "all 4 queries are of the class \"no\", and a ROC curve needs both classes");
  const SeedScores nan = scored([](Answer& a) {
    if (a.benchmark == "hateful-memes" && a.place == 2) a.chosen.reset();
    if (a.benchmark == "hateful-memes" && a.place == 3) a.chosen->probability = NAN;
  });
  CHECK(nan.scores.empty());
  for (const char* metric : {"accuracy", "roc_auc"})
    CHECK(nan.undefined.at(metric) ==
          "2 of 4 answers have no class, for the model's log-probabilities are not numbers, the "
          "first is that of 102");
  const SeedScores captions = scored([](Answer& a) {
    if (a.benchmark == "coco" && a.place == 1) a.truth["references"] = io::Json::array();
  });
  CHECK(captions.undefined.size() == 3);
  CHECK(captions.undefined.at("cider").find("1 of 2 answers have no reference caption") == 0);
  const SeedScores questions = scored([](Answer& a) {
    if (a.benchmark == "vqav2" && a.seed == 43 && a.place == 2) a.truth = nullptr;
  });
  CHECK(questions.undefined.at("vqa_accuracy") ==
        "1 of 3 answers have no truth, the first is that of 102");
  CHECK(scored([](Answer& a) {
          if (a.benchmark == "vqav2" && a.seed == 42) a.truth["answers"] = io::Json::array();
        }).undefined.size() == 1);
  // One seed of two: the other's score stays, and there is no mean.
  std::vector<Answer> all = some();
  all[3].truth["answers"] = io::Json::array();
  const ShotScores row = over_seeds(score_answers(all))[0];
  CHECK(row.benchmark == "vqav2");
  CHECK(row.scores.empty());
  CHECK(row.by_seed.at("vqa_accuracy")[0] == 40.74);
  CHECK_FALSE(row.by_seed.at("vqa_accuracy")[1]);
  CHECK(row.undefined.at("vqa_accuracy").find("seed 43: 1 of 3 answers") == 0);
}

TEST_CASE("scores: a line that is no answer is named") {
  io::Json line = to_json(some()[0]);
  line["place"] = 3;  // of 3
  try {
    (void)answer_of_json("x.jsonl line 7", io::parse_json("line", line.dump()));
    FAIL("accepted");
  } catch (const FormatError& error) {
    CHECK(std::string(error.what()).find("x.jsonl line 7") != std::string::npos);
    CHECK(std::string(error.what()).find("place") != std::string::npos);
  }
}

TEST_CASE("scores: spread") {
  const std::vector<double> one{3}, three{1, 2, 6};
  CHECK(spread_of(one).mean == 3);
  CHECK_FALSE(spread_of(one).deviation);
  CHECK(spread_of(three).mean == doctest::Approx(3));
  CHECK(*spread_of(three).deviation == doctest::Approx(std::sqrt(7.0)));
  CHECK_THROWS_AS((void)spread_of({}), ValueError);
}
