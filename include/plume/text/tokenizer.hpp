#pragma once
// Tokenizer: text to token ids and back, from a folder in Hugging Face's layout.
//
//   const auto tokenizer = text::Tokenizer::load("opt-125m");
//   const auto ids = tokenizer.encode("<image>Output:a dog.<|endofchunk|>");
//   tokenizer.decode(ids, {.skip_special_tokens = true});

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/text/sentencepiece.hpp"
#include "plume/text/tokenizer_json.hpp"

namespace plume::text {

using Ids = std::vector<std::int64_t>;

enum class Side : std::uint8_t { left, right };
enum class Padding : std::uint8_t { none, longest, max_length };

struct LoadOptions {
  /// Adds what Flamingo needs, in this order: `<|endofchunk|>`, `<image>`, and `<PAD>` where there is no
  /// padding token.
  bool flamingo_tokens = true;
};

struct EncodeOptions {
  bool special_tokens = true;  ///< what the tokenizer puts around a text: `<s>`, `</s>`
  std::optional<std::size_t> max_length =
      std::nullopt;  ///< cut on the right; what is put around the text stays
};

struct DecodeOptions {
  bool skip_special_tokens = false;
  std::optional<bool> clean_up =
      std::nullopt;  ///< " ." -> "." and so on; by default as the folder says
};

struct BatchOptions {
  bool special_tokens = true;
  std::optional<std::size_t> max_length = std::nullopt;
  Padding padding = Padding::longest;
  std::optional<Side> padding_side = std::nullopt;  ///< by default as the folder says
};

/// A row per text; with padding all rows are of one length. The mask is 1 for tokens and 0 for padding.
struct Batch {
  std::vector<Ids> ids;
  std::vector<Ids> mask;
};

class Tokenizer {
 public:
  /// Reads `tokenizer.json`, else `tokenizer.model`, else `vocab.json` with `merges.txt`; and
  /// `tokenizer_config.json` and `special_tokens_map.json` where they are. Throws FormatError naming what is
  /// broken or cannot be expressed, std::system_error where a file cannot be read.
  static Tokenizer load(const std::string& folder, const LoadOptions& options = {}) {
    const auto path = [&](const char* file) { return folder + "/" + file; };
    const auto has = [&](const char* file) { return std::filesystem::exists(path(file)); };
    const io::Json nothing;
    const std::string config_path = path("tokenizer_config.json");
    const std::string map_path = path("special_tokens_map.json");
    const io::Json config_json =
        has("tokenizer_config.json") ? io::read_json(config_path) : nothing;
    const io::Json map_json = has("special_tokens_map.json") ? io::read_json(map_path) : nothing;
    const Field config(config_path, config_json);
    const Field map(map_path, map_json);

    const std::string family = config["tokenizer_class"].string_or("");
    Tokenizer out;
    bool llama = family == "LlamaTokenizer" || family == "LlamaTokenizerFast";
    const bool whole = has("tokenizer.json");
    if (whole) {
      const io::Source file = io::Source::file(path("tokenizer.json"));
      out.pipeline_ = read_tokenizer_json(file.name, characters(file));
    } else if (has("tokenizer.model")) {
      const io::Source file = io::Source::file(path("tokenizer.model"));
      out.pipeline_ = read_sentencepiece(file.name, characters(file));
      llama = true;
    } else if (has("vocab.json") && has("merges.txt")) {
      const io::Source vocab = io::Source::file(path("vocab.json"));
      const io::Source merges = io::Source::file(path("merges.txt"));
      out.pipeline_ =
          read_vocab_and_merges(vocab.name, characters(vocab), merges.name, characters(merges));
    } else {
      fail<FormatError>(folder, "tokenizer.json, tokenizer.model, or vocab.json with merges.txt",
                        "none of them");
    }
    if (!whole && has("added_tokens.json")) {
      fail<FormatError>(path("added_tokens.json"), "added tokens in tokenizer.json", "this file");
    }
    out.read_prefix_space(config, family);
    out.read_added_tokens(config["added_tokens_decoder"]);
    out.read_specials(config, map, llama, family.starts_with("GPT"));
    if (llama) {
      out.pipeline_.prefix.clear();
      out.pipeline_.suffix.clear();
    }
    if (llama || !whole) {
      if (config["add_bos_token"].boolean_or(llama)) {
        out.pipeline_.prefix = {out.required(out.bos_, "bos_token")};
      }
      if (config["add_eos_token"].boolean_or(false)) {
        if (!llama) config["add_eos_token"].only(false);
        out.pipeline_.suffix = {out.required(out.eos_, "eos_token")};
      }
    }
    out.clean_up_ = config["clean_up_tokenization_spaces"].boolean_or(!llama);
    const std::string side = config["padding_side"].string_or(llama ? "left" : "right");
    if (side != "left" && side != "right") config["padding_side"].refuse("left or right");
    out.padding_side_ = side == "left" ? Side::left : Side::right;
    config["truncation_side"].only("right");
    if (options.flamingo_tokens) out.add_flamingo_tokens();
    return out;
  }

