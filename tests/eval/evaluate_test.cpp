#include "evaluate/evaluation.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/folder.hpp"

// Whole evaluations of a golden model on golden data sets: repeated, shared out among ranks, taken up again.

namespace {

using namespace plume;
using namespace flamingo;

/// What evaluations print.
class Quiet {
 public:
  Quiet() : out_(std::cout.rdbuf(text_.rdbuf())), err_(std::cerr.rdbuf(text_.rdbuf())) {}
  ~Quiet() {
    std::cout.rdbuf(out_);
    std::cerr.rdbuf(err_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf *out_, *err_;
};

EvaluateOptions options(const std::string& out, std::initializer_list<const char*> names) {
  EvaluateOptions o;
  o.model.model = "tests/golden/models/mpt1b-every1";
  for (const char* name : names) {
    o.benchmarks.push_back(
        {name, eval::benchmark_paths(eval::benchmark(name), {}, "tests/golden/evaluation")});
  }
  o.shots = {0, 2};
  o.seeds = {42, 43};
  o.queries = 4;
  o.batch = 2;
  o.out = out;
  return o;
}

std::vector<eval::Answer> answers_of(const std::string& folder) {
  std::vector<eval::Answer> out = answers_at(folder);
  (void)eval::score_answers(out);
  return out;
}
/// As JSON, in order.
io::Json run(const EvaluateOptions& o) {
  const Quiet quiet;
  check(o);
  (void)run_evaluation(o);
  io::Json out = io::Json::array();
  if (o.world > 1) return out;
  for (const eval::Answer& a : answers_of(o.out)) out.push_back(eval::to_json(a));
  return out;
}
bool replays(const std::string& folder) {
  const Quiet quiet;
  const std::string file = folder + "/manifest.json";
  const io::Json manifest = io::read_json(file);
  return replay(evaluate_options(file, manifest["options"]), manifest, file);
}
std::string bytes_of(const std::string& file) {
  const io::Source source = io::Source::file(file);
  return {reinterpret_cast<const char*>(source.bytes.data()), source.bytes.size()};
}

}  // namespace

TEST_CASE("evaluate: an evaluation is repeated from its manifest, and what differs is found") {
  const test::Folder folder;
  const io::Json answers = run(options(folder.file(), {"coco", "vqav2", "hateful-memes"}));
  CHECK(answers.size() == 3 * 2 * 2 * 4);
  CHECK(replays(folder.file()));

  const std::string file = folder.file() + "/predictions.jsonl";
  std::string lines = bytes_of(file);
  lines.insert(lines.find("\"raw\":\"") + 7, "x");
  write_whole(file, lines);
  CHECK_FALSE(replays(folder.file()));

  const std::string manifest = folder.file() + "/manifest.json";
  io::Json changed = io::read_json(manifest);
  changed["files"]["lm/config.json"] = "another";
  write_whole(manifest, changed.dump());
  try {
    (void)replays(folder.file());
    FAIL("another file was accepted");
  } catch (const ValueError& error) {
    CHECK(std::string(error.what()).find("files lm/config.json") != std::string::npos);
  }
}

TEST_CASE("evaluate: the answers of ranks together are those of one") {
  const test::Folder one, many;
  const io::Json expected = run(options(one.file(), {"flickr30k", "textvqa"}));
  for (std::size_t rank = 0; rank < 3; ++rank) {
    EvaluateOptions o = options(many.file(), {"flickr30k", "textvqa"});
    o.rank = rank;
    o.world = 3;
    run(o);
  }
  std::vector<eval::Answer> merged = answers_of(many.file());
  io::Json got = io::Json::array();
  for (const eval::Answer& a : merged) got.push_back(eval::to_json(a));
  REQUIRE(got.size() == expected.size());
  std::size_t differ = 0;
  for (std::size_t i = 0; i < got.size(); ++i) differ += got[i] != expected[i];
  CHECK(differ == 0);
  std::filesystem::remove(many.file() + "/predictions-1-of-3.jsonl");
  CHECK_THROWS_AS((void)answers_of(many.file()), FormatError);
}

TEST_CASE("evaluate: what was cut short goes on; another evaluation is not mixed in") {
  const test::Folder folder;
  EvaluateOptions o = options(folder.file(), {"coco"});
  const io::Json whole = run(o);
  const std::string file = folder.file() + "/predictions.jsonl";
  const std::string lines = bytes_of(file);
  write_whole(file, lines.substr(0, lines.size() / 2));  // in the middle of a line
  CHECK(run(o) == whole);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == std::ssize(io::read_json_lines(file)));

  o.beams = 1;
  try {
    run(o);
    FAIL("other options were accepted");
  } catch (const ValueError& error) {
    CHECK(std::string(error.what()).find("beams") != std::string::npos);
  }
  o.fresh = true;
  const io::Json greedy = run(o);
  CHECK(greedy.size() == whole.size());
  CHECK(greedy != whole);
}

TEST_CASE("evaluate: RICES gives the same from kept features, and shows pictures that are alike") {
  const test::Folder folder;
  EvaluateOptions o = options(folder.file("a"), {"vizwiz"});
  o.rices = true;
  o.queries = -1;
  const io::Json computed = run(o);
  o.out = folder.file("b");
  o.cache = folder.file("features");
  CHECK(run(o) == computed);
  CHECK(folder.count() == 3);
  o.out = folder.file("c");
  CHECK(run(o) == computed);
  CHECK(replays(folder.file("c")));
  // Without a seed's pool both seeds show the same.
  for (const io::Json& a : computed) {
    for (const io::Json& b : computed) {
      if (a["id"] == b["id"] && a["shots"] == b["shots"])
        CHECK(a["demonstrations"] == b["demonstrations"]);
    }
  }
}

TEST_CASE(
    "evaluate: classes, in orders of their demonstrations and with the reference's pictures") {
  const test::Folder folder;
  EvaluateOptions o = options(folder.file("a"), {"hateful-memes"});
  const io::Json plain = run(o);
  o.out = folder.file("b");
  o.ensemble = true;
  const io::Json ensemble = run(o);
  o.out = folder.file("c");
  o.ensemble = false;
  o.reference_bugs = true;
  const io::Json bugs = run(o);
  bool shots_differ = false, zero_differs = false;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(plain[i]["log_probabilities"].size() == 2);
    shots_differ |= ensemble[i]["probability"] != plain[i]["probability"];
    if (plain[i]["shots"] == 0) {
      zero_differs |= bugs[i]["probability"] != plain[i]["probability"];
    } else {
      CHECK(bugs[i]["probability"] == plain[i]["probability"]);
    }
  }
  CHECK(shots_differ);
  CHECK(zero_differs);
}

TEST_CASE("evaluate: a submission has every question of the test set") {
  const test::Folder folder;
  EvaluateOptions o = options(folder.file("out"), {"vqav2"});
  o.shots = {2};
  o.seeds = {42};
  o.queries = 3;
  o.submission = folder.file("submission.json");
  o.benchmarks[0].paths.erase("test-annotations");
  const io::Json answers = run(o);
  CHECK_FALSE(answers[0].contains("truth"));
  const io::Json rows = io::read_json(o.submission);
  const io::Json asked = io::read_json("tests/golden/evaluation/vqav2/val_questions.json");
  CHECK(rows.size() == asked["questions"].size());
  CHECK(rows[0]["question_id"] == answers[0]["id"]);
  o.shots = {2, 4};
  CHECK_THROWS_AS(check(o), ValueError);
}
