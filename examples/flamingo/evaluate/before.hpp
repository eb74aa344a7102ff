#pragma once
// What can be known of an evaluation before a model is opened and a question asked: whether there are as many samples
// as are drawn, whether prompts fit, whether the pictures that will be shown can be read, whether results can be
// written. Everything here throws ValueError or FormatError and leaves nothing behind.

#include <unistd.h>  // getpid

#include <cstring>
#include <iostream>
#include <limits>
#include <map>

#include "evaluate/manifest.hpp"
#include "plume/core/parallel.hpp"
#include "plume/eval/demonstrations.hpp"

namespace flamingo {

/// The samples of one benchmark that a run asks or shows.
struct Needed {
  std::vector<bool> train, test;
};

namespace detail {

/// Throws ValueError where no file can be written into `folder`, which need not be there yet.
inline void require_writable(const char* option, const std::string& folder) {
  fs::path at = fs::absolute(folder);
  while (!fs::exists(at) && at.has_relative_path()) at = at.parent_path();
  const auto refuse = [&](const std::string& why) {
    plume::fail<plume::ValueError>("evaluate", plume::cat(option, " where files can be written"),
                                   plume::cat(folder, " (", why, ")"));
  };
  if (!fs::is_directory(at)) refuse(at.string() + " is not a folder");
  const std::string probe = (at / plume::cat(".plume-probe-", getpid())).string();
  std::FILE* const file = std::fopen(probe.c_str(), "wbx");
  if (file == nullptr) refuse(std::strerror(errno));
  const bool written = std::fputc('x', file) != EOF;
  const bool closed = std::fclose(file) == 0;
  std::remove(probe.c_str());
  if (!written || !closed) refuse("writing to it fails");
}

template <class Data>
void require_samples(const EvaluateOptions& given, const BenchmarkChoice& choice,
                     const Data& data) {
  const auto test = std::ssize(data.test), train = std::ssize(data.train);
  const auto where = [&](const char* key, const char* other) {
    const auto found = choice.paths.find(key);
    return (found != choice.paths.end() ? found->second : choice.paths.at(other)).string();
  };
  if (test == 0) {
    const std::string file =
        choice.paths.contains("test") ? where("test", "test") : where("test-questions", "karpathy");
    plume::fail<plume::FormatError>(file, "at least one sample to ask", "none");
  }
  if (given.queries > test)
    plume::fail<plume::ValueError>(
        choice.name,
        plume::cat("--queries of at most ", test, ", the samples of its test set, or -1"),
        given.queries);
  const auto most = *std::max_element(given.shots.begin(), given.shots.end());
  const plume::index_t needed = eval::demonstrations_for(most);
  if ((given.rices ? train : std::min(train, given.pool)) < needed)
    plume::fail<plume::ValueError>(
        choice.name,
        plume::cat("at least ", needed, " samples to take the demonstrations of --shots ", most,
                   " from"),
        given.rices || train <= given.pool ? plume::cat("a training set of ", train)
                                           : plume::cat("--pool ", given.pool));
}

template <class Data>
Needed needed_of(const EvaluateOptions& given, const Data& data) {
  using Sample = typename decltype(Data::test)::value_type;
  Needed out{std::vector<bool>(data.train.size(), given.rices),
             std::vector<bool>(data.test.size(), false)};
  const bool classes = std::is_same_v<Sample, eval::ClassSample>;
  for (const std::uint32_t seed : given.seeds) {
    for (const plume::index_t shots : given.shots) {
      const eval::DrawOptions how{seed, given.queries, given.pool, shots};
      if (given.rices) {
        for (const plume::index_t query : eval::draw_queries(std::ssize(data.test), how))
          out.test[static_cast<std::size_t>(query)] = true;
        continue;
      }
      const eval::Draw draw = eval::draw_random(std::ssize(data.test), std::ssize(data.train), how);
      for (const plume::index_t query : draw.queries)
        out.test[static_cast<std::size_t>(query)] = true;
      if (shots == 0 && !(classes && given.reference_bugs)) continue;  // demonstrations as text
      for (const auto& row : draw.demonstrations)
        for (const plume::index_t at : row) out.train[static_cast<std::size_t>(at)] = true;
    }
  }
  return out;
}

/// Throws ValueError naming queries that do not fit by themselves, and where no demonstration fits, whatever is drawn.
/// (Of a prompt that does not fit whole, demonstrations are left out and counted.)
template <class Sample>
void require_fitting(const EvaluateOptions& given, const eval::Benchmark& b,
                     const eval::BenchmarkData<Sample>& data, const Needed& needed,
                     const plume::text::Tokenizer& words, plume::index_t positions) {
  plume::index_t answer = answer_options(given, b).max_new_tokens;
  if (b.task == eval::Task::classes) {
    answer = 0;
    for (const std::string& name : eval::class_names(b))
      answer = std::max(answer, std::ssize(words.encode(plume::text::MarkedText().data(name),
                                                        {.special_tokens = false})));
  }
  const plume::index_t limit = positions - answer;
  const std::string room = plume::cat("the ", positions, " positions of the language model, of ",
                                      "which the answer takes ", answer);
  if (limit < 1) {
    plume::fail<plume::ValueError>(b.name, plume::cat("a prompt and its answer within ", room),
                                   b.task == eval::Task::classes
                                       ? "no room for a prompt"
                                       : "no room for a prompt; lower --max-new-tokens");
  }
  const auto tokens = [&](const std::vector<const Sample*>& shown, const Sample& query,
                          plume::index_t shots) {
    return std::ssize(eval::fitting_context<Sample>(words, shown, query, shots,
                                                    std::numeric_limits<plume::index_t>::max(),
                                                    eval::ZeroShotImages::query)
                          .ids);
  };
  std::vector<std::string> too_long;
  const Sample* shortest = nullptr;
  plume::index_t least = 0, asked = 0;
  for (std::size_t i = 0; i < data.test.size(); ++i) {
    if (!needed.test[i]) continue;
    const plume::index_t n = tokens({}, data.test[i], 0);
    ++asked;
    if (n > limit)
      too_long.push_back(plume::cat(plume::io::print_json(data.test[i].id), " (", n, " tokens)"));
    if (shortest == nullptr || n < least) shortest = &data.test[i], least = n;
  }
  if (!too_long.empty()) {
    plume::fail<plume::ValueError>(
        b.name, plume::cat("queries that fit, without a demonstration, into ", room),
        plume::cat(too_long.size(), " of ", asked,
                   " that do not: ", eval::detail::some_of(too_long)));
  }
  const auto most = *std::max_element(given.shots.begin(), given.shots.end());
  if (most == 0) return;
  std::vector<const Sample*> brief;  // among these is a demonstration with the fewest tokens
  for (const Sample& sample : data.train) brief.push_back(&sample);
  const auto kept = std::min<std::size_t>(256, brief.size());
  std::partial_sort(brief.begin(), brief.begin() + static_cast<std::ptrdiff_t>(kept), brief.end(),
                    [](const Sample* x, const Sample* y) {
                      return eval::demonstration(*x).text().size() <
                             eval::demonstration(*y).text().size();
                    });
  brief.resize(kept);
  plume::index_t fewest = std::numeric_limits<plume::index_t>::max();
  for (const Sample* x : brief) fewest = std::min(fewest, tokens({x}, *shortest, 1));
  if (fewest > limit)
    plume::fail<plume::ValueError>(
        b.name, plume::cat("at least one demonstration within ", room),
        plume::cat("--shots ", most, ", and the shortest prompt with one demonstration has ",
                   fewest, " tokens"));
}

/// Why pictures cannot be read, by path; empty for those that can.
using Findings = std::map<std::string, std::string>;

/// Reads the pictures of the needed samples that `findings` does not know; whether one of the needed is broken.
template <class Data>
bool find_broken(const Data& data, const Needed& needed, Findings& findings) {
  std::vector<std::pair<eval::PictureFile, std::string*>> unread;
  bool broken = false;
  const auto add = [&](const auto& samples, const std::vector<bool>& which) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (!which[i]) continue;
      const auto [known, is_new] = findings.emplace(samples[i].image.string(), "");
      if (is_new)
        unread.emplace_back(eval::PictureFile{samples[i].image, eval::opened_as_rgb(samples[i])},
                            &known->second);
      broken |= !known->second.empty();
    }
  };
  add(data.train, needed.train);
  add(data.test, needed.test);
  constexpr plume::index_t cost_ns = 2'000'000;
  plume::parallel_for(std::ssize(unread), cost_ns, [&](plume::index_t begin, plume::index_t end) {
    for (plume::index_t i = begin; i < end; ++i) {
      const auto& [file, why] = unread[static_cast<std::size_t>(i)];
      try {
        eval::check_picture(file);
      } catch (const std::exception& error) {
        *why = error.what();
      }
    }
  });
  for (const auto& [file, why] : unread) broken |= !why->empty();
  return broken;
}

