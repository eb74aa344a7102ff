#pragma once
// A golden case of whole evaluation runs: which samples were read, drawn and asked, with which pictures, and what was scored.

#include <fstream>
#include <set>

#include "plume/eval/benchmarks.hpp"
#include "plume/eval/captions.hpp"
#include "plume/eval/demonstrations.hpp"
#include "plume/eval/ok_vqa.hpp"
#include "plume/eval/postprocess.hpp"
#include "plume/eval/scores.hpp"
#include "plume/eval/vqa_submission.hpp"
#include "verify/evaluation_case.hpp"

namespace flamingo {

class EvaluationRunsCase {
 public:
  EvaluationRunsCase(std::filesystem::path folder, Report& report)
      : folder_(std::move(folder)), report_(report) {}

  void check() {
    const Json read = plume::io::read_json((folder_ / "read.json").string());
    for (const auto& [name, splits] : read.items()) {
      guarded(name, [&, &name = name, &splits = splits] {
        std::visit([&](const auto& data) { check_read(name, data, splits); }, data_of(name));
      });
    }
    const auto rows = plume::io::read_json_lines((folder_ / "runs.jsonl").string());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Json& run = rows[i];
      const auto name = run.at("dataset").get<std::string>();
      where_ = plume::cat("run ", i, " ", name, " ", run.at("shots").get<int>(), " shots ");
      guarded(where_, [&] {
        std::visit([&](const auto& data) { check_run(benchmark_of(name), data, run); },
                   data_of(name));
      });
    }
    guarded("folders.json", [&] { check_folders(); });
  }

 private:
  using Json = plume::io::Json;
  using Path = std::filesystem::path;
  using index_t = plume::index_t;
  using Order = std::vector<index_t>;

  template <class F>
  void guarded(const std::string& what, const F& f) {
    try {
      f();
    } catch (const std::exception& error) {
      report_.wrong(what, error.what());
    }
  }
  static const eval::Benchmark& benchmark_of(const std::string& name) {
    for (const eval::Benchmark& b : eval::benchmarks())
      if (name == b.folder) return b;
    plume::fail<plume::FormatError>("evaluation runs", "a known data set", name);
  }
  const eval::AnyBenchmarkData& data_of(const std::string& name) {
    const auto known = data_.find(name);
    if (known != data_.end()) return known->second;
    const eval::Benchmark& b = benchmark_of(name);
    return data_
        .emplace(name, eval::read_benchmark(b, eval::benchmark_paths(b, {}, folder_ / "data")))
        .first->second;
  }

  template <class Data>
  void check_read(const std::string& name, const Data& data, const Json& splits) {
    const auto compare = [&](const auto& samples, const char* split) {
      Json got = Json::array();
      for (const auto& sample : samples) got.push_back(sample_fields(sample));
      report_.equal(plume::cat(name, " ", split, " samples"), got.size(), splits.at(split).size());
      for (std::size_t i = 0; i < std::min(got.size(), splits.at(split).size()); ++i)
        report_.equal(plume::cat(name, " ", split, "[", i, "]"), got[i], splits.at(split)[i]);
    };
    compare(data.train, "train");
    compare(data.test, "test");
  }

  template <class Sample>
  void check_run(const eval::Benchmark& b, const eval::BenchmarkData<Sample>& data,
                 const Json& run) {
    const auto shots = run.at("shots").get<index_t>();
    const auto order = run.at("test_order").get<Order>();
    const bool ensemble = run.at("options").value("use_prompt_ensembling", false);
    eval::DrawOptions how{run.at("seed").get<std::uint32_t>(), std::ssize(order), 6, shots};
    if (order.size() == data.test.size()) how.queries = -1;
    eval::Draw draw;
    if (run.at("rices").get<bool>()) {
      const Json& features = run.at("features");
      Json train = Json::array(), asked = Json::array();
      for (std::size_t i = 0; i < data.train.size(); ++i)
        train.push_back(features.at(plume::cat("train:", i)));
      for (const index_t i : order) asked.push_back(features.at(plume::cat("test:", i)));
      draw = eval::draw_similar(eval::draw_queries(std::ssize(data.test), how),
                                eval::unit_rows(tensor_of(train)), tensor_of(asked), shots);
    } else {
      draw = eval::draw_random(std::ssize(data.test), std::ssize(data.train), how);
      eval::NumpyRandom numpy(how.seed);
      (void)eval::draw_queries(numpy, std::ssize(data.test), how.queries);
      report_.equal(
          where_ + "query_set",
          numpy.choice(std::ssize(data.train), std::min<index_t>(how.pool, std::ssize(data.train))),
          run.at("query_set"));
      const auto recorded = run.at("demonstrations").get<std::vector<Order>>();
      // The reference's shuffling of permutations takes from the generator that draws the next demonstrations; a run
      // that failed stopped after a batch.
      if (ensemble) draw.demonstrations = recorded;
      auto first = draw.demonstrations;
      first.resize(std::min(first.size(), recorded.size()));
      report_.equal(where_ + "demonstrations", first, recorded);
    }
    report_.equal(where_ + "test_order", draw.queries, order);
    if (run.at("asked").empty()) return;  // the reference fails, and there is no more
    check_settings(b, run);
    const std::vector<std::size_t> places = check_asked(data, run, draw, ensemble);
    if constexpr (std::is_same_v<Sample, eval::ClassSample>) {
      score_classes(b, data, run, draw, places);
    } else {
      score_texts(b, data, run, draw);
    }
  }

