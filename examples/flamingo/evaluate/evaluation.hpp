#pragma once
// One evaluation from its options to its folder, and its repetition.

#include <functional>
#include <set>

#include "evaluate/answers.hpp"
#include "evaluate/before.hpp"
#include "evaluate/progress.hpp"
#include "plume/eval/feature_cache.hpp"
#include "plume/eval/scores.hpp"
#include "plume/eval/vqa_submission.hpp"
#include "plume/nn/hold_frozen.hpp"
#include "plume/train/log.hpp"

namespace flamingo {

/// Hears of every batch of answers.
using OnAnswers = std::function<void(const std::vector<eval::Answer>&)>;
/// Whether the answers of a round at places first .. first + count - 1 are wanted.
using IsWanted = std::function<bool(const std::string& benchmark, plume::index_t shots,
                                    std::uint32_t seed, std::size_t first, std::size_t count)>;

class Evaluation {
 public:
  /// `encoder` says all of the vision encoder, for the features that are kept of it.
  Evaluation(const EvaluateOptions& given, const Prepared& prepared, std::string encoder)
      : given_(given),
        data_(prepared.data),
        positions_(prepared.positions),
        encoder_(std::move(encoder)) {
    auto [words, model] = given.model.open<float>();
    if (given.bf16) (void)plume::nn::hold_frozen_in_bf16(*model);
    tokenizer_ = std::make_unique<plume::text::Tokenizer>(std::move(words));
    model_ = std::move(model);
  }

  /// Asks everything that is wanted.
  void run(const IsWanted& wanted, const OnAnswers& heard) {
    double all = 0;
    for_each_benchmark([&](const eval::Benchmark&, const auto& data) {
      for (const plume::index_t shots : given_.shots)
        all += static_cast<double>(given_.seeds.size()) * work(shots, queries(data));
    });
    EvaluationProgress progress(all);
    eval::Asker asker(*model_, *tokenizer_, side(), model_->vision_encoder->sizes.normalization);
    for_each_benchmark([&](const eval::Benchmark& b, const auto& data) {
      Features features;
      if (given_.rices) features = features_of(b, data, progress);
      for (const plume::index_t shots : given_.shots) {
        for (const std::uint32_t seed : given_.seeds) {
          using Data = std::decay_t<decltype(data)>;
          const Round<Data> round{b, data, shots, seed, draw(data, shots, seed, features)};
          ask(asker, round, wanted, heard, progress);
        }
      }
    });
  }

 private:
  template <class Data>
  using Round = eval::Round<typename decltype(Data::test)::value_type>;
  struct Features {
    plume::Tensor<float> train, asked;
    std::unordered_map<plume::index_t, plume::index_t> place{};  ///< row of `asked` by test sample
  };

  template <class F>
  void for_each_benchmark(F f) {
    for (std::size_t i = 0; i < data_.size(); ++i) {
      const eval::Benchmark& b = eval::benchmark(given_.benchmarks[i].name);
      std::visit([&](const auto& data) { f(b, data); }, data_[i]);
    }
  }
  template <class Data>
  plume::index_t queries(const Data& data) const {
    return given_.queries < 0 ? std::ssize(data.test) : given_.queries;
  }
  /// About how long queries take: a demonstration as long as a query, an answer as long as two.
  static double work(plume::index_t shots, plume::index_t queries) {
    return static_cast<double>(shots + 3) * static_cast<double>(queries);
  }
  [[nodiscard]] plume::index_t side() const { return model_->vision_encoder->sizes.image; }

  /// The features of the pictures of samples, each picture encoded once.
  template <class Sample>
  plume::Tensor<float> rows_of(const std::string& what, const std::vector<const Sample*>& samples,
                               EvaluationProgress& progress) {
    std::vector<eval::PictureFile> files;
    std::unordered_map<std::string, plume::index_t> places;
    std::vector<plume::index_t> rows;
    for (const Sample* sample : samples) {
      const auto [at, is_new] = places.emplace(sample->image.string(), std::ssize(files));
      if (is_new) files.push_back({sample->image, eval::opened_as_rgb(*sample)});
      rows.push_back(at->second);
    }
    const auto compute = [&](std::span<const eval::PictureFile> pictures) {
      return eval::picture_features(
          *model_->vision_encoder, pictures, given_.batch,
          [&](plume::index_t done, plume::index_t all) { progress.pictures(what, done, all); });
    };
    plume::Tensor<float> features;
    if (given_.cache.empty()) {
      features = compute(files);
    } else {
      plume::durable::make_folder(given_.cache);
      features = eval::cached_features(given_.cache + "/" + what + ".safetensors",
                                       plume::io::sha256(std::as_bytes(std::span(encoder_))), files,
                                       compute, [&](const std::string& why) { progress.say(why); });
    }
    plume::Tensor<float> out(plume::Shape{std::ssize(rows), features.size(1)});
    for (plume::index_t i = 0; i < out.size(0); ++i)
      out.select(0, i).copy_from(features.select(0, rows[static_cast<std::size_t>(i)]));
    return out;
  }
  /// Of the training set, and of what is asked of the test set.
  template <class Data>
  Features features_of(const eval::Benchmark& b, const Data& data, EvaluationProgress& progress) {
    std::vector<typename decltype(Data::test)::const_pointer> train, asked;
    for (const auto& sample : data.train) train.push_back(&sample);
    Features out;
    for (const std::uint32_t seed : given_.seeds) {
      for (const plume::index_t query : asked_under(data, seed)) {
        if (out.place.emplace(query, std::ssize(asked)).second)
          asked.push_back(&data.test[static_cast<std::size_t>(query)]);
      }
    }
    out.train = rows_of(plume::cat(b.name, "-train"), train, progress);
    out.asked = rows_of(plume::cat(b.name, "-test"), asked, progress);
    return out;
  }

