// Golden data: shards to samples (texts, ids, pictures by SHA-1), documents with and without the reference's
// order of pictures, MMC4 with its pictures, and labels.

#include <map>

#include "plume/data/documents.hpp"
#include "plume/data/labels.hpp"
#include "plume/data/mmc4.hpp"
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
  const data::PairOptions options{.max_tokens = facts.value("max_tokens_pair", std::size_t{32}),
                                  .reference_texts = true};
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

/// A document as the reference makes it, then as it is trained on: pictures in the order of their places, texts as data,
/// and as many pictures as <image>. The second may be dropped where the reference has no picture for an <image>.
void document(const data::Record& record, const text::Tokenizer& tokenizer, const Json& row,
              data::DocumentOptions options, const data::Specials& specials, Report& report) {
  const std::string note = row.value("note", "");
  const bool may_drop = note == "x006.json" || note == "lone surrogate";
  const bool single = row.contains("if_draw_at_most_half") ? !row["if_draw_at_most_half"].is_null()
                                                           : row.value("rejected_as_single", false);
  for (const bool bugs : {true, false}) {
    const bool other = !bugs && row.contains("fixed") && !row["fixed"].is_null();
    const Json& wanted = row.at(other ? "fixed" : "reference");
    const bool emitted = wanted.at("emitted").get<bool>();
    const std::string name = cat(record.key, bugs ? " reference " : " fixed ");
    options.reference_bugs = options.reference_texts = bugs;
    const auto places = [&](const text::Ids& ids) {
      return static_cast<std::size_t>(std::count(ids.begin(), ids.end(), specials.image));
    };
    text::Ids ids = emitted ? wanted.at("input_ids").get<text::Ids>() : text::Ids();
    try {
      const data::Sample sample = data::make_document(record, tokenizer, 0.75, options);
      report.equal(name + "emitted", true, emitted);
      if (!emitted) continue;
      Json pictures = Json::array();
      for (const data::SamplePicture& picture : sample.pictures)
        pictures.push_back(sha1_of(picture));
      if (!bugs) report.equal(name + "pictures", pictures.size(), places(sample.ids));
      if (!sample.note.empty()) continue;  // the reference took data for markup
      Json images = wanted.at("images");
      if (!bugs && images.size() > places(ids))
        images.erase(images.begin() + static_cast<std::ptrdiff_t>(places(ids)), images.end());
      report.equal(name + "text", sample.text, wanted.at("text"));
      // Where a mark has no picture of its own or a picture no mark, the reference shows a wrong one.
      const bool apart = !bugs && (images.size() < places(ids) || note == "lower case tag");
      if (note != "ties" && !apart) report.equal(name + "images", pictures, images);
      report.equal(name + "input_ids", data::padded(sample.ids, options.max_tokens, specials),
                   data::padded(ids, options.max_tokens, specials));
      if (wanted.contains("attention_mask_sum"))
        report.equal(name + "attention_mask_sum", sample.ids.size(), wanted["attention_mask_sum"]);
      if (wanted.contains("image_tokens"))
        report.equal(name + "image_tokens", places(sample.ids), wanted["image_tokens"]);
      if (wanted.contains("image_slots"))
        report.equal(name + "image_slots", options.max_images, wanted["image_slots"]);
      bool rejected = false;
      try {
        data::make_document(record, tokenizer, 0.25, options);
      } catch (const data::Drop&) {
        rejected = true;
      }
      report.equal(name + "dropped by chance", rejected, single);
    } catch (const data::Drop& drop) {
      const bool without = !bugs && emitted && places(ids) > wanted.at("images").size();
      if (emitted && !may_drop && !without) {
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
      if (next < expected.size() && expected[next].at("key") == record.key) {
        const Json& row = expected[next++];
        data::DocumentOptions own = options;
        if (row.contains("options")) {
          own.similarity_threshold = row["options"].at("sim_threshold");
          own.min_images = row["options"].at("min_num_images");
          own.max_images = row["options"].at("max_num_images");
        }
        return document(record, tokenizer, row, own, specials, report);
      }
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

/// The groups of several shards, read as one stream. Here a record ends with its shard: one that the reference finishes
/// with files of the next shard must be dropped.
void stream_of_pairs(const fs::path& folder, const text::Tokenizer& tokenizer,
                     const data::Specials& specials, Report& report) {
  const std::vector<Json> rows = io::read_json_lines((folder / "samples.jsonl").string());
  const data::PairOptions options{.max_tokens = 32, .reference_texts = true};
  std::map<std::string, data::Sample> emitted;  // by shard, key and caption
  for (std::size_t next = 0; next < rows.size();) {
    const std::string shard = rows[next].at("shard");
    for_each_record(folder / shard, [&](data::Record record) {
      const std::string name = shard + " " + record.key + " ";
      if (next == rows.size() || rows[next].at("key") != record.key) {
        const bool rest = next > 0 && rows[next - 1].at("key") == record.key;
        report.equal(name + "group", rest, true);
        return;
      }
      const Json& row = rows[next++];
      const std::string key = record.key;
      Json fields = Json::array();
      for (const auto& [suffix, file] : record.files) fields.push_back(suffix);
      const bool wanted = row.at("emitted");
      const bool goes_on = fields.size() < row.at("fields").size();
      if (record.problem.empty() && !goes_on) report.equal(name + "fields", fields, row["fields"]);
      try {
        data::Sample sample = data::make_pair(std::move(record), tokenizer, options);
        report.equal(name + "emitted", true, wanted);
        if (!wanted) return;
        report.equal(name + "image", sha1_of(sample.pictures[0]), row.at("image"));
        const image::Picture& pixels = sample.pictures[0].pixels;
        report.equal(name + "size", Json{pixels.width, pixels.height}, row.at("size"));
        report.equal(name + "caption", sample.text, row.at("caption"));
        report.equal(name + "input_ids", sample.ids, row.at("input_ids"));
        emitted.emplace(name + sample.text, std::move(sample));
      } catch (const data::Drop& drop) {
        const std::string what = drop.what();
        // Without libjpeg-turbo a picture of four components is refused.
        if (wanted && key == "kind-cmyk" && what == "a picture that cannot be decoded")
          return report.pending(name + "of four components, without libjpeg-turbo");
        if (wanted && !goes_on) return report.wrong(name + "emitted", what);
        const bool filter = what == "no picture" || what == "no caption" ||
                            what == "cut off by the end of the shard";
        report.equal(name + "stage", wanted || (filter ? "filter" : "decode") == row.at("stage"),
                     true);
      }
    });
    while (next < rows.size() && rows[next].at("shard") == shard)
      report.wrong(shard + " " + rows[next++].at("key").get<std::string>(), "no such record");
  }
  std::vector<const Json*> kept;
  for (const Json& row : rows) {
    if (row.at("emitted").get<bool>()) kept.push_back(&row);
  }
  std::size_t at = 0, number = 0;
  for (const Json& batch : io::read_json_lines((folder / "batches.jsonl").string())) {
    const std::string name = cat("batch ", number++, " ");
    const std::size_t length = batch.at("input_ids").at(0).size();
    for (std::size_t i = 0; i < batch.at("keys").size(); ++i, ++at) {
      const Json& row = *kept.at(at);
      report.equal(name + "key", row.at("key"), batch["keys"][i]);
      const auto found = emitted.find(cat(row.at("shard").get<std::string>(), " ",
                                          row.at("key").get<std::string>(), " ",
                                          row.at("caption").get<std::string>()));
      if (found == emitted.end()) continue;  // goes on in the next shard
      const text::Ids& ids = found->second.ids;
      report.equal(name + "input_ids", data::padded(ids, length, specials), batch["input_ids"][i]);
      Json mask = Json::array();
      for (std::size_t t = 0; t < length; ++t) mask.push_back(t < ids.size() ? 1 : 0);
      report.equal(name + "attention_mask", mask, batch["attention_mask"][i]);
    }
  }
}

/// MMC4 with its pictures. Files go in as they are, so that the bytes of the converter's own JPEG are not compared.
void convert(const fs::path& folder, Report& report) {
  const std::vector<Json> expected = io::read_json_lines((folder / "expected.jsonl").string());
  std::size_t next = 0;
  for (int k = 0; fs::exists(folder / cat("shard_", k, ".zip")); ++k) {
    data::Mmc4Counts counts;
    const std::size_t before = next;
    data::for_each_mmc4_document(
        (folder / cat("shard_", k, ".zip")).string(), {folder / "images" / std::to_string(k)},
        counts, [&](const std::string& text) {
          const std::string name = cat("document ", next, " ");
          if (next == expected.size()) return report.wrong(name, "there is no such document");
          Json got = io::parse_json(name, text);
          Json wanted = expected[next++].at("document");
          for (std::size_t i = 0; i < wanted.at("image_info").size(); ++i) {
            report.equal(cat(name, "picture ", i),
                         got.at("image_info").at(i).contains("image_base64"),
                         !wanted["image_info"][i].at("embedded").is_null());
            wanted["image_info"][i].erase("embedded");
            got["image_info"][i].erase("image_base64");
          }
          report.equal(name, got, wanted);
        });
    std::size_t of_zip = 0;
    for (const Json& row : expected) {
      if (row.at("shard") == cat("00000000", k, ".tar")) ++of_zip;
    }
    report.equal(cat("documents of zip ", k), next - before, of_zip);
  }
  report.equal("documents", next, expected.size());
}

void labels(const fs::path& folder, const text::Tokenizer& tokenizer, Report& report) {
  std::size_t n = 0;
  for (const Json& row : io::read_json_lines((folder / "labels.jsonl").string())) {
    data::Specials specials = data::Specials::of(tokenizer);
    if (row.contains("pad_is"))
      specials.pad = tokenizer.id(row["pad_is"].get<std::string>()).value();
    const auto stream = row.at("stream").get<std::string>();
    const bool batch = row.at("input_ids").at(0).is_array();
    const Json ids_of = batch ? row["input_ids"] : Json::array({row["input_ids"]});
    const Json labels_of = batch ? row.at("labels") : Json::array({row.at("labels")});
    ++n;
    for (std::size_t i = 0; i < ids_of.size(); ++i) {
      const auto ids = ids_of[i].get<text::Ids>();
      report.equal(cat("labels.jsonl:", n, batch ? cat(" row ", i) : ""),
                   stream == "pairs" ? data::pair_labels(ids, specials)
                                     : data::document_labels(ids, specials),
                   labels_of[i]);
    }
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
  if (has("pairs/samples.jsonl"))
    stream_of_pairs(folder / "pairs", tokenizer, data::Specials::of(tokenizer), report);
  if (has("documents.jsonl")) documents(folder, tokenizer, facts, report);
  if (has("documents/documents.jsonl")) documents(folder / "documents", tokenizer, facts, report);
  if (has("convert/expected.jsonl")) convert(folder / "convert", report);
  if (has("pairs/epoch.json"))
    report.pending("pairs/epoch.json: a run counts steps, and has no epochs to count");
  if (has("labels.jsonl")) labels(folder, tokenizer, report);
}

}  // namespace flamingo