  void check_settings(const eval::Benchmark& b, const Json& run) {
    if (b.task == eval::Task::classes) {
      Json got = run.at("settings");
      got.erase("use_cache");  // of the reference's implementation
      report_.equal(where_ + "settings",
                    Json{{"classes", eval::class_names(b).size()}, {"normalize_length", true}},
                    got);
      return;
    }
    const eval::AnswerOptions o = eval::answer_options(b);
    report_.equal(where_ + "settings",
                  Json{{"min_generation_length", o.min_new_tokens},
                       {"max_generation_length", o.max_new_tokens},
                       {"num_beams", o.beams},
                       {"length_penalty", o.length_penalty}},
                  run.at("settings"));
  }

  /// Compares what was asked; the place in the draw of each row of it. Each batch is asked once for each order of its
  /// demonstrations, and which orders these are is read off the pictures.
  template <class Sample>
  std::vector<std::size_t> check_asked(const eval::BenchmarkData<Sample>& data, const Json& run,
                                       const eval::Draw& draw, bool ensemble) {
    const auto shots = run.at("shots").get<index_t>();
    const auto batch = run.at("batch_size").get<std::size_t>();
    const Json& asked = run.at("asked");
    const auto orders = static_cast<std::size_t>(
        ensemble ? eval::ensemble_size(eval::demonstrations_for(shots)) : 1);
    std::vector<std::size_t> places;
    for (std::size_t first = 0; first < draw.queries.size(); first += batch)
      for (std::size_t k = 0; k < orders; ++k)
        for (std::size_t i = first; i < std::min(first + batch, draw.queries.size()); ++i)
          places.push_back(i);
    report_.equal(where_ + "prompts", places.size(), asked.size());
    const bool bug = run.contains("reference_bug");
    for (std::size_t n = 0; n < std::min(places.size(), asked.size()); ++n) {
      const std::string name = plume::cat(where_, "asked[", n, "] ");
      const std::size_t place = places[n];
      const Json& images = asked[n].at("images");
      Order shown = draw.demonstrations.at(place);
      if (ensemble) {
        Order permuted;
        for (std::size_t i = 0; i + 1 < images.size(); ++i)
          permuted.push_back(number_of(images[i].get<std::string>(), "train:"));
        std::multiset<index_t> a(shown.begin(), shown.end()), c(permuted.begin(), permuted.end());
        report_.equal(name + "demonstrations", Order(c.begin(), c.end()),
                      Order(a.begin(), a.end()));
        shown = permuted;
      }
      std::vector<const Sample*> demonstrations;
      for (const index_t i : shown)
        demonstrations.push_back(&data.train.at(static_cast<std::size_t>(i)));
      const auto query = static_cast<std::size_t>(draw.queries[place]);
      const auto prompt = [&](eval::ZeroShotImages zero_shot) {
        return eval::few_shot_prompt<Sample>(demonstrations, data.test.at(query), shots, zero_shot);
      };
      const eval::Prompt got = prompt(eval::ZeroShotImages::query);
      report_.equal(name + "text", got.text.text(), asked[n].at("text"));
      std::vector<std::string> wanted;
      for (const Json& image : images) {
        const auto tag = image.get<std::string>();
        const bool test = tag.starts_with("test:");
        const auto i = static_cast<std::size_t>(number_of(tag, test ? "test:" : "train:"));
        wanted.push_back((test ? data.test.at(i).image : data.train.at(i).image).string());
      }
      report_.equal(name + "images",
                    names(bug ? prompt(eval::ZeroShotImages::demonstrations).images : got.images),
                    wanted);
      if (bug)
        report_.equal(name + "images without the bug", names(got.images),
                      std::vector<std::string>{wanted.back()});
    }
    return places;
  }
  static index_t number_of(const std::string& tag, const std::string& prefix) {
    if (!tag.starts_with(prefix))
      plume::fail<plume::FormatError>("evaluation runs", "a picture " + prefix + "N", tag);
    return std::stoll(tag.substr(prefix.size()));
  }
  static std::vector<std::string> names(const std::vector<Path>& paths) {
    std::vector<std::string> out;
    for (const Path& path : paths) out.push_back(path.string());
    return out;
  }