  template <class Data>
  std::vector<plume::index_t> asked_under(const Data& data, std::uint32_t seed) const {
    return eval::draw_queries(std::ssize(data.test), {seed, given_.queries, given_.pool, 0});
  }
  template <class Data>
  eval::Draw draw(const Data& data, plume::index_t shots, std::uint32_t seed,
                  const Features& features) const {
    if (!given_.rices)
      return eval::draw_random(std::ssize(data.test), std::ssize(data.train),
                               {seed, given_.queries, given_.pool, shots});
    std::vector<plume::index_t> queries = asked_under(data, seed);
    plume::Tensor<float> rows(plume::Shape{std::ssize(queries), features.asked.size(1)});
    for (plume::index_t i = 0; i < rows.size(0); ++i)
      rows.select(0, i).copy_from(
          features.asked.select(0, features.place.at(queries[static_cast<std::size_t>(i)])));
    return eval::draw_similar(std::move(queries), features.train, rows, shots);
  }

  template <class Asker, class Sample>
  void ask(Asker& asker, const eval::Round<Sample>& round, const IsWanted& wanted,
           const OnAnswers& heard, EvaluationProgress& progress) {
    eval::AskOptions options;
    options.answer = answer_options(given_, round.benchmark);
    options.positions = positions_;
    options.ensemble = given_.ensemble;
    if (given_.reference_bugs) options.zero_shot = eval::ZeroShotImages::demonstrations;
    const std::string name =
        plume::cat(round.benchmark.name, ", ", round.shots, " shots, seed ", round.seed);
    const auto all = round.draw.queries.size();
    std::size_t dropped = 0;
    for (std::size_t first = 0; first < all; first += static_cast<std::size_t>(given_.batch)) {
      const std::size_t count = std::min(static_cast<std::size_t>(given_.batch), all - first);
      const double effort = work(round.shots, static_cast<plume::index_t>(count));
      if (!wanted(round.benchmark.name, round.shots, round.seed, first, count)) {
        progress.skip(effort);
        continue;
      }
      std::vector<eval::Answer> answers = asker.ask(round, first, count, options);
      for (eval::Answer& a : answers) {
        a.score = eval::own_score(a);
        dropped += a.dropped;
      }
      heard(answers);
      progress.add(name, static_cast<plume::index_t>(first + count),
                   static_cast<plume::index_t>(all), static_cast<plume::index_t>(count), effort);
    }
    if (dropped > 0)
      progress.say(plume::cat(name, ": ", dropped, " demonstrations did not fit into the model's ",
                              positions_, " positions and were left out, the first ones"));
  }

