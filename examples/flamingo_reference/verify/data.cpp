// Golden data: shards to samples (texts, ids, pictures by SHA-1), documents with and without the reference's
// order of pictures, and labels.

#include <map>

#include "plume/data/documents.hpp"
#include "plume/data/labels.hpp"
#include "plume/data/tar.hpp"
#include "verify/groups.hpp"
#include "verify/sha1.hpp"

using namespace plume;

namespace flamingo {

namespace {

namespace fs = std::filesystem;
using io::Json;

/// The tar files of a folder whose names begin so, by name.
std::vector<fs::path> shards(const fs::path& folder, const std::string& begin) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name.ends_with(".tar")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Calls use(record) for the records of a shard; how it ends is of no interest here.
template <class F>
void for_each_record(const fs::path& shard, F use) {
  try {
    data::Shard reader(shard.string());
    while (auto record = reader.next()) use(*std::move(record));
  } catch (const data::Drop&) {
  }
}

std::string sha1_of(const data::SamplePicture& picture) { return sha1(picture.file); }

void pairs(const fs::path& folder, const text::Tokenizer& tokenizer, const Json& facts,
           Report& report) {
  const data::PairOptions options{facts.value("max_tokens_pair", std::size_t{32})};
  Json got = Json::array();
  std::map<std::string, std::vector<Json>> expected;
  for (Json& row : io::read_json_lines((folder / "pairs.jsonl").string()))
    expected[row.at("shard").get<std::string>()].push_back(std::move(row));
  for (const fs::path& shard : shards(folder, "pairs")) {
    const std::string name = shard.filename().string();
    std::vector<Json>& wanted = expected[name];
    std::size_t next = 0;
    for_each_record(shard, [&](data::Record record) {
      const std::string key = record.key;
      try {
        const data::Sample sample = data::make_pair(std::move(record), tokenizer, options);
        const Json row{{"shard", name},
                       {"key", sample.key},
                       {"image", sha1_of(sample.pictures[0])},
                       {"text", sample.text},
                       {"input_ids", sample.ids}};
        report.equal(name + " " + key, row, next < wanted.size() ? wanted[next] : Json());
        ++next;
      } catch (const data::Drop& drop) {
        // Pillow makes a picture of some files that are cut; dropping them is right.
        const bool cut = std::string(drop.what()) == "a picture that is cut";
        if (cut && next < wanted.size() && wanted[next].at("key") == key) ++next;
      }
    });
    report.equal(name + " number of samples", next, wanted.size());
    expected.erase(name);
  }
  for (const auto& [name, left] : expected) report.wrong(name, "there is no such shard");
}

void document(const data::Record& record, const text::Tokenizer& tokenizer, const Json& row,
              data::DocumentOptions options, const data::Specials& specials, Report& report) {
  const bool single = row.value("rejected_as_single", false);
  for (const bool bugs : {true, false}) {
    const Json& fixed = row.at("fixed");
    const Json& wanted = bugs || fixed.is_null() ? row.at("reference") : fixed;
    const std::string name = cat(record.key, bugs ? " reference " : " fixed ");
    options.reference_bugs = bugs;
    try {
      const data::Sample sample = data::make_document(record, tokenizer, 0.75, options);
      Json pictures = Json::array();
      for (const data::SamplePicture& picture : sample.pictures)
        pictures.push_back(sha1_of(picture));
      report.equal(name + "emitted", true, wanted.at("emitted"));
      if (!wanted.at("emitted").get<bool>()) continue;
      report.equal(name + "text", sample.text, wanted.at("text"));
      report.equal(name + "images", pictures, wanted.at("images"));
      report.equal(name + "input_ids", data::padded(sample.ids, options.max_tokens, specials),
                   wanted.at("input_ids"));
      if (wanted.contains("attention_mask_sum"))
        report.equal(name + "attention_mask_sum", sample.ids.size(), wanted["attention_mask_sum"]);
      if (wanted.contains("image_slots"))
        report.equal(name + "image_slots", options.max_images, wanted["image_slots"]);
      bool rejected = false;
      try {
        data::make_document(record, tokenizer, 0.25, options);
      } catch (const data::Drop&) {
        rejected = true;
      }
      report.equal(name + "rejected_as_single", rejected, single);
    } catch (const data::Drop& drop) {
      if (wanted.at("emitted").get<bool>()) {
        report.wrong(name + "emitted", drop.what());
      } else {
        report.equal(name + "emitted", false, false);
      }
    }
  }
}

void documents(const fs::path& folder, const text::Tokenizer& tokenizer, const Json& facts,
               Report& report) {
  data::DocumentOptions options;
  options.similarity_threshold = facts.value("similarity_threshold", options.similarity_threshold);
  options.min_images = facts.value("min_images", options.min_images);
  options.max_images = facts.value("max_images", options.max_images);
  options.max_tokens = facts.value("max_tokens_document", options.max_tokens);
  options.minimum_kilobytes = facts.value("minimum_kilobytes", options.minimum_kilobytes);
  const data::Specials specials = data::Specials::of(tokenizer);
  const std::vector<Json> expected = io::read_json_lines((folder / "documents.jsonl").string());
  std::size_t next = 0;
  for (const fs::path& shard : shards(folder, "documents")) {
    for_each_record(shard, [&](const data::Record& record) {
      if (next < expected.size() && expected[next].at("key") == record.key)
        return document(record, tokenizer, expected[next++], options, specials, report);
      bool dropped = false;
      try {
        data::make_document(record, tokenizer, 0.75, options);
      } catch (const data::Drop&) {
        dropped = true;
      }
      report.equal(record.key + " dropped", dropped, true);
    });
  }
  report.equal("number of documents", next, expected.size());
}

void labels(const fs::path& folder, const data::Specials& specials, Report& report) {
  std::size_t n = 0;
  for (const Json& row : io::read_json_lines((folder / "labels.jsonl").string())) {
    const auto ids = row.at("input_ids").get<text::Ids>();
    const auto stream = row.at("stream").get<std::string>();
    report.equal(
        cat("labels.jsonl:", ++n),
        stream == "pairs" ? data::pair_labels(ids, specials) : data::document_labels(ids, specials),
        row.at("labels"));
  }
}

}  // namespace

void verify_data(const fs::path& folder, Report& report) {
  const Json facts = io::read_json((folder / "case.json").string());
  const text::Tokenizer tokenizer = text::Tokenizer::load((folder / "tokenizer").string());
  if (facts.contains("specials")) {
    for (const auto& [token, id] : facts["specials"].items()) {
      const auto known = tokenizer.id(token);
      report.equal("special " + token, known ? Json(*known) : Json(), id);
    }
  }
  const auto has = [&](const char* file) { return fs::exists(folder / file); };
  if (has("pairs.jsonl")) pairs(folder, tokenizer, facts, report);
  if (has("documents.jsonl")) documents(folder, tokenizer, facts, report);
  if (has("labels.jsonl")) labels(folder, data::Specials::of(tokenizer), report);
}

}  // namespace flamingo