  /// Captions and answers: what was generated comes to the recorded score or file.
  template <class Sample>
  void score_texts(const eval::Benchmark& b, const eval::BenchmarkData<Sample>& data,
                   const Json& run, const eval::Draw& draw) {
    constexpr bool caption = std::is_same_v<Sample, eval::CaptionSample>;
    Json predictions = Json::array();
    const auto raws = run.at("generated").get<std::vector<std::string>>();
    for (std::size_t i = 0; i < draw.queries.size(); ++i) {
      const std::string& raw = raws.at(i);
      const Json& id = data.test.at(static_cast<std::size_t>(draw.queries[i])).id;
      if constexpr (caption) {
        predictions.push_back({{"image_id", id}, {"caption", eval::caption_of(raw)}});
      } else {
        predictions.push_back(
            {{"question_id", id},
             {"answer", eval::vqa_set(b) == eval::VqaSet::ok_vqa ? eval::ok_vqa_answer_of(raw)
                                                                 : eval::answer_of(raw)}});
      }
    }
    const Path at = folder_ / "data" / b.folder;
    if (run.contains("submission")) {
      const std::string file = (at / "val_questions.json").string();
      const Json questions = plume::io::read_json(file);
      const auto fill = eval::vqa_set(b) == eval::VqaSet::vizwiz ? eval::vizwiz_submission
                                                                 : eval::vqav2_submission;
      report_.equal(where_ + "submission", fill({"predictions", predictions}, {file, questions}),
                    run["submission"].at("content"));
    }
    if (!run.contains("score")) return;
    const std::string file =
        (at / (caption ? "annotations.json" : "val_annotations.json")).string();
    const Json truth = plume::io::read_json(file);
    double score = 0;
    if constexpr (caption) {
      score = eval::evaluate_captions(
                  eval::captioned_images({file, truth}, {"predictions", predictions}))
                  .cider_percent();
    } else {
      score = eval::vqa_accuracy({file, truth}, {"predictions", predictions}).overall;
    }
    report_.within(where_ + "score", std::abs(score - run["score"].get<double>()), 1e-6);
  }

  /// Classes, scored as `flamingo score` does.
  void score_classes(const eval::Benchmark& b, const eval::BenchmarkData<eval::ClassSample>& data,
                     const Json& run, const eval::Draw& draw,
                     const std::vector<std::size_t>& places) {
    constexpr double other_class = -50;
    std::vector<std::vector<std::vector<double>>> orders(draw.queries.size());
    const Json& rows = run.at("log_likelihoods");
    for (std::size_t n = 0; n < places.size(); ++n) {
      auto& row = orders[places[n]].emplace_back(eval::class_names(b).size(), other_class);
      for (std::size_t c = 0; c < rows.at(n).size(); ++c) row[c] = rows[n][c].get<double>();
    }
    std::vector<eval::Answer> answers(draw.queries.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto query = static_cast<std::size_t>(draw.queries[i]);
      eval::Answer& a = answers[i];
      a.benchmark = b.name;
      a.place = static_cast<index_t>(i);
      a.of = std::ssize(answers);
      a.id = data.test.at(query).id;
      a.truth = data.truth.at(query);
      const eval::Choice choice = eval::likeliest(eval::mean_of(orders[i]));
      a.chosen = eval::ChosenClass{choice.class_id, choice.probability};
    }
    const eval::SeedScores scores = eval::score_answers(answers).front();
    if (run.contains("score")) {
      report_.within(where_ + "score",
                     std::abs(scores.scores.at(b.metric) / 100 - run["score"].get<double>()), 1e-9);
    } else {
      report_.equal(where_ + "undefined", scores.undefined.contains(b.metric),
                    run.contains("failed"));
    }
  }

  /// The order of a class tree, and that folders which are no WordNet ids are refused as ImageNet's.
  void check_folders() {
    const Json want = plume::io::read_json((folder_ / "folders.json").string());
    std::string name = (std::filesystem::temp_directory_path() / "plume_verify_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) plume::detail::fail_file("make", name);
    const Path root = name;
    const std::unique_ptr<const Path, void (*)(const Path*)> cleared(
        &root, [](const Path* path) { std::filesystem::remove_all(*path); });
    for (const Json& file : want.at("files")) {
      const Path path = root / file.get<std::string>();
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << "x";
    }
    const eval::ImageFolder got = eval::image_folder(root);
    report_.equal("folders.json classes", got.classes, want.at("classes"));
    report_.equal("folders.json samples", got.files.size(), want.at("samples").size());
    for (std::size_t i = 0; i < std::min(got.files.size(), want.at("samples").size()); ++i)
      report_.equal(
          plume::cat("folders.json samples[", i, "]"),
          Json{got.files[i].first.lexically_relative(root).generic_string(), got.files[i].second},
          Json{want["samples"][i].at(0), want["samples"][i].at(1)});
    bool refused = false;
    try {
      (void)eval::read_imagenet(root);
    } catch (const plume::FormatError&) {
      refused = true;
    }
    report_.equal("folders.json folders that are no WordNet ids are refused", refused, true);
  }

  Path folder_;
  std::string where_;
  std::map<std::string, eval::AnyBenchmarkData> data_{};
  Report& report_;
};

inline void check_evaluation_runs(const std::filesystem::path& folder, Report& report) {
  EvaluationRunsCase(folder, report).check();
}

}  // namespace flamingo