  const EvaluateOptions& given_;
  const Benchmarks& data_;
  plume::index_t positions_;
  std::string encoder_;
  std::unique_ptr<plume::text::Tokenizer> tokenizer_;
  std::unique_ptr<plume::models::Flamingo<float>> model_;
};

namespace detail {

/// What the features of pictures depend on beside the pictures.
inline std::string encoder_of(const Json& manifest) {
  const Json& options = manifest.at("options");
  std::string out;
  for (const char* key : {"clip", "gelu", "bf16"})
    out += plume::io::print_json(options.at(key)) + "\n";
  for (const auto& [part, digest] : manifest.at("files").items())
    if (part.starts_with("vision")) out += part + " " + digest.get<std::string>() + "\n";
  return out;
}

inline void write_submission(const EvaluateOptions& given,
                             const std::vector<eval::Answer>& answers) {
  const BenchmarkChoice& choice = given.benchmarks[0];
  Json results = Json::array();
  for (const eval::Answer& a : answers)
    results.push_back({{"question_id", a.id}, {"answer", a.prediction}});
  const std::string file = choice.paths.at("test-questions").string();
  const Json questions = eval::detail::read_dataset("the questions", file);
  const auto fill = choice.name == "vizwiz" ? eval::vizwiz_submission : eval::vqav2_submission;
  plume::write_whole(
      given.submission,
      plume::io::print_json(fill({"predictions", results}, {file, questions})) + "\n");
}

}  // namespace detail

/// Answers what is not answered yet, into the file of this rank in the folder; gives all answers of the file. Throws
/// ValueError where the folder holds another evaluation.
inline std::vector<eval::Answer> run_evaluation(const EvaluateOptions& given) {
  using plume::io::Json;
  const Prepared prepared = prepare(given);
  const Json manifest = make_manifest(given, prepared.data, prepared.skipped);
  plume::durable::make_folder(given.out);
  const std::string manifest_file = given.out + "/manifest.json";
  const std::string file = given.out + "/" + answers_name(given.rank, given.world);
  if (given.fresh) {
    std::filesystem::remove(manifest_file);
    for (const std::string& name : plume::durable::names_in(given.out))
      if (name.starts_with("predictions") && name.ends_with(".jsonl"))
        std::filesystem::remove(given.out + "/" + name);
  }
  if (std::filesystem::exists(manifest_file))
    require_same_manifest(given.out, plume::io::read_json(manifest_file), manifest);
  plume::write_whole(manifest_file, plume::io::print_json(manifest, 1) + "\n");

  cut_torn_line(file);
  std::set<std::tuple<std::string, plume::index_t, std::uint32_t, plume::index_t>> known;
  if (std::filesystem::exists(file)) {
    for (const eval::Answer& a : eval::read_answers(file))
      known.emplace(a.benchmark, a.shots, a.seed, a.place);
    if (!known.empty()) std::cerr << known.size() << " answers are there already\n";
  }
  const auto is_known = [&](const std::string& name, plume::index_t shots, std::uint32_t seed,
                            std::size_t place) {
    return known.contains({name, shots, seed, static_cast<plume::index_t>(place)});
  };
  {
    plume::train::Log log(file);
    Evaluation evaluation(given, prepared, detail::encoder_of(manifest));
    evaluation.run(
        [&](const std::string& name, plume::index_t shots, std::uint32_t seed, std::size_t first,
            std::size_t count) {
          if (first / static_cast<std::size_t>(given.batch) % given.world != given.rank)
            return false;
          for (std::size_t i = first; i < first + count; ++i)
            if (!is_known(name, shots, seed, i)) return true;
          return false;
        },
        [&](const std::vector<eval::Answer>& answers) {
          for (const eval::Answer& a : answers)
            if (!is_known(a.benchmark, a.shots, a.seed, static_cast<std::size_t>(a.place)))
              log.write(eval::to_json(a));
        });
    log.sync();
  }
  std::vector<eval::Answer> answers = eval::read_answers(file);
  if (!given.submission.empty()) detail::write_submission(given, answers);
  return answers;
}

/// Repeats an evaluation and compares it with the answers beside its manifest; says how many are equal, and whether
/// all are. Throws ValueError where a file is not the one that was recorded.
inline bool replay(const EvaluateOptions& given, const plume::io::Json& manifest,
                   const std::string& file) {
  const Prepared prepared = prepare(given);
  const plume::io::Json now = make_manifest(given, prepared.data, prepared.skipped);
  require_same_manifest(file, manifest, now);
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::vector<eval::Answer> recorded = answers_at(folder.empty() ? "." : folder.string());
  (void)eval::score_answers(recorded);  // all are there, once
  std::map<std::tuple<std::string, plume::index_t, std::uint32_t, plume::index_t>,
           const eval::Answer*>
      by_place;
  for (const eval::Answer& a : recorded) by_place[{a.benchmark, a.shots, a.seed, a.place}] = &a;
  std::size_t equal = 0, all = 0;
  Evaluation evaluation(given, prepared, detail::encoder_of(now));
  evaluation.run([](auto&&...) { return true; },
                 [&](const std::vector<eval::Answer>& answers) {
                   for (const eval::Answer& a : answers) {
                     ++all;
                     const auto then = by_place.find({a.benchmark, a.shots, a.seed, a.place});
                     const bool same = then != by_place.end() && then->second->id == a.id &&
                                       then->second->demonstrations == a.demonstrations &&
                                       then->second->prompt == a.prompt &&
                                       then->second->raw == a.raw &&
                                       then->second->prediction == a.prediction;
                     equal += same;
                     if (!same && all - equal <= 5)
                       std::cerr << "differs: " << a.benchmark << " " << a.id << ": "
                                 << (then == by_place.end() ? "not recorded" : then->second->raw)
                                 << ", now " << a.raw << '\n';
                   }
                 });
  std::cout << equal << " of " << recorded.size() << " answers are equal" << std::endl;
  return equal == recorded.size() && all == recorded.size();
}

}  // namespace flamingo
