#pragma once
// Trainer: the paper's recipe from samples to checkpoints (arXiv 2308.01390, section 3.2).
//
//   train::Trainer<float> trainer(*model, recipe, options);
//   trainer.resume();                                  // where the run folder has a checkpoint
//   if (trainer.run() == train::End::interrupted) ...  // saved; the same again goes on
//
// A state is saved after a step that was taken, never after one that was skipped: what led to the skipping may be in it.
// A step draws micro_batches batches of each stream, adds up their gradients, clips and updates. A run that was
// stopped anywhere, or killed, and resumed gives the bits of one that was not: weights, moments, losses, and the log
// but for its times.

#include <chrono>
#include <functional>

#include "plume/data/mixture.hpp"
#include "plume/train/checkpoint.hpp"
#include "plume/train/interrupt.hpp"
#include "plume/train/log.hpp"
#include "plume/train/progress.hpp"
#include "plume/train/run_folder.hpp"
#include "plume/train/scalars.hpp"
#include "plume/train/step.hpp"
#include "plume/train/watch.hpp"

namespace plume::train {

/// One stream of samples, and how much of it a step takes.
struct StreamOptions {
  data::Loader* loader = nullptr;  ///< endless, with images; null where there is no such stream
  index_t batch = 0;               ///< samples of a micro-batch
  double weight = 1;               ///< of its loss
  index_t slots = 1;               ///< pictures of a row at most
};

struct TrainerOptions {
  StreamOptions pairs{.weight = 0.2}, documents{.slots = 6};
  data::Specials specials{};
  index_t steps = 0;  ///< of the whole run, those before a resume included
  std::string run{};  ///< its folder; empty: nothing is written
  index_t save_every = 1000, keep = 2;
  index_t log_every = 10;     ///< steps between two looks at gates and gradients
  index_t most_skipped = 10;  ///< steps in a row that may be skipped
  /// Every row has `slots` pictures, zeros where it has none of its own. Otherwise pictures that no token attends to
  /// are left out, which changes nothing but time where tokens attend to the last picture alone.
  bool every_slot = false;
  io::Json configuration = io::Json::object();  ///< must be that of the checkpoint one goes on from
  std::function<bool()> stop = Interrupt::asked;  ///< asked after each step
  Progress* progress = nullptr;
};

/// What a step was. Losses are those of micro-batches with a label that counts, if there are any.
struct StepReport {
  StepResult result;
  std::optional<double> pairs, documents;  ///< losses: the mean of the micro-batches, unweighted
  double tokens = 0, images = 0;           ///< padding does not count
  double data_seconds = 0, seconds = 0;    ///< waiting for samples and collating them; everything
};

enum class End {
  finished,
  interrupted,  ///< by `stop`, and saved
  skipped,  ///< the last step was skipped: nothing is saved of it, the last checkpoint is the newest good state
};

template <Floating T, class Model = models::Flamingo<T>>
class Trainer {
 public:
  /// Throws ValueError where there is no stream, or a number is out of its range.
  Trainer(Model& model, const Recipe& recipe, TrainerOptions options)
      : model_(model),
        options_(std::move(options)),
        stepper_(model, recipe),
        mixture_(options_.pairs.loader, a_step(options_.pairs), options_.documents.loader,
                 a_step(options_.documents)) {
    if (options_.steps < 1) fail<ValueError>("train", "steps >= 1", options_.steps);
    if (options_.keep < 1) fail<ValueError>("train", "keep >= 1", options_.keep);
    if (options_.log_every < 1 || options_.save_every < 1)
      fail<ValueError>("train", "log_every >= 1 and save_every >= 1",
                       cat(options_.log_every, " and ", options_.save_every));
    if (options_.most_skipped < 1)
      fail<ValueError>("train", "most_skipped >= 1", options_.most_skipped);
    if (!options_.run.empty()) checkpoints_.emplace(options_.run + "/checkpoints", options_.keep);
  }

  /// Goes on from the last checkpoint of the run folder; false where there is none. Throws ValueError where that is of
  /// another configuration, FormatError where nothing whole is left of it.
  bool resume() {
    if (!checkpoints_) return false;
    std::vector<std::string> damaged;
    const auto folder = checkpoints_->latest(damaged);
    if (options_.progress != nullptr) {
      for (const std::string& what : damaged) options_.progress->say("passed over: " + what);
    }
    if (!folder && !damaged.empty())
      fail<FormatError>(options_.run, "a checkpoint that is whole", damaged.front());
    if (!folder) return false;
    const io::Json extra = restore_whole<T>(*folder, model_, stepper_);
    require_same_configuration(options_.run, extra.at("configuration"), options_.configuration);
    mixture_.set_state(extra.at("data"));
    seconds_before_ = extra.at("seconds");
    saved_ = stepper_.step();
    return true;
  }

