// flamingo shards: look into tar shards, and check them. Making them: shards_make.cpp.

#include <iomanip>
#include <iostream>
#include <map>

#include "commands.hpp"
#include "option_checks.hpp"
#include "plume/data/loader.hpp"
#include "plume/data/preflight.hpp"
#include "plume/data/shard_list.hpp"

namespace flamingo {

namespace {

using namespace plume;

struct Given {
  std::string shards, tokenizer, stream = "pairs";
  std::size_t threads = 2;
  double threshold = 0.24;
};

using Histogram = std::map<std::size_t, std::size_t>;

/// One line a bin, with a bar as long as its share of the largest.
void print(const std::string& title, const Histogram& histogram, std::size_t width) {
  std::size_t largest = 1;
  for (const auto& [bin, count] : histogram) largest = std::max(largest, count);
  std::cout << title << '\n';
  for (const auto& [bin, count] : histogram) {
    const std::string name =
        width == 1 ? std::to_string(bin) : cat(bin * width, " to ", (bin + 1) * width - 1);
    std::cout << "  " << std::setw(12) << name << std::setw(10) << count << "  "
              << std::string(count * 40 / largest, '#') << '\n';
  }
}

data::SourceOptions source_of(const Given& given) {
  data::SourceOptions out;
  out.shards = data::expand_shards(given.shards);
  out.sampling = data::Sampling::once;
  out.shuffle = 1;
  return out;
}

/// Reads everything once; `use` sees each sample.
template <class F>
data::Losses read(const Given& given, const text::Tokenizer& tokenizer, F use) {
  data::DocumentOptions documents;
  documents.similarity_threshold = given.threshold;
  data::LoaderOptions options;
  options.threads = given.threads;
  options.limits = {1, 1000, ~std::uint64_t{0}};
  data::Loader loader(source_of(given),
                      given.stream == "pairs" ? data::pair_maker(tokenizer)
                                              : data::document_maker(tokenizer, documents),
                      options);
  while (auto sample = loader.next()) use(*sample);
  return loader.losses();
}

void print(const data::Losses& losses) {
  std::cout << losses.seen() << " records, " << losses.emitted_count() << " samples, "
            << losses.dropped_count() << " dropped\n";
  for (const auto& [reason, count] : losses.reasons())
    std::cout << std::setw(10) << count << "  " << reason << '\n';
  for (const auto& [note, count] : losses.notes())
    std::cout << std::setw(10) << count << "  of the samples: " << note << '\n';
  for (const auto& [shard, count] : losses.worst(5))
    std::cout << "  damage in " << shard << ": " << count << '\n';
}

void inspect(const Given& given) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(given.tokenizer);
  Histogram tokens, pictures, kilobytes;
  std::size_t bytes = 0;
  const data::Losses losses = read(given, tokenizer, [&](const data::Sample& sample) {
    ++tokens[sample.ids.size() / 16];
    ++pictures[sample.pictures.size()];
    for (const data::SamplePicture& picture : sample.pictures) {
      ++kilobytes[picture.file.size() / 16384];
      bytes += picture.file.size();
    }
  });
  print(losses);
  print("tokens of a sample, without padding", tokens, 16);
  print("pictures of a sample", pictures, 1);
  print("KiB of a picture file", kilobytes, 16);
  std::cout << bytes << " bytes of pictures in all\n";
}

void validate(const Given& given) {
  const std::vector<std::string> problems = data::preflight(source_of(given));
  for (const std::string& problem : problems) std::cout << problem << '\n';
  const text::Tokenizer tokenizer = text::Tokenizer::load(given.tokenizer);
  const data::Losses losses = read(given, tokenizer, [](const data::Sample&) {});
  print(losses);
  exit_code = problems.empty() && losses.damaged() == 0 && losses.emitted_count() > 0 ? 0 : 1;
}

}  // namespace

void add_shards(CLI::App& app) {
  CLI::App* command = app.add_subcommand("shards", "Look into tar shards, check them, make them");
  command->require_subcommand(1);
  auto given = std::make_shared<Given>();
  const auto reader = [&](const char* name, const char* what, void (*run)(const Given&)) {
    CLI::App* sub = command->add_subcommand(name, what);
    sub->add_option("SHARDS", given->shards, "Paths: {000..099}, *, and :: between several")
        ->required();
    sub->add_option("--tokenizer", given->tokenizer, "Folder of a tokenizer")->required();
    sub->add_option("--stream", given->stream, "What the shards hold")
        ->check(CLI::IsMember({"pairs", "documents"}))
        ->capture_default_str();
    sub->add_option("--similarity-threshold", given->threshold, "Of documents")
        ->transform(checks::finite())
        ->capture_default_str();
    sub->add_option("--threads", given->threads, "Threads that read")
        ->transform(checks::integer(0, 1024))
        ->capture_default_str();
    sub->callback([given, run] { run(*given); });
  };
  reader("inspect", "Count records, samples, tokens and pictures", inspect);
  reader("validate", "Read everything; fail where anything is damaged", validate);
  add_shards_make(*command);
}

}  // namespace flamingo
