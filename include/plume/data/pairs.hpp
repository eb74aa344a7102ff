#pragma once
// Pairs: a picture (jpg, png or jpeg, looked for in this order) and a caption (txt), as LAION shards hold them.
//
//   <image>caption<|endofchunk|>eos       the caption stripped, 32 tokens at most, cut on the right

#include "plume/data/sample.hpp"
#include "plume/image/transform.hpp"
#include "plume/io/json.hpp"
#include "plume/text/python_space.hpp"

namespace plume::data {

struct PairOptions {
  std::size_t max_tokens = 32;
};

namespace detail {

/// A JPEG that lacks its end mark was cut; its missing part would come out gray.
inline bool is_cut_jpeg(const FileBytes& file) {
  if (!image::detail::is_jpeg(file)) return false;
  for (std::size_t i = file.size(); i-- > 2;) {
    if (file[i] == std::byte{0xD9} && file[i - 1] == std::byte{0xFF}) return false;
  }
  return true;
}

inline SamplePicture decoded(const std::string& name, FileBytes file) {
  if (is_cut_jpeg(file)) throw Drop("a picture that is cut");
  image::Picture pixels;
  try {
    pixels = image::to_rgb(image::decode(name, file));
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

}  // namespace detail

/// A file of a record as json.loads(bytes) reads it; throws Drop with `reason` where it does not.
inline io::Json json_of(const FileBytes& file, const char* reason) {
  auto json = io::try_parse_json(characters(file), io::JsonForm::bytes);
  if (!json) throw Drop(reason);
  return *std::move(json);
}

/// Throws Drop where the record is no pair.
inline Sample make_pair(Record record, const text::Tokenizer& tokenizer,
                        const PairOptions& options = {}) {
  if (!record.problem.empty()) throw Drop(record.problem);
  const FileBytes* caption = record.find("txt");
  const FileBytes* picture = nullptr;
  for (const char* suffix : {"jpg", "png", "jpeg"}) {
    const FileBytes* file = record.find(suffix);
    if (picture == nullptr) picture = file;
  }
  if (picture == nullptr) throw Drop("no picture");
  if (caption == nullptr) throw Drop("no caption");
  if (text::broken_utf8(characters(*caption)) != std::string_view::npos)
    throw Drop("a caption that is not UTF-8");
  if (const FileBytes* json = record.find("json"); json != nullptr)
    (void)json_of(*json, "a note that is not JSON");
  Sample out{record.shard, record.key, std::string(characters(*caption))};
  out.pictures.push_back(detail::decoded(record.key, *picture));
  const std::string text =
      "<image>" + std::string(text::python_strip(out.text)) + detail::end_of_text(tokenizer);
  out.ids = tokenizer.encode(text, {.max_length = options.max_tokens});
  return out;
}

}  // namespace plume::data