  /// Trains to the last step, or until `stop` says so and a step is taken; saves what it came to either way, but for
  /// End::skipped. Throws NumericalError after too many steps in a row that had to be skipped, and where a weight is no
  /// longer finite; DataLossError where the data is no good.
  End run() {
    open_log();
    bool stopping = false;
    while (stepper_.step() < options_.steps) {
      const StepReport report = step();
      tell(report);
      if (skipped_ >= options_.most_skipped) {
        fail<NumericalError>("train", cat("a finite step in ", skipped_),
                             cat("none up to step ", stepper_.step(), ": ", report.result.why));
      }
      const bool more = stepper_.step() < options_.steps;
      stopping = stopping || (more && options_.stop && options_.stop());
      if (stopping && more && skipped_ == 0) {
        save();
        write("interrupted", {{"data", losses()}});
        return End::interrupted;
      }
      if (skipped_ == 0 && stepper_.step() % options_.save_every == 0) save();
    }
    if (skipped_ > 0) {
      write("end", {{"data", losses()}, {"skipped_in_a_row", skipped_}});
      say(cat("the last ", skipped_, " of ", options_.steps,
              " steps were skipped; nothing is saved ", "of them, the last good state is ",
              saved_ ? cat("the checkpoint of step ", *saved_) : std::string("the beginning")));
      return End::skipped;
    }
    require_finite<T>(model_, stepper_);
    save();
    write("end", {{"data", losses()}});
    return End::finished;
  }

  /// One step, of which nothing is logged or saved.
  StepReport step() {
    const auto begin = Clock::now();
    StepReport out;
    const data::Mixture::Step samples = mixture_.next();
    out.data_seconds = since(begin);
    Mean pairs, documents;
    for (index_t i = 0; i < stepper_.recipe().micro_batches; ++i) {
      learn(samples.pairs, data::Stream::pairs, i, out, pairs);
      learn(samples.documents, data::Stream::documents, i, out, documents);
    }
    out.pairs = pairs.value();
    out.documents = documents.value();
    if (looks()) gradients_ = gradient_norms_of<T>(model_);
    out.result = stepper_.update();
    skipped_ = out.result.skipped ? skipped_ + 1 : 0;
    out.seconds = since(begin);
    return out;
  }

