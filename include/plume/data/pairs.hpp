#pragma once
// Pairs: a picture (jpg, png or jpeg, looked for in this order) and a caption (txt), as LAION shards hold them.
//
//   <image>caption<|endofchunk|>eos       the caption stripped, 32 tokens at most, cut on the right
//
// A caption is data: "<image>" or "</s>" in it is a few characters and makes no special token.

#include "plume/data/labels.hpp"
#include "plume/data/sample.hpp"
#include "plume/image/transform.hpp"
#include "plume/io/json.hpp"
#include "plume/text/python_space.hpp"

namespace plume::data {

struct PairOptions {
  std::size_t max_tokens = 32;
  /// Reads special tokens in the caption, as the reference does; to compare with it, not for training.
  bool reference_texts = false;
};

namespace detail {

inline SamplePicture decoded(const std::string& name, FileBytes file) {
  image::Picture pixels;
  try {
    pixels = image::to_rgb(image::decode(name, file));
  } catch (const image::CutError&) {
    throw Drop("a picture that is cut");
  } catch (const FormatError&) {
    throw Drop("a picture that cannot be decoded");
  }
  return {std::move(file), std::move(pixels)};
}

/// `<|endofchunk|>` and the end of a text.
inline std::string end_of_text(const text::Tokenizer& tokenizer) {
  if (!tokenizer.eos()) fail<ValueError>("data", "a tokenizer with an end of text", "one without");
  const std::int64_t eos = *tokenizer.eos();
  return "<|endofchunk|>" + tokenizer.decode(std::span(&eos, 1), {.clean_up = false});
}

/// Throws Drop where a sample could not be trained on: each <image> needs its picture, and something must be learnt.
/// Pictures whose <image> was cut off are left out.
inline void require_trainable(Sample& sample, const text::Ids& labels, const Specials& specials) {
  const auto images =
      static_cast<std::size_t>(std::count(sample.ids.begin(), sample.ids.end(), specials.image));
  if (images == 0) throw Drop("no <image> among the tokens", Drop::Kind::rule);
  if (images > sample.pictures.size()) throw Drop("more <image> than pictures");
  sample.pictures.resize(images);
  if (std::all_of(labels.begin(), labels.end(), [](auto l) { return l == ignored_label; }))
    throw Drop("no token to learn", Drop::Kind::rule);
}

constexpr const char* note_of_special = "a special token in a text, kept as characters";

}  // namespace detail

/// A file of a record as json.loads(bytes) reads it; throws Drop with `reason` where it does not.
inline io::Json json_of(const FileBytes& file, const char* reason) {
  auto json = io::try_parse_json(characters(file), io::JsonForm::bytes);
  if (!json) throw Drop(reason);
  return *std::move(json);
}

namespace detail {

/// Whether Python's int() takes these bytes.
inline bool is_python_integer(std::string_view text) {
  text = text::python_strip(text);
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  bool digit = false;
  for (const char c : text) {
    if (c != '_' && (c < '0' || c > '9')) return false;
    if (c == '_' && !digit) return false;
    digit = c != '_';
  }
  return digit;
}

/// WebDataset decodes all files of a record by the last part of their names, also those that nobody asked for, and
/// drops the record where one is broken. Throws Drop there.
inline void require_notes(const Record& record) {
  for (const auto& [name, file] : record.files) {
    const std::string_view kind = std::string_view(name).substr(name.rfind('.') + 1);
    const auto is = [&](std::initializer_list<std::string_view> kinds) {
      return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (is({"json", "jsn"})) (void)json_of(file, "a note that is not JSON");
    if (is({"cls", "cls2", "index", "inx", "id"}) && !is_python_integer(characters(file)))
      throw Drop("a class or index that is no integer");
    if (name != "txt" && is({"txt", "text", "transcript"}) &&
        text::broken_utf8(characters(file)) != std::string_view::npos)
      throw Drop("a note that is not UTF-8");
  }
}

}  // namespace detail

/// Throws Drop where the record is no pair.
inline Sample make_pair(Record record, const text::Tokenizer& tokenizer,
                        const PairOptions& options = {}) {
  if (!record.problem.empty()) throw Drop(record.problem);
  const FileBytes* caption = record.find("txt");
  std::vector<const FileBytes*> pictures;
  for (const char* suffix : {"jpg", "png", "jpeg"}) {
    if (const FileBytes* file = record.find(suffix)) pictures.push_back(file);
  }
  if (pictures.empty()) throw Drop("no picture");
  if (caption == nullptr) throw Drop("no caption");
  if (text::broken_utf8(characters(*caption)) != std::string_view::npos)
    throw Drop("a caption that is not UTF-8");
  detail::require_notes(record);
  Sample out{record.shard, record.key, std::string(characters(*caption))};
  for (const FileBytes* file : pictures) {
    SamplePicture picture = detail::decoded(record.key, *file);
    if (out.pictures.empty()) out.pictures.push_back(std::move(picture));
  }
  const std::string_view said = text::python_strip(out.text);
  text::MarkedText text;
  text.markup("<image>");
  if (options.reference_texts) {
    text.markup(said);
  } else {
    text.data(said);
  }
  text.markup(detail::end_of_text(tokenizer));
  out.ids = tokenizer.encode(text, {.max_length = options.max_tokens});
  if (options.reference_texts) return out;
  if (tokenizer.names_special(said)) out.note = detail::note_of_special;
  const Specials specials = Specials::of(tokenizer);
  detail::require_trainable(out, pair_labels(out.ids, specials), specials);
  return out;
}

}  // namespace plume::data
