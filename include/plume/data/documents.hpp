#pragma once
// Interleaved documents: MMC4's json (sentences, pictures in base64, their similarities), and generated sequences
// (`is_gpt`), as text with <image> where a picture belongs.
//
//   s0 s1<image>s2 s3<|endofchunk|><image>s4<|endofchunk|>eos        256 tokens at most, 1 to 6 pictures
//
// Pictures go to sentences one to one by the largest sum of similarities; pairs below the threshold are dropped.
// Source: the data code of OpenFlamingo (arXiv 2308.01390, section 3.2). It keeps pictures in their own order while
// <image> stands at the sentences, so that the k-th <image> may belong to another picture; here pictures follow
// their sentences, unless `reference_bugs` is set.

#include <algorithm>

#include "plume/data/assignment.hpp"
#include "plume/data/pairs.hpp"
#include "plume/io/base64.hpp"

namespace plume::data {

struct DocumentOptions {
  double similarity_threshold = 0.24;
  std::size_t min_images = 1, max_images = 6;
  std::size_t max_tokens = 256;
  std::size_t minimum_kilobytes = 10;  ///< a picture of 10,999 bytes is dropped, one of 11,000 kept
  bool reference_bugs = false;
};

namespace detail {

constexpr std::string_view image_tag = "<image>", chunk_tag = "<|endofchunk|>";

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t hit; (hit = text.find(from, at)) != std::string::npos; at = hit + from.size()) {
    out.append(text, at, hit - at).append(to);
  }
  text = out.append(text, at);
}

/// The first chunk has nothing before it to end, and tags stand without spaces around them.
inline std::string tidy(std::string text) {
  if (const std::size_t first = text.find(chunk_tag); first != std::string::npos)
    text.erase(first, chunk_tag.size());
  replace_all(text, " <|endofchunk|>", chunk_tag);
  replace_all(text, "<image> ", image_tag);
  replace_all(text, " <image>", image_tag);
  return text;
}

inline FileBytes picture_file(const io::Json& base64) {
  if (!base64.is_string()) throw Drop("a picture that is not base64");
  auto bytes = io::base64_decode(base64.get_ref<const std::string&>());
  if (!bytes) throw Drop("a picture that is not base64");
  return *std::move(bytes);
}

/// The member `key`; throws Drop naming what is missing.
inline const io::Json& member(const io::Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) throw Drop(cat("no ", key));
  return object[key];
}

/// What a document comes to before it is tokenized.
struct Interleaved {
  std::string text;
  std::vector<SamplePicture> pictures;
};

struct Match {
  std::size_t picture, sentence;
};

/// Which picture goes to which sentence; `kept[k]` is the row of picture k in the matrix.
inline std::vector<Match> match(const io::Json& similarity, const std::vector<std::size_t>& kept,
                                double threshold) {
  constexpr const char* odd = "a similarity matrix that is none";
  if (!similarity.is_array() || kept.back() >= similarity.size()) throw Drop(odd);
  const std::size_t columns = similarity[0].is_array() ? similarity[0].size() : 0;
  for (const io::Json& row : similarity) {
    if (!row.is_array() || row.size() != columns) throw Drop(odd);
  }
  std::vector<double> cost;
  for (const std::size_t k : kept) {
    for (const io::Json& value : similarity[k]) {
      if (!value.is_number()) throw Drop(odd);
      cost.push_back(-value.get<double>());
    }
  }
  const auto assigned = assign(kept.size(), columns, cost);
  if (!assigned) throw Drop(odd);
  std::vector<Match> out;
  for (const auto& [picture, sentence] : *assigned) {
    if (!(-cost[picture * columns + sentence] < threshold)) out.push_back({picture, sentence});
  }
  return out;
}

inline Interleaved from_mmc4(const std::string& key, const io::Json& document,
                             const DocumentOptions& options) {
  std::vector<std::string> sentences;
  const io::Json& list = member(document, "text_list");
  const io::Json& similarity = member(document, "similarity_matrix");
  const io::Json& info = member(document, "image_info");
  if (!info.is_array()) throw Drop("no image_info");
  std::vector<SamplePicture> pictures;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < info.size(); ++i) {
    if (!info[i].is_object() || !info[i].contains("image_base64")) continue;
    FileBytes file = picture_file(info[i]["image_base64"]);
    if (file.size() / 1000 <= options.minimum_kilobytes) continue;
    pictures.push_back(decoded(key, std::move(file)));
    rows.push_back(i);
  }
  constexpr const char* without = "no picture that fits a sentence";
  if (pictures.empty()) throw Drop(without, Drop::Kind::rule);
  std::vector<Match> matches = match(similarity, rows, options.similarity_threshold);
  if (matches.empty()) throw Drop(without, Drop::Kind::rule);
  if (!options.reference_bugs) {
    std::sort(matches.begin(), matches.end(),
              [](const Match& a, const Match& b) { return a.sentence < b.sentence; });
  }
  matches.resize(std::min(matches.size(), options.max_images));
  if (!list.is_array()) throw Drop("no text_list");
  for (const io::Json& sentence : list) {
    if (!sentence.is_string()) throw Drop("a sentence that is no text");
    sentences.push_back(sentence.get<std::string>());
  }
  Interleaved out;
  for (const Match& m : matches) {
    if (m.sentence >= sentences.size()) throw Drop("a similarity matrix that is none");
    sentences[m.sentence].insert(0, "<|endofchunk|><image>");
    out.pictures.push_back(std::move(pictures[m.picture]));
  }
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    if (i > 0) out.text += ' ';
    out.text += sentences[i];
  }
  out.text = tidy(std::move(out.text));
  return out;
}