  /// Ids of valid UTF-8; throws ValueError where it is not. All of `text` is markup.
  [[nodiscard]] Ids encode(std::string_view text, const EncodeOptions& options = {}) const {
    return encode(text, {}, options);
  }
  /// The same of a text with data in it, which makes no special token.
  [[nodiscard]] Ids encode(const MarkedText& text, const EncodeOptions& options = {}) const {
    return encode(text.text(), text.ranges(), options);
  }
  /// Whether a special token stands in `text`: as data it is encoded as characters.
  [[nodiscard]] bool names_special(std::string_view text) const {
    return pipeline_.names_special(text);
  }

  /// Text of `ids`; those of no token are nothing.
  [[nodiscard]] std::string decode(std::span<const std::int64_t> ids,
                                   const DecodeOptions& options = {}) const {
    std::vector<std::string> tokens;
    for (const std::int64_t id : ids) {
      const std::string* token = pipeline_.token(id);
      if (token == nullptr) continue;
      if (options.skip_special_tokens && pipeline_.is_special(*token)) continue;
      tokens.push_back(*token);
    }
    std::string text = run_decoder(pipeline_.decoder, std::move(tokens));
    return options.clean_up.value_or(clean_up_) ? clean_up_spaces(std::move(text)) : text;
  }

  [[nodiscard]] Batch encode_batch(std::span<const std::string> texts,
                                   const BatchOptions& options = {}) const {
    Batch batch;
    std::size_t longest = 0;
    for (const std::string& text : texts) {
      batch.ids.push_back(encode(text, {options.special_tokens, options.max_length}));
      batch.mask.emplace_back(batch.ids.back().size(), 1);
      longest = std::max(longest, batch.ids.back().size());
    }
    if (options.padding == Padding::none) return batch;
    if (options.padding == Padding::max_length) {
      if (!options.max_length) {
        fail<ValueError>("Tokenizer::encode_batch", "max_length with this padding", "none");
      }
      longest = *options.max_length;
    }
    const TokenId pad = required(pad_, "pad_token");
    const bool left = options.padding_side.value_or(padding_side_) == Side::left;
    for (std::size_t row = 0; row < batch.ids.size(); ++row) {
      const std::size_t missing = longest - batch.ids[row].size();
      auto &ids = batch.ids[row], &mask = batch.mask[row];
      ids.insert(left ? ids.begin() : ids.end(), missing, pad);
      mask.insert(left ? mask.begin() : mask.end(), missing, 0);
    }
    return batch;
  }

  /// Adds special tokens after the others, or makes known ones special; returns the id.
  TokenId add_special(std::string_view token) {
    const TokenId id = pipeline_.add({std::string(token), true, false});
    if (id < 0) fail<ValueError>("Tokenizer::add_special", "a token", "an empty text");
    special_ids_.insert(id);
    return id;
  }

  /// Tokens in all: as many rows as the model's embedding must have at least.
  [[nodiscard]] std::int64_t size() const { return pipeline_.size(); }
  /// Tokens of the vocabulary file, without added ones.
  [[nodiscard]] std::int64_t model_size() const { return pipeline_.model.size(); }
  /// The id of exactly this token.
  [[nodiscard]] std::optional<TokenId> id(std::string_view token) const {
    const TokenId known = pipeline_.id(token);
    return known < 0 ? std::nullopt : std::optional(known);
  }
  [[nodiscard]] std::optional<TokenId> bos() const { return bos_; }
  [[nodiscard]] std::optional<TokenId> eos() const { return eos_; }
  [[nodiscard]] std::optional<TokenId> unknown() const { return unknown_; }
  [[nodiscard]] std::optional<TokenId> pad() const { return pad_; }
  [[nodiscard]] std::optional<TokenId> image() const { return image_; }
  [[nodiscard]] std::optional<TokenId> end_of_chunk() const { return end_of_chunk_; }
  /// Tokens with a role. Others may be left out by skip_special_tokens too, where a file marks them special.
  [[nodiscard]] const std::set<TokenId>& special_ids() const { return special_ids_; }
  [[nodiscard]] bool cleans_up() const { return clean_up_; }
  [[nodiscard]] Side padding_side() const { return padding_side_; }

 private:
  static std::string_view characters(const io::Source& file) {
    if (file.bytes.size() > io::default_limits.json_bytes) {
      fail<FormatError>(file.name, cat("at most ", io::default_limits.json_bytes, " bytes"),
                        file.bytes.size());
    }
    return file.text();
  }

