#include "plume/train/report.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "tests/report/markup.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using io::Json;
using test::count;
using train::read_log;
using train::RunLog;
using train::write_report;

namespace {

/// A run of 40 steps, of which step 7 was skipped, resumed once.
std::string whole_log() {
  std::string out;
  const auto add = [&](const Json& line) { out += line.dump() + "\n"; };
  add({{"event", "start"}, {"step", 0}, {"time", 0.0}, {"steps", 40}});
  for (int step = 1; step <= 40; ++step) {
    const bool skipped = step == 7;
    Json line{{"event", "step"},
              {"step", step},
              {"time", 0.5 * step},
              {"loss", {{"pairs", skipped ? Json() : Json(4.0 / step)}, {"documents", 2.0}}},
              {"gradient_norm", 1.5},
              {"learning_rate", 1e-4},
              {"tokens_per_s", 2000 + step},
              {"images_per_s", 100},
              {"data_wait", 0.25},
              {"skipped", skipped},
              {"seconds", {{"data", 0.1}, {"forward", 0.2}, {"backward", 0.4}, {"update", 0.1}}}};
    if (skipped) line["why"] = "the loss of <pairs> is not finite";
    add(line);
    if (step % 10 == 0) {
      add({{"event", "gates"},
           {"step", step},
           {"names", {"layers.0", "layers.1"}},
           {"attn", {0.01 * step, 0.02 * step}},
           {"ff", {-0.01 * step, 0.0}},
           {"gradient_norms", {{"perceiver", 0.5}, {"layers.0", 0.25}}}});
    }
    if (step == 20) add({{"event", "interrupted"}, {"step", step}, {"time", 10.0}});
    if (step == 20) add({{"event", "resume"}, {"step", step}, {"time", 10.0}, {"steps", 40}});
    if (step % 20 == 0) {
      add({{"event", "sample"},
           {"step", step},
           {"image", "samples/a.png"},
           {"prompt", "<image>Output:"},
           {"text", step == 40 ? "a late answer" : "an early answer"},
           {"expected", "a red square"}});
    }
  }
  add({{"event", "end"},
       {"step", 40},
       {"time", 20.0},
       {"data",
        {{"pairs",
          {{"seen", 103}, {"emitted", 100}, {"dropped", 3}, {"reasons", {{"no text", 3}}}}}}}});
  return out;
}

std::string report_of(const test::Folder& run) {
  write_report(run.path.string());
  std::ifstream in(run.file("report.html"), std::ios::binary);
  const std::string html{std::istreambuf_iterator<char>(in), {}};
  CHECK(test::markup_mistake(html) == "");
  return html;
}

TEST_CASE("read_log: curves, counts and what the run came to") {
  const test::Folder run;
  const RunLog log = read_log(run.put("log.jsonl", whole_log()));
  REQUIRE(log.losses.size() == 2);
  const train::Curve& pairs = log.losses[1];
  CHECK(pairs.name == "pairs");
  REQUIRE(pairs.y.size() == 40);
  CHECK(pairs.x[3] == 4);
  CHECK(pairs.y[3] == 1);
  CHECK(std::isnan(pairs.y[6]));
  CHECK(log.learning_rate.y.back() == 1e-4);
  CHECK(log.tokens_per_s.y.front() == 2001);
  REQUIRE(log.attn.size() == 2);
  CHECK(log.attn[1].name == "layers.1");
  CHECK(log.attn[1].x == std::vector<double>{10, 20, 30, 40});
  CHECK(log.attn[1].y[2] == 0.02 * 30);
  CHECK(log.ff[0].y[0] == -0.1);
  CHECK(log.gradient_norms.size() == 2);
  REQUIRE(log.seconds.size() == 4);
  double all = 0;
  for (const auto& [phase, spent] : log.seconds) all += spent;
  CHECK(all == doctest::Approx(32));
  REQUIRE(log.skipped.size() == 1);
  CHECK(log.skipped[0].first == 7);
  CHECK(log.samples.size() == 2);
  CHECK(log.step == 40);
  CHECK(log.steps == 40);
  CHECK(log.time == 20);
  CHECK(log.resumes == 1);
  CHECK(log.last == "end");
  CHECK(!log.cut);
}

TEST_CASE("report: of a whole run") {
  const test::Folder run;
  run.put("log.jsonl", whole_log());
  run.put("config.json",
          Json{{"configuration", {{"lr", 1e-4}, {"note", "<b>&"}, {"streams", {1, 2}}}},
               {"may_change", {{"threads", 2}}}}
              .dump());
  run.put("samples/a.png", std::string("\x89PNG\r\n\x1a\n", 8) + "pixels");
  const std::string html = report_of(run);
  for (const char* shown :
       {"<dd>finished</dd>", "<dd>40 of 40</dd>", "<dd>20 s</dd>", "<dd>1 time</dd>",
        "2021 (median of steps)", "25.0 % of a step", "the loss of &lt;pairs&gt; is not finite",
        "src=\"data:image/png;base64,", "a late answer", "an early answer", "a red square",
        ">block 1<", "<td>no text</td><td class=\"n\">3</td>",
        "<td>backward</td><td class=\"n\">16.0</td>", "50.0 %", "<dt>lr</dt><dd>0.0001</dd>",
        "<dd>&lt;b&gt;&amp;</dd>", "<dd>[1,2]</dd>", "<dt>threads</dt>"})
    CHECK_MESSAGE(html.find(shown) != std::string::npos, shown);
  CHECK(count(html, "<svg xmlns") == 9);
  CHECK(count(html, "no data") == 0);
  CHECK(count(html, "src=") == 1);
  CHECK(html.find("a late answer") < html.find("an early answer"));
}

TEST_CASE("report: without a log, a configuration, or anything in them") {
  const test::Folder run;
  std::string html = report_of(run);
  CHECK(html.find("<dd>not begun</dd>") != std::string::npos);
  CHECK(html.find("There is no config.json.") != std::string::npos);
  run.put("log.jsonl", "");
  CHECK(report_of(run).find("no step yet") != std::string::npos);
  run.put("log.jsonl",
          "\n{}\n{\"event\":\"step\"}\n{\"event\":\"gates\"}\n{\"event\":\"sample\"}\n");
  html = report_of(run);
  CHECK(html.find("no picture") != std::string::npos);
  CHECK(html.find("no step yet") != std::string::npos);
  CHECK_THROWS_AS(write_report(run.file("not/there")), std::system_error);
}

TEST_CASE("report: members of another kind than they should be are as if absent") {
  const test::Folder run;
  run.put("log.jsonl",
          R"({"event":5,"step":"x","time":[],"data":7,"steps":{}}
{"event":"step","step":1,"loss":3,"gradient_norm":"a","learning_rate":null,"seconds":[1],"skipped":"no"}
{"event":"step","step":2,"loss":{"pairs":"b"},"seconds":{"forward":"c"},"skipped":1,"why":4}
{"event":"gates","step":2,"names":7,"attn":{"a":1},"ff":["x",null],"gradient_norms":[2]}
{"event":"gates","step":3,"names":["a"],"attn":[0.5,0.25],"gradient_norms":{"p":[]}}
{"event":"sample","step":3,"image":["a"],"prompt":{},"text":null,"expected":1.5}
{"event":"end","data":{"pairs":3,"documents":{"seen":[],"reasons":4}}}
)");
  const RunLog log = read_log(run.file("log.jsonl"));
  CHECK(log.attn.size() == 2);
  CHECK(log.skipped.empty());
  CHECK(report_of(run).find("<dd>finished</dd>") != std::string::npos);
}

TEST_CASE("report: a log cut anywhere is read up to its last whole line") {
  const test::Folder run;
  const std::string whole = whole_log();
  const std::string log = whole.substr(0, whole.find("\"step\":3,"));
  for (std::size_t bytes = 0; bytes <= log.size(); ++bytes) {
    CAPTURE(bytes);
    const RunLog read = read_log(run.put("log.jsonl", log.substr(0, bytes)));
    const std::string kept = log.substr(0, bytes);
    const auto steps = count(kept, "\"event\":\"step\"");
    const bool complete = kept.empty() || kept.back() == '\n' || kept.back() == '}';
    const std::size_t read_steps = read.learning_rate.y.size();
    CHECK(read_steps <= steps);
    CHECK(read_steps + 1 >= steps);
    if (!complete) CHECK(read.cut);
  }
  run.put("log.jsonl", log.substr(0, log.size() - 1));
  CHECK(report_of(run).find("cut short") != std::string::npos);
}

TEST_CASE(
    "report: any other line that is broken is an error that names it; the report stays as it was") {
  const test::Folder run;
  run.put("report.html", "from before");
  const std::string line = "{\"event\":\"step\",\"step\":1}\n";
  for (const char* broken : {"{\"event\":\n", "[1]\n", "3\n", "{\"a\":1,}\n"}) {
    run.put("log.jsonl", line + broken + line);
    CHECK_THROWS_WITH_AS(write_report(run.path.string()), doctest::Contains("log.jsonl line 2"),
                         FormatError);
    run.put("log.jsonl", line + broken);  // it ends, so nobody was killed in it
    CHECK_THROWS_AS(write_report(run.path.string()), FormatError);
  }
  run.put("log.jsonl", line);
  run.put("config.json", "{");
  CHECK_THROWS_WITH_AS(write_report(run.path.string()), doctest::Contains("config.json"),
                       FormatError);
  std::ifstream in(run.file("report.html"));
  CHECK(std::string{std::istreambuf_iterator<char>(in), {}} == "from before");
}

TEST_CASE("report: pictures that cannot be shown leave a frame") {
  const test::Folder run;
  run.put("a.txt", "text");
  run.put("log.jsonl",
          R"({"event":"sample","step":1,"image":"a.txt","text":"x"}
{"event":"sample","step":1,"image":"gone.png","text":"y"}
{"event":"sample","step":1,"text":"z"}
)");
  const std::string html = report_of(run);
  CHECK(count(html, "no picture") == 3);
  CHECK(count(html, "src=") == 0);
}

}  // namespace
