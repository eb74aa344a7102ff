// flamingo evaluate: a model's few-shot scores on published benchmarks, with everything needed to repeat them.

#include "evaluate/evaluation.hpp"

#include "commands.hpp"
#include "evaluate/report.hpp"
#include "option_checks.hpp"

using namespace plume;

namespace flamingo {

namespace {

struct Told {
  EvaluateOptions options;
  std::string data, config, replay;
  std::vector<std::string> benchmarks, paths;
  index_t seeds = 3;
  std::uint32_t first_seed = 42;
};

/// BENCHMARK.FILE=PATH
void take_path(std::map<std::string, eval::BenchmarkPaths>& into, const std::string& given) {
  const std::size_t dot = given.find('.'), equals = given.find('=');
  if (dot == std::string::npos || equals == std::string::npos || equals < dot)
    fail<ValueError>("evaluate", "--path BENCHMARK.FILE=PATH", given);
  const std::string name = given.substr(0, dot);
  (void)eval::benchmark(name);
  into[name][given.substr(dot + 1, equals - dot - 1)] = given.substr(equals + 1);
}

/// {"coco": {"karpathy": "dataset_coco.json", ...}, ...}, paths relative to the file.
std::map<std::string, eval::BenchmarkPaths> read_paths(const std::string& file) {
  std::map<std::string, eval::BenchmarkPaths> out;
  if (file.empty()) return out;
  const io::Json json = io::read_json(file);
  if (!json.is_object()) fail<FormatError>(file, "an object of benchmarks", json.type_name());
  for (const auto& [name, paths] : json.items()) {
    (void)eval::benchmark(name);
    if (!paths.is_object())
      fail<FormatError>(file, cat("an object of paths in ", name), paths.type_name());
    for (const auto& [key, path] : paths.items())
      out[name][key] = std::filesystem::path(file).parent_path() / text::Field(file, path).string();
  }
  return out;
}

EvaluateOptions options_of(const Told& told) {
  EvaluateOptions o = told.options;
  std::map<std::string, eval::BenchmarkPaths> paths = read_paths(told.config);
  for (const std::string& path : told.paths) take_path(paths, path);
  std::vector<std::string> names = told.benchmarks;
  if (names.empty())
    for (const auto& [name, files] : paths) names.push_back(name);
  for (const std::string& told_path : told.paths) {
    const std::string name = told_path.substr(0, told_path.find('.'));
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail<ValueError>("evaluate", "--path of one of --benchmark", told_path);
  }
  for (const std::string& name : names) {
    eval::BenchmarkPaths all = eval::benchmark_paths(eval::benchmark(name), paths[name], told.data);
    if (!o.submission.empty()) all.erase("test-annotations");
    o.benchmarks.push_back({name, std::move(all)});
  }
  for (index_t i = 0; i < told.seeds; ++i)
    o.seeds.push_back(told.first_seed + static_cast<std::uint32_t>(i));
  return o;
}

/// The options of a manifest; where files lie may be told anew.
EvaluateOptions recorded_options(const Told& told, const io::Json& manifest) {
  EvaluateOptions o = evaluate_options(told.replay, manifest.value("options", io::Json()));
  if (!told.options.model.model.empty() || !told.options.model.files.vision.empty())
    o.model = told.options.model;
  std::map<std::string, eval::BenchmarkPaths> paths = read_paths(told.config);
  for (const std::string& path : told.paths) take_path(paths, path);
  for (BenchmarkChoice& choice : o.benchmarks) {
    if (!told.data.empty())
      choice.paths = eval::benchmark_paths(eval::benchmark(choice.name), {}, told.data);
    for (const auto& [key, path] : paths[choice.name]) choice.paths[key] = path;
  }
  o.cache = told.options.cache;
  return o;
}

void evaluate(const Told& told) {
  if (!told.replay.empty()) {
    const io::Json manifest = io::read_json(told.replay);
    exit_code = replay(recorded_options(told, manifest), manifest, told.replay) ? 0 : 1;
    return;
  }
  const EvaluateOptions options = options_of(told);
  std::vector<eval::Answer> answers = run_evaluation(options);
  if (options.world == 1) {
    std::cout << write_reports(options.out, answers, options.shown) << std::flush;
  } else {
    std::cerr << "when all " << options.world << " ranks are done: flamingo score " << options.out
              << '\n';
  }
}

}  // namespace

void add_evaluate(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "evaluate", "Few-shot scores on published benchmarks, with a manifest to repeat them");
  auto told = std::make_shared<Told>();
  EvaluateOptions& o = told->options;
  o.model.add_to(*command);
  command
      ->add_option("--benchmark", told->benchmarks,
                   "coco, flickr30k, vqav2, ok-vqa, textvqa, vizwiz, hateful-memes, imagenet "
                   "(default: those of --config)")
      ->delimiter(',');
  command->add_option("--data", told->data,
                      "A folder with a folder for each benchmark: coco/karpathy.json, "
                      "vqav2/train_questions.json, ...");
  command->add_option("--config", told->config,
                      "Where files lie instead: {\"coco\": {\"karpathy\": PATH, ...}, ...}");
  command->add_option("--path", told->paths, "The same for one file: BENCHMARK.FILE=PATH");
  command->add_option("--shots", o.shots, "Numbers of demonstrations")
      ->transform(checks::integer(0, 1000))
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--seeds", told->seeds, "How many seeds")
      ->transform(checks::integer(1, 10000))
      ->capture_default_str();
  command->add_option("--first-seed", told->first_seed, "The first of them")
      ->transform(checks::integer(0, 0xffff0000))
      ->capture_default_str();
  command->add_option("--queries", o.queries, "Queries drawn from a test set; -1: all")
      ->transform(checks::integer(-1))
      ->capture_default_str();
  command->add_option("--pool", o.pool, "Samples to draw random demonstrations from")
      ->transform(checks::integer(1))
      ->capture_default_str();
  command->add_flag("--rices", o.rices,
                    "Demonstrations whose pictures are like the query's, in place of random ones");
  command->add_option("--feature-cache", o.cache,
                      "A folder for the features of --rices, BENCHMARK.safetensors");
  command->add_flag("--ensemble", o.ensemble,
                    "Classes: the mean over orders of the demonstrations");
  command->add_option("--batch", o.batch, "Queries at once")
      ->transform(checks::integer(1))
      ->capture_default_str();
  command->add_option("--beams", o.beams, "Beams (default: 3)")->transform(checks::integer(1));
  command
      ->add_option("--max-new-tokens", o.max_new_tokens,
                   "Default: captions 20, TextVQA 10, other questions 5")
      ->transform(checks::integer(1));
  command->add_option("--min-new-tokens", o.min_new_tokens, "Default: 0")
      ->transform(checks::integer(0));
  command->add_option("--length-penalty", o.length_penalty, "Default: 0")
      ->transform(checks::finite());
  command->add_flag("--skip-broken", o.skip_broken,
                    "Leave out samples whose pictures cannot be read (default: stop, naming them)");
  command->add_flag("--bf16", o.bf16, "Hold the frozen matrices in bfloat16");
  command->add_flag("--reference-bugs", o.reference_bugs,
                    "Classes at 0 shots: show the demonstrations' pictures, as the reference does");
  command->add_option("--rank", o.rank, "Answer every N-th batch alone, from this one on")
      ->transform(checks::integer(0));
  command->add_option("--world", o.world, "N; `flamingo score` merges what the ranks answered")
      ->transform(checks::integer(1));
  command->add_option("--submission", o.submission,
                      "VQAv2, VizWiz: answer a test set and write the file to hand in");
  command->add_option("--shown", o.shown, "Pictures of each kind in predictions.html")
      ->transform(checks::integer(0))
      ->capture_default_str();
  command->add_option("--out", o.out, "Folder of answers and scores")->capture_default_str();
  command->add_flag("--fresh", o.fresh, "Forget the answers that are there already");
  command->add_option("--replay", told->replay,
                      "Repeat what a manifest records and compare the answers");
  command->callback([told] { evaluate(*told); });
}

}  // namespace flamingo