/// Takes out the samples whose pictures are known to be broken; how many.
template <class Data>
std::size_t leave_out(Data& data, const Findings& findings) {
  const auto bad = [&](const auto& sample) {
    const auto known = findings.find(sample.image.string());
    return known != findings.end() && !known->second.empty();
  };
  std::size_t kept = 0;
  for (std::size_t i = 0; i < data.test.size(); ++i) {
    if (bad(data.test[i])) continue;
    if (kept != i) {
      data.test[kept] = std::move(data.test[i]);
      data.truth[kept] = std::move(data.truth[i]);
    }
    ++kept;
  }
  std::size_t out = data.test.size() - kept;
  data.test.erase(data.test.begin() + static_cast<std::ptrdiff_t>(kept), data.test.end());
  data.truth.resize(kept);
  out += std::erase_if(data.train, bad);
  return out;
}

}  // namespace detail

/// What an evaluation reads before it opens a model.
struct Prepared {
  Benchmarks data;
  plume::index_t positions = 0;  ///< of the language model
  Skipped skipped{};
};

/// Reads the data and checks it against the options.
inline Prepared prepare(const EvaluateOptions& given) {
  check(given);
  detail::require_writable("a folder --out", given.out);
  if (!given.cache.empty()) detail::require_writable("a folder --feature-cache", given.cache);
  if (!given.submission.empty()) {
    detail::require_writable("--submission",
                             std::filesystem::absolute(given.submission).parent_path().string());
    if (std::filesystem::is_directory(given.submission))
      plume::fail<plume::ValueError>("evaluate", "a file as --submission",
                                     given.submission + ", a folder");
  }
  Prepared out;
  for (const BenchmarkChoice& choice : given.benchmarks)
    out.data.push_back(eval::read_benchmark(eval::benchmark(choice.name), choice.paths));
  const ModelOptions::Parts parts = given.model.parts();
  out.positions = eval::positions_of(parts.files.language + "/config.json");
  const auto for_each = [&](const auto& f) {
    for (std::size_t i = 0; i < out.data.size(); ++i)
      std::visit([&](auto& data) { f(given.benchmarks[i], data); }, out.data[i]);
  };
  for_each([&](const BenchmarkChoice& choice, const auto& data) {
    detail::require_samples(given, choice, data);
    detail::require_fitting(given, eval::benchmark(choice.name), data,
                            detail::needed_of(given, data), parts.words, out.positions);
  });
  detail::Findings findings;
  for_each([&](const BenchmarkChoice& choice, auto& data) {
    while (detail::find_broken(data, detail::needed_of(given, data), findings) &&
           given.skip_broken) {  // other draws take the place of what is left out
      out.skipped[choice.name] += detail::leave_out(data, findings);
      detail::require_samples(given, choice, data);
    }
  });
  std::vector<std::string> broken;
  for (const auto& [path, why] : findings)
    if (!why.empty()) broken.push_back(why);
  if (broken.empty()) return out;
  const std::string list = eval::detail::some_of(broken, "\n  ", 20);
  if (!given.skip_broken)
    plume::fail<plume::FormatError>(
        "evaluate", "pictures that can be read (--skip-broken leaves out the samples of others)",
        plume::cat(broken.size(), " of ", findings.size(), " that cannot:\n  ", list));
  std::cerr << "samples are left out, for pictures cannot be read:\n  " << list << '\n';
  return out;
}

}  // namespace flamingo
