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

TEST_CASE(
    "evaluate: what cannot be is refused before the model is opened, and nothing is written") {
  const test::Folder folder;
  // A model without weights: opening it would fail otherwise.
  for (const char* part : {"case.json", "lm/config.json", "vision/open_clip_config.json"}) {
    const std::string from = std::string("tests/golden/models/mpt1b-every1/") + part;
    if (std::filesystem::exists(from)) folder.put(std::string("model/") + part, bytes_of(from));
  }
  std::filesystem::copy("tests/golden/models/mpt1b-every1/tokenizer",
                        folder.file("model/tokenizer"));
  const auto refused = [&](const std::string& part, const auto& change) {
    EvaluateOptions o = options(folder.file("out/deep"), {"coco", "hateful-memes"});
    o.model.model = folder.file("model");
    change(o);
    try {
      run(o);
      FAIL("accepted; expected " << part);
    } catch (const std::exception& error) {
      const std::string said = error.what();
      CHECK_MESSAGE(said.find(part) != std::string::npos, said);
    }
  };
  using O = EvaluateOptions;
  const double inf = std::numeric_limits<double>::infinity();
  refused("each of --shots once, got 0 twice", [](O& o) { o.shots = {0, 4, 0}; });
  refused("each of the seeds once, got 42 twice", [](O& o) { o.seeds = {42, 42}; });
  refused("each of --benchmark once, got coco twice",
          [](O& o) { o.benchmarks.push_back(o.benchmarks[0]); });
  refused("--shots of 0 to 1000, got -1", [](O& o) { o.shots = {-1}; });
  refused("--queries of at least 1, or -1 for all, got 0", [](O& o) { o.queries = 0; });
  refused("[coco] expected --queries of at most", [](O& o) { o.queries = 1000; });
  refused("[coco] expected at least 64 samples to take the demonstrations of --shots 64 from",
          [](O& o) { o.shots = {64}; });
  refused("at least 2 samples to take the demonstrations of --shots 2 from, got --pool 1",
          [](O& o) { o.pool = 1; });
  refused("--batch of at least 1", [](O& o) { o.batch = 0; });
  refused("--beams of at least 1, got 0", [](O& o) { o.beams = 0; });
  refused("--max-new-tokens of at least 1, got 0", [](O& o) { o.max_new_tokens = 0; });
  refused("--min-new-tokens of at most the 20 new tokens of an answer of coco",
          [](O& o) { o.min_new_tokens = 21; });
  refused("a finite --length-penalty, got inf", [&](O& o) { o.length_penalty = inf; });
  refused("--world of at least 1", [](O& o) { o.world = 0; });
  refused(
      "within the 128 positions of the language model, of which the answer takes 200, got no room",
      [](O& o) { o.max_new_tokens = 200; });
  refused("queries that fit, without a demonstration, into the 128 positions of the language model",
          [](O& o) { o.max_new_tokens = 127; });
  refused(
      "at least one demonstration within the 128 positions of the language model, of which "
      "the answer takes 115, got --shots 2, and the shortest prompt with one demonstration has",
      [](O& o) { o.max_new_tokens = 115; });
  folder.put("file", "");
  refused("a folder --out where files can be written, got " + folder.file("file/x"),
          [&](O& o) { o.out = folder.file("file/x"); });
  refused("a folder --feature-cache where files can be written", [&](O& o) {
    o.rices = true;
    o.cache = folder.file("file");
  });
  CHECK_FALSE(std::filesystem::exists(folder.file("out")));
  // With nothing wrong, it is the model that lacks something.
  refused("model/", [](O& o) { o.seeds = {42}; });
}

TEST_CASE("evaluate: broken pictures are all named before the work, or their samples left out") {
  const test::Folder folder;
  std::filesystem::copy("tests/golden/evaluation/hateful_memes", folder.file("hateful_memes"),
                        std::filesystem::copy_options::recursive);
  EvaluateOptions o = options(folder.file("out"), {});
  o.benchmarks.push_back(
      {"hateful-memes", eval::benchmark_paths(eval::benchmark("hateful-memes"), {}, folder.path)});
  o.shots = {4};
  o.queries = -1;
  const auto data = std::get<eval::BenchmarkData<eval::ClassSample>>(
      eval::read_benchmark(eval::benchmark("hateful-memes"), o.benchmarks[0].paths));
  const std::string missing = data.test[1].image.string(), cut = data.test[4].image.string(),
                    shown = data.train[2].image.string();
  std::filesystem::remove(missing);
  write_whole(cut, bytes_of(cut).substr(0, 300));
  write_whole(shown, "<html>");
  try {
    run(o);
    FAIL("broken pictures were accepted");
  } catch (const FormatError& error) {
    const std::string said = error.what();
    for (const std::string& name : {missing, cut, shown})
      CHECK_MESSAGE(said.find(name) != std::string::npos, said);
    CHECK(said.find("got 3 of ") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(o.out));
  o.skip_broken = true;
  const io::Json answers = run(o);
  CHECK(answers.size() == 2 * (data.test.size() - 2));
  for (const io::Json& a : answers) {
    CHECK(a["image"] != missing);
    CHECK(a["image"] != cut);
    for (const io::Json& id : a["demonstrations"]) CHECK(id != data.train[2].id);
  }
  CHECK(io::read_json(o.out + "/manifest.json")["skipped"]["hateful-memes"] == 3);
  CHECK(replays(o.out));
}
