#pragma once
// Interleaved documents: MMC4's json (sentences, pictures in base64, their similarities), and generated sequences
// (`is_gpt`), as text with <image> where a picture belongs.
//
//   s0 s1<image>s2 s3<|endofchunk|><image>s4<|endofchunk|>eos        256 tokens at most, 1 to 6 pictures
//
// Pictures go to sentences one to one by the largest sum of similarities; pairs below the threshold are dropped.
// Source: the data code of OpenFlamingo (arXiv 2308.01390, section 3.2). It keeps pictures in their own order while
// <image> stands at the sentences, so that the k-th <image> may belong to another picture; here pictures follow
// their sentences, unless `reference_bugs` is set. Sentences are data: what looks like a tag in them is characters.

#include <algorithm>
#include <optional>
#include <set>

#include "plume/data/assignment.hpp"
#include "plume/data/pairs.hpp"
#include "plume/io/base64.hpp"

namespace plume::data {

struct DocumentOptions {
  double similarity_threshold = 0.24;
  std::size_t min_images = 1, max_images = 6;
  std::size_t max_tokens = 256;
  std::size_t minimum_kilobytes = 10;  ///< a picture of 10,999 bytes is dropped, one of 11,000 kept
  bool reference_bugs = false;         ///< the reference's order of pictures
  /// Reads special tokens in sentences and keeps pictures without an <image>, as the reference does; to compare with
  /// it, not for training.
  bool reference_texts = false;
};

namespace detail {

/// Tags while a text is put together: bytes that no UTF-8 has, so that data cannot hold them.
struct Tags {
  std::string_view image = "\xFF", chunk = "\xFE";
  static Tags of(const DocumentOptions& options) {
    return options.reference_texts ? Tags{"<image>", "<|endofchunk|>"} : Tags{};
  }
};

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t hit; (hit = text.find(from, at)) != std::string::npos; at = hit + from.size()) {
    out.append(text, at, hit - at).append(to);
  }
  text = out.append(text, at);
}

/// The first chunk has nothing before it to end, and tags stand without spaces around them.
inline std::string tidy(std::string text, const Tags& tags) {
  if (const std::size_t first = text.find(tags.chunk); first != std::string::npos)
    text.erase(first, tags.chunk.size());
  replace_all(text, cat(" ", tags.chunk), tags.chunk);
  replace_all(text, cat(tags.image, " "), tags.image);
  replace_all(text, cat(" ", tags.image), tags.image);
  return text;
}

/// A tidy text with its tags as markup and all else as data.
inline text::MarkedText marked(std::string_view text, const DocumentOptions& options) {
  text::MarkedText out;
  if (options.reference_texts) return out.markup(text);
  const Tags tags;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find_first_of("\xFF\xFE"), text.size());
    out.data(text.substr(0, at));
    text.remove_prefix(at);
    if (text.empty()) break;
    out.markup(text.starts_with(tags.image) ? "<image>" : "<|endofchunk|>");
    text.remove_prefix(1);
  }
  return out;
}

/// A sentence as Python's f"{}" writes it where it is chosen; nothing for what has no such form here.
inline std::optional<std::string> sentence_of(const io::Json& json) {
  if (json.is_string()) return text::lossy_utf8(json.get_ref<const std::string&>());
  if (json.is_null()) return "None";
  if (json.is_boolean()) return json.get<bool>() ? "True" : "False";
  if (json.is_number_integer()) return io::print_json(json);
  return std::nullopt;
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
  text::MarkedText text;
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
  const Tags tags = Tags::of(options);
  std::set<std::size_t> chosen;
  for (const Match& m : matches) chosen.insert(m.sentence);
  if (*chosen.rbegin() >= list.size()) throw Drop("a similarity matrix that is none");
  for (const io::Json& sentence : list) {
    const auto text = sentence_of(sentence);
    if (!text || !(sentence.is_string() || chosen.contains(sentences.size())))
      throw Drop("a sentence that is no text");
    sentences.push_back(*text);
  }
  Interleaved out;
  std::string joined;
  for (const Match& m : matches) {
    sentences[m.sentence].insert(0, cat(tags.chunk, tags.image));
    out.pictures.push_back(std::move(pictures[m.picture]));
  }
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    if (i > 0) joined += ' ';
    joined += sentences[i];
  }
  out.text = marked(tidy(std::move(joined), tags), options);
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
  const std::string lossy = text::lossy_utf8(example.get_ref<const std::string&>());
  const Tags tags = Tags::of(options);
  std::string_view rest = lossy;
  Interleaved out;
  std::string joined;
  std::vector<std::string> order;
  while (!rest.empty()) {
    const std::size_t hit = rest.find(begin);
    if (hit == std::string_view::npos) break;
    std::size_t after = hit + begin.size();
    while (after < rest.size() && rest[after] >= '0' && rest[after] <= '9') ++after;
    const bool mark = after > hit + begin.size() && rest.substr(after).starts_with(end);
    if (!mark) {
      joined += rest.substr(0, hit + 1);
      rest.remove_prefix(hit + 1);
      continue;
    }
    // Marks are matched by number: IMAGE01 is IMAGE1.
    std::string_view digits = rest.substr(hit + begin.size(), after - hit - begin.size());
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
    order.push_back(cat(begin, digits, end));
    joined.append(rest.substr(0, hit)).append(tags.chunk).append(tags.image);
    rest.remove_prefix(after + end.size());
  }
  joined += rest;
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
  joined = tidy(std::move(joined), tags);
  // Past the most pictures the reference cuts before the last one that would still fit; so it is here.
  std::size_t images = 0, last = 0;
  for (std::size_t at = 0; (at = joined.find(tags.image, at)) != std::string::npos; ++at) {
    if (++images == options.max_images) last = at;
  }
  if (images > options.max_images) joined.resize(last);
  out.text = detail::marked(joined, options);
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
  text::MarkedText text = std::move(made.text);
  text.markup(detail::end_of_text(tokenizer));
  Sample out{record.shard, record.key, text.text()};
  out.pictures = std::move(made.pictures);
  out.ids = tokenizer.encode(text, {.max_length = options.max_tokens});
  const std::int64_t image = tokenizer.image().value_or(-1);
  const auto images = static_cast<std::size_t>(std::count(out.ids.begin(), out.ids.end(), image));
  if (images < options.min_images) throw Drop("fewer pictures than wanted", Drop::Kind::rule);
  if (images == 1 && !generated) {
    if (uniform < 0.5) throw Drop("one picture alone, by chance", Drop::Kind::rule);
    if (out.ids.size() == options.max_tokens && out.ids.back() == image)
      throw Drop("one picture alone, and nothing after it", Drop::Kind::rule);
  }
  if (options.reference_texts) return out;
  for (const auto& [begin, end] : text.ranges()) {
    if (tokenizer.names_special(std::string_view(out.text).substr(begin, end - begin)))
      out.note = detail::note_of_special;
  }
  const Specials specials = Specials::of(tokenizer);
  detail::require_trainable(out, document_labels(out.ids, specials), specials);
  return out;
}

}  // namespace plume::data