  [[nodiscard]] Ids encode(std::string_view text, const DataRanges& data,
                           const EncodeOptions& options) const {
    if (const std::size_t broken = broken_utf8(text); broken != std::string_view::npos) {
      fail<ValueError>("Tokenizer::encode", "UTF-8", cat("something else at byte ", broken));
    }
    Ids ids;
    if (options.special_tokens) ids.assign(pipeline_.prefix.begin(), pipeline_.prefix.end());
    pipeline_.encode(text, ids, data);
    const std::size_t after = options.special_tokens ? pipeline_.suffix.size() : 0;
    if (options.max_length && ids.size() + after > *options.max_length) {
      const std::size_t around = after + (options.special_tokens ? pipeline_.prefix.size() : 0);
      if (*options.max_length < around) {
        fail<ValueError>("Tokenizer::encode", cat("max_length of at least ", around),
                         *options.max_length);
      }
      ids.resize(*options.max_length - after);
    }
    if (after != 0) ids.insert(ids.end(), pipeline_.suffix.begin(), pipeline_.suffix.end());
    return ids;
  }

  static TokenId required(std::optional<TokenId> id, const char* role) {
    if (!id) fail<ValueError>("Tokenizer", cat("a ", role), "none");
    return *id;
  }

  /// The token of a role: special_tokens_map.json before tokenizer_config.json before what the class has.
  void read_specials(const Field& config, const Field& map, bool llama, bool gpt) {
    const auto add = [&](const Field& field, const std::string& otherwise) {
      AddedToken token;
      if (field.is_null() || field.is_string()) {
        token.content = field.string_or(otherwise);
      } else {
        token = read_added_token(field);
      }
      token.special = true;
      if (token.content.empty()) return std::optional<TokenId>();
      const TokenId id = pipeline_.add(token);
      special_ids_.insert(id);
      return std::optional(id);
    };
    const auto role = [&](const char* name, const char* of_llama) {
      const Field field = map[name].is_null() ? config[name] : map[name];
      return add(field, llama ? of_llama : gpt && *of_llama != '\0' ? "<|endoftext|>" : "");
    };
    bos_ = role("bos_token", "<s>");
    eos_ = role("eos_token", "</s>");
    unknown_ = role("unk_token", "<unk>");
    role("sep_token", "");
    pad_ = role("pad_token", "");
    role("cls_token", "");
    role("mask_token", "");
    // A list, or from transformers 4.46 on also names of roles and their tokens.
    for (const char* more : {"additional_special_tokens", "extra_special_tokens"}) {
      const Field tokens = (map[more].is_null() ? config : map)[more];
      if (tokens.json().is_object()) {
        for (const auto& [name, token] : tokens.json().items()) add(tokens[name], "");
      } else {
        for (const Field& token : tokens.list()) add(token, "");
      }
    }
  }

  /// What the classes of GPT-2 and GPT-NeoX say of the space in front counts more than tokenizer.json.
  void read_prefix_space(const Field& config, const std::string& family) {
    const Field field = config["add_prefix_space"];
    if (pipeline_.byte_level) {
      const bool otherwise = !family.starts_with("GPT") && pipeline_.space_in_front;
      pipeline_.space_in_front = field.boolean_or(otherwise);
      return;
    }
    const bool prepends =
        pipeline_.metaspace
            ? pipeline_.metaspace->prepend != Metaspace::never
            : std::any_of(pipeline_.normalizer.begin(), pipeline_.normalizer.end(),
                          [](const auto& step) { return step.kind == NormalizerStep::prepend; });
    if (field.boolean_or(prepends) != prepends)
      field.refuse(prepends ? "true, as the tokenizer's file has it"
                            : "false, as the tokenizer's file has it");
  }

  /// {"0": {"content": "<unk>", ...}, ...}: tokens that the tokenizer's own file may lack.
  void read_added_tokens(const Field& tokens) {
    std::map<std::int64_t, std::string> by_id;
    if (!tokens.is_null() && !tokens.json().is_object()) tokens.refuse("an object");
    for (const auto& [key, token] : tokens.json().items()) {
      std::int64_t id = -1;
      const char* const end = key.data() + key.size();
      if (std::from_chars(key.data(), end, id).ptr != end || id < 0)
        tokens[key].refuse("a token under its id");
      by_id[id] = key;
    }
    for (const auto& [id, key] : by_id) {
      const AddedToken token = read_added_token(tokens[key]);
      const TokenId got = pipeline_.add(token);
      if (got != id) tokens[key].refuse(cat("the token of id ", id, "; here it is ", got));
      if (token.special) special_ids_.insert(got);
    }
  }

  void add_flamingo_tokens() {
    end_of_chunk_ = add_special("<|endofchunk|>");
    image_ = add_special("<image>");
    if (!pad_) pad_ = add_special("<PAD>");
  }

  Pipeline pipeline_;
  std::set<TokenId> special_ids_;
  std::optional<TokenId> bos_, eos_, unknown_, pad_, image_, end_of_chunk_;
  bool clean_up_ = true;
  Side padding_side_ = Side::right;
};

}  // namespace plume::text
