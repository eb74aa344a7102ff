// flamingo shards make: tar shards of a folder of pictures and texts, or of MMC4 and a folder of its pictures.

#include <iomanip>
#include <iostream>
#include <map>
#include <optional>

#include "commands.hpp"
#include "option_checks.hpp"
#include "plume/data/mmc4.hpp"
#include "plume/data/pair_folder.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/data/tar_writer.hpp"

namespace flamingo {

namespace {

namespace fs = std::filesystem;
using namespace plume;

struct Given {
  std::string folder, prefix, documents;
  std::size_t a_shard = 1000;
};

std::string numbered(std::size_t number, std::size_t width) {
  std::string digits = std::to_string(number);
  return digits.insert(0, width - std::min(width, digits.size()), '0');
}

/// PREFIX000000.tar, PREFIX000001.tar, ...: each appears whole, under its name, once it has its records.
class Shards {
 public:
  /// Throws ValueError where there are shards of that prefix already: they would be replaced, or taken for these.
  Shards(const Given& given, const char* records) : given_(given), records_(records) {
    const fs::path prefix = given.prefix;
    const std::string begin = prefix.filename().string();
    const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
    if (!fs::is_directory(folder))
      fail<ValueError>("PREFIX", "a folder to write into", folder.string() + ", which is none");
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      const std::string_view number =
          std::string_view(name).substr(std::min(begin.size(), name.size()));
      if (name.starts_with(begin) && number.size() == 10 && number.ends_with(".tar") &&
          number.find_first_not_of("0123456789") == 6) {
        fail<ValueError>(
            "PREFIX",
            cat("no shards of the prefix ", given.prefix, " (remove them, or take another)"),
            entry.path().string());
      }
    }
  }

  /// The key of the next record, and where its files go.
  std::pair<std::string, data::TarWriter&> next() {
    if (count_ > 0 && count_ % given_.a_shard == 0) close();
    if (!tar_) tar_.emplace(path());
    return {numbered(count_++, 9), *tar_};
  }
  void close() {
    if (!tar_) return;
    tar_->commit();
    tar_.reset();
    std::cout << path() << ": " << count_ - done_ << ' ' << records_ << std::endl;
    done_ = count_;
    ++shard_;
  }

 private:
  [[nodiscard]] std::string path() const { return given_.prefix + numbered(shard_, 6) + ".tar"; }

  const Given& given_;
  const char* records_;
  std::optional<data::TarWriter> tar_;
  std::size_t count_ = 0, done_ = 0, shard_ = 0;
};

/// The pairs of a folder in the order of their names. Pictures are not decoded: `shards validate` does that.
void make_pairs(const Given& given) {
  const data::PairFolder found = data::read_pair_folder(given.folder);
  Shards shards(given, "pairs");
  for (const data::PairFolder::Pair& pair : found.pairs) {
    auto [key, tar] = shards.next();
    tar.add(key + "." + pair.kind, io::Source::file(pair.picture.string()).bytes);
    tar.add(key + ".txt", io::Source::file(pair.caption.string()).bytes);
  }
  shards.close();
  std::cout << found.files << " files, " << 2 * found.pairs.size() << " used in "
            << found.pairs.size() << " pairs, " << found.files - 2 * found.pairs.size()
            << " left out\n";
  for (const auto& [reason, names] : found.left_out) {
    std::cout << std::setw(10) << names.size() << "  " << reason << ":";
    constexpr std::size_t most = 5;
    for (std::size_t i = 0; i < std::min(names.size(), most); ++i) std::cout << ' ' << names[i];
    std::cout << (names.size() > most ? " ...\n" : "\n");
  }
}

void print(const char* what, std::uint64_t seen, std::uint64_t used,
           const std::map<std::string, std::uint64_t>& left_out) {
  std::cout << seen << ' ' << what << ", " << used << " used, " << seen - used << " left out\n";
  for (const auto& [reason, count] : left_out)
    std::cout << std::setw(10) << count << "  " << reason << '\n';
}

/// Documents in the order they are published in. Of a damaged file those before the damage are used.
void make_documents(const Given& given) {
  const std::vector<std::string> files = data::expand_shards(given.documents);
  if (!fs::is_directory(given.folder))
    fail<FormatError>(given.folder, "a folder of pictures", "none of that name");
  Shards shards(given, "documents");
  data::Mmc4Counts counts;
  for (std::size_t k = 0; k < files.size(); ++k) {
    const fs::path folder = given.folder;
    try {
      data::for_each_mmc4_document(files[k], {folder / std::to_string(k), folder}, counts,
                                   [&](const std::string& document) {
                                     auto [key, tar] = shards.next();
                                     tar.add(key + ".json", document);
                                   });
      std::cout << files[k] << ": read, " << k + 1 << " of " << files.size() << std::endl;
    } catch (const FormatError& error) {  // the others can still be used
      std::cerr << error.what() << '\n';
      exit_code = 1;
    }
  }
  shards.close();
  print("documents", counts.documents, counts.used_documents, counts.left_out_documents);
  print("pictures", counts.pictures, counts.used_pictures, counts.left_out_pictures);
  if (counts.used_documents == 0)
    fail<FormatError>(given.folder, "pictures of these documents", "none of any document");
}

}  // namespace

void add_shards_make(CLI::App& shards) {
  CLI::App* sub = shards.add_subcommand(
      "make", "Shards of the pictures and .txt files of a folder, or of MMC4 and its pictures");
  auto given = std::make_shared<Given>();
  sub->add_option("FOLDER", given->folder,
                  "Pictures (jpg, jpeg, png) with a .txt beside each; with --documents, pictures")
      ->required();
  sub->add_option("PREFIX", given->prefix, "Shards are PREFIX000000.tar, PREFIX000001.tar, ...")
      ->check(CLI::Validator(
          [](std::string& prefix) { return checks::unwritable(prefix + "000000.tar", false); }, ""))
      ->required();
  sub->add_option("--documents", given->documents,
                  "MMC4: docs_shard_{0..99}_v2.jsonl.zip, or .jsonl; the pictures of file K lie in "
                  "FOLDER/K or FOLDER");
  sub->add_option("--pairs-per-shard,--documents-per-shard", given->a_shard, "Records of one shard")
      ->transform(checks::integer(1))
      ->capture_default_str();
  sub->callback([given] {
    if (given->documents.empty()) return make_pairs(*given);
    make_documents(*given);
  });
}

}  // namespace flamingo