/// A text with marks _!_IMAGE1_!_, _!_IMAGE2_!_, ... and a picture for each. Pictures follow their marks (those
/// without a mark come last); with `reference_bugs` their numbers.
inline Interleaved from_generated(const std::string& key, const io::Json& document,
                                  const DocumentOptions& options) {
  constexpr std::string_view begin = "_!_IMAGE", end = "_!_";
  const io::Json& example = member(document, "example");
  const io::Json& map = member(document, "image_map");
  if (!example.is_string()) throw Drop("no example");
  std::string_view rest = example.get_ref<const std::string&>();
  Interleaved out;
  std::vector<std::string> order;
  while (!rest.empty()) {
    const std::size_t hit = rest.find(begin);
    if (hit == std::string_view::npos) break;
    std::size_t after = hit + begin.size();
    while (after < rest.size() && rest[after] >= '0' && rest[after] <= '9') ++after;
    const bool mark = after > hit + begin.size() && rest.substr(after).starts_with(end);
    if (!mark) {
      out.text += rest.substr(0, hit + 1);
      rest.remove_prefix(hit + 1);
      continue;
    }
    order.emplace_back(rest.substr(hit, after + end.size() - hit));
    out.text.append(rest.substr(0, hit)).append("<|endofchunk|><image>");
    rest.remove_prefix(after + end.size());
  }
  out.text += rest;
  std::vector<std::string> names;
  for (std::size_t k = 1; k <= map.size(); ++k) names.push_back(cat(begin, k, end));
  std::vector<SamplePicture> pictures;
  for (const std::string& name : names) {
    if (!map.is_object() || !map.contains(name)) throw Drop("a picture without its number");
    pictures.push_back(decoded(key, picture_file(member(map[name], "base64_image"))));
  }
  std::vector<std::size_t> sequence;
  if (!options.reference_bugs) {
    for (const std::string& name : order) {
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end()) throw Drop("a mark without its picture");
      sequence.push_back(static_cast<std::size_t>(found - names.begin()));
    }
  }
  const std::vector<std::size_t> marked = sequence;
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (std::find(marked.begin(), marked.end(), k) == marked.end()) sequence.push_back(k);
  }
  sequence.resize(std::min(sequence.size(), options.max_images));
  for (const std::size_t k : sequence) out.pictures.push_back(pictures[k]);
  out.text = tidy(std::move(out.text));
  // Past the most pictures the reference cuts before the last one that would still fit; so it is here.
  std::size_t images = 0, last = 0;
  for (std::size_t at = 0; (at = out.text.find(image_tag, at)) != std::string::npos; ++at) {
    if (++images == options.max_images) last = at;
  }
  if (images > options.max_images) out.text.resize(last);
  return out;
}

}  // namespace detail

/// `uniform` in [0, 1) decides about documents with one picture: half of them are left out. Throws Drop where the
/// record is no document or the recipe leaves it out.
inline Sample make_document(Record record, const text::Tokenizer& tokenizer, double uniform,
                            const DocumentOptions& options = {}) {
  if (!record.problem.empty()) throw Drop(record.problem);
  const FileBytes* file = record.find("json");
  if (file == nullptr) throw Drop("no json");
  const io::Json document = json_of(*file, "a document that is not JSON");
  if (!document.is_object()) throw Drop("a document that is no object");
  const bool generated = document.contains("is_gpt");
  detail::Interleaved made = generated ? detail::from_generated(record.key, document, options)
                                       : detail::from_mmc4(record.key, document, options);
  Sample out{record.shard, record.key, std::move(made.text) + detail::end_of_text(tokenizer)};
  out.pictures = std::move(made.pictures);
  out.ids = tokenizer.encode(out.text, {.max_length = options.max_tokens});
  const std::int64_t image = tokenizer.image().value_or(-1);
  const auto images = static_cast<std::size_t>(std::count(out.ids.begin(), out.ids.end(), image));
  if (images < options.min_images) throw Drop("fewer pictures than wanted", Drop::Kind::rule);
  if (images == 1 && !generated) {
    if (uniform < 0.5) throw Drop("one picture alone, by chance", Drop::Kind::rule);
    if (out.ids.size() == options.max_tokens && out.ids.back() == image)
      throw Drop("one picture alone, and nothing after it", Drop::Kind::rule);
  }
  return out;
}

}  // namespace plume::data