  [[nodiscard]] const Stepper<T, Model>& stepper() const noexcept { return stepper_; }
  /// For import_torch, before a run that did not resume.
  [[nodiscard]] Stepper<T, Model>& stepper() noexcept { return stepper_; }
  /// Writes a line to the log, with the step and the time.
  void write(const char* event, io::Json line) {
    line["event"] = event;
    line["step"] = stepper_.step();
    line["time"] = seconds_before_ + since(begin_);
    if (log_) log_->write(line);
    if (events_) add_scalars(*events_, line);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  [[nodiscard]] std::size_t a_step(const StreamOptions& stream) const {
    if (stream.loader == nullptr) return 0;
    if (stream.batch < 1 || stream.slots < 1)
      fail<ValueError>("train", "a batch >= 1 of at least one picture",
                       cat(stream.batch, " of ", stream.slots));
    if (!(stream.weight >= 0) || !std::isfinite(stream.weight))
      fail<ValueError>("train", "a finite weight >= 0 of a stream's loss", stream.weight);
    return static_cast<std::size_t>(stream.batch * stepper_.recipe().micro_batches);
  }
  /// Whether gates and gradients are looked at in the step that comes.
  [[nodiscard]] bool looks() const { return (stepper_.step() + 1) % options_.log_every == 0; }

  /// Of the losses of micro-batches in which something has a label.
  struct Mean {
    double sum = 0;
    index_t count = 0;
    [[nodiscard]] std::optional<double> value() const {
      return count == 0 ? std::optional<double>() : sum / static_cast<double>(count);
    }
  };
  /// Micro-batch `i` of these samples, if there are any; its loss goes into `mean`.
  void learn(const std::vector<data::Sample>& samples, data::Stream stream, index_t i,
             StepReport& report, Mean& mean) {
    if (samples.empty()) return;
    const StreamOptions& options =
        stream == data::Stream::pairs ? options_.pairs : options_.documents;
    const auto begin = Clock::now();
    const Batch<T> batch = batch_of(samples, stream, options, i * options.batch, report);
    report.data_seconds += since(begin);
    const double loss = stepper_.accumulate(batch, options.weight);
    if (labelled(batch) == 0) return;
    mean.sum += loss;
    ++mean.count;
  }

  Batch<T> batch_of(const std::vector<data::Sample>& samples, data::Stream stream,
                    const StreamOptions& options, index_t first, StepReport& report) const {
    const MemoryScope scope(MemoryTag::data);
    const auto from = samples.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<data::Sample> some(from, from + static_cast<std::ptrdiff_t>(options.batch));
    index_t slots = options_.every_slot ? options.slots : 1;
    for (data::Sample& sample : some) {
      report.tokens += static_cast<double>(sample.ids.size());
      if (!options_.every_slot) {
        const auto marks = static_cast<index_t>(
            std::count(sample.ids.begin(), sample.ids.end(), options_.specials.image));
        if (marks < sample.images.size(0)) sample.images = sample.images.slice(0, 0, marks);
        slots = std::max(slots, sample.images.size(0));
      }
      report.images += static_cast<double>(sample.images.size(0));
    }
    data::SampleBatch out = data::collate(some, stream, options_.specials, slots);
    if constexpr (std::is_same_v<T, float>) {
      return {out.images, {out.ids, out.mask}, out.labels};
    } else {
      return {out.images.template cast<T>(), {out.ids, out.mask}, out.labels};
    }
  }

  void open_log() {
    begin_ = Clock::now();
    if (!options_.run.empty()) {
      std::filesystem::create_directories(options_.run);
      const std::string path = options_.run + "/log.jsonl";
      cut_log(path, saved_.value_or(-1));
      log_.emplace(path);
      const std::string events = options_.run + "/events";
      const bool more = std::filesystem::exists(events);
      events_.emplace(events, more ? std::optional(stepper_.step()) : std::nullopt);
    }
    write(saved_ ? "resume" : "start", {{"steps", options_.steps}});
    if (!saved_) write("gates", gates_of<T>(model_));
  }

  void tell(const StepReport& r) {
    io::Json loss = io::Json::object();
    if (r.pairs) loss["pairs"] = *r.pairs;
    if (r.documents) loss["documents"] = *r.documents;
    const StepResult& s = r.result;
    io::Json line{{"loss", loss},
                  {"gradient_norm", s.gradient_norm},
                  {"learning_rate", s.learning_rate},
                  {"tokens_per_s", r.tokens / r.seconds},
                  {"images_per_s", r.images / r.seconds},
                  {"data_wait", r.data_seconds / r.seconds},
                  {"seconds",
                   {{"data", r.data_seconds},
                    {"forward", s.seconds.forward},
                    {"backward", s.seconds.backward},
                    {"update", s.seconds.update}}},
                  {"skipped", s.skipped}};
    if (s.skipped) line["why"] = s.why;
    if (s.unlabelled > 0) line["unlabelled"] = s.unlabelled;
    write("step", std::move(line));
    if (stepper_.step() % options_.log_every == 0) {
      io::Json gates = gates_of<T>(model_);
      gates["gradient_norms"] = gradients_;
      write("gates", std::move(gates));
    }
    if (options_.progress == nullptr) return;
    if (s.skipped) options_.progress->say(cat("step ", stepper_.step(), " skipped: ", s.why));
    options_.progress->show({stepper_.step(), options_.steps, r.pairs, r.documents, r.tokens,
                             r.images, r.seconds, r.data_seconds});
  }

  void say(const std::string& text) const {
    if (options_.progress != nullptr) options_.progress->say(text);
  }

  void save() {
    if (!checkpoints_ || saved_ == stepper_.step()) return;
    log_->sync();
    checkpoints_->save(model_, stepper_,
                       io::Json{{"configuration", options_.configuration},
                                {"data", mixture_.state()},
                                {"seconds", seconds_before_ + since(begin_)}});
    saved_ = stepper_.step();
  }

  /// What became of the records of each stream.
  [[nodiscard]] io::Json losses() const {
    io::Json out = io::Json::object();
    for (const auto& [name, loader] : {std::pair("pairs", options_.pairs.loader),
                                       std::pair("documents", options_.documents.loader)}) {
      if (loader == nullptr) continue;
      const data::Losses& l = loader->losses();
      out[name] = {{"seen", l.seen()},
                   {"emitted", l.emitted_count()},
                   {"dropped", l.dropped_count()},
                   {"reasons", l.reasons()},
                   {"notes", l.notes()}};
    }
    return out;
  }

  Model& model_;
  TrainerOptions options_;
  Stepper<T, Model> stepper_;
  data::Mixture mixture_;
  std::optional<Checkpoints> checkpoints_;
  std::optional<Log> log_;
  std::optional<report::EventFile> events_;
  io::Json gradients_;
  index_t skipped_ = 0;           ///< steps in a row
  std::optional<index_t> saved_;  ///< the step of the last checkpoint of this run
  double seconds_before_ = 0;     ///< of earlier sessions
  Clock::time_point begin_ = Clock::now();
};

}  // namespace plume::train
