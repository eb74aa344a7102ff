#pragma once
// Pipelines from Hugging Face's `tokenizer.json`, and from GPT-2's `vocab.json` with `merges.txt`.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/text/fields.hpp"
#include "plume/text/pipeline.hpp"

namespace plume::text {

namespace detail {

/// Tokens and their ids, which must be 0 to n - 1, each once.
inline void read_vocabulary(const Field& field, const std::string& name, Vocabulary& vocabulary) {
  if (!field.json().is_object()) field.refuse("an object");
  std::vector<const std::string*> by_id(field.json().size());
  for (const auto& [token, id] : field.json().items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= by_id.size() ||
        by_id[id.get<std::size_t>()] != nullptr) {
      fail<FormatError>(name, cat("ids 0 to ", by_id.size(), " - 1, each once"),
                        cat("'", token, "': ", io::print_json(id)));
    }
    by_id[id.get<std::size_t>()] = &token;
  }
  for (const std::string* token : by_id) vocabulary.add(name, *token);
}

/// Steps follow one another, so what a step may add is bounded: a file of doubling steps fits nowhere.
inline constexpr std::size_t most_steps = 8;

inline const std::string& at_most_one_character(const Field& field) {
  const std::string& text = field.string();
  if (!text.empty() && code_point(text, 0).bytes != text.size()) {
    field.refuse("at most one character");
  }
  return text;
}

/// A Replace step's `pattern`, which must be a string.
inline std::string pattern(const Field& step) {
  const std::string from = step["pattern"]["String"].string_or("");
  if (from.empty()) step["pattern"].refuse("{\"String\": some text}");
  return from;
}

inline void read_normalizer(const Field& field, std::vector<NormalizerStep>& steps) {
  if (field.is_null()) return;
  const std::string& type = field["type"].string();
  if (type == "NFC") {
    steps.push_back({NormalizerStep::compose, "", ""});
  } else if (type == "Prepend") {
    steps.push_back({NormalizerStep::prepend, "", at_most_one_character(field["prepend"])});
  } else if (type == "Replace") {
    steps.push_back(
        {NormalizerStep::replace, pattern(field), at_most_one_character(field["content"])});
  } else if (type == "Sequence") {
    for (const Field& step : field["normalizers"].list()) read_normalizer(step, steps);
  } else {
    field["type"].refuse("NFC, Prepend, Replace or Sequence");
  }
  if (steps.size() > most_steps) field.refuse(cat("the end of ", most_steps, " steps"));
}

/// A Metaspace step. Before prepend_scheme there was add_prefix_space; where both are there they must agree.
inline Metaspace read_metaspace(const Field& field) {
  Metaspace out;
  out.mark = at_most_one_character(field["replacement"]);
  if (out.mark.empty()) field["replacement"].refuse("one character");
  const bool prepends = field["add_prefix_space"].boolean_or(true);
  const std::string scheme = field["prepend_scheme"].string_or(prepends ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    field["prepend_scheme"].refuse("always, first or never");
  out.prepend = scheme == "always"  ? Metaspace::always
                : scheme == "first" ? Metaspace::first
                                    : Metaspace::never;
  if (!prepends && out.prepend != Metaspace::never)
    field["prepend_scheme"].refuse("never, as add_prefix_space says");
  out.split = field["split"].boolean_or(true);
  return out;
}

inline void read_decoder(const Field& field, std::vector<DecoderStep>& steps) {
  if (field.is_null()) return;
  const std::string& type = field["type"].string();
  DecoderStep step;
  if (type == "Sequence") {
    for (const Field& inner : field["decoders"].list()) read_decoder(inner, steps);
    return;
  }
  if (type == "ByteLevel") {
    step.kind = DecoderStep::byte_level;
  } else if (type == "ByteFallback") {
    step.kind = DecoderStep::byte_fallback;
  } else if (type == "Fuse") {
    step.kind = DecoderStep::fuse;
  } else if (type == "Replace") {
    step.kind = DecoderStep::replace;
    step.from = pattern(field);
    step.to = at_most_one_character(field["content"]);
  } else if (type == "Strip") {
    step.kind = DecoderStep::strip;
    step.from = at_most_one_character(field["content"]);
    if (step.from.empty()) field["content"].refuse("one character");
    step.at_start = static_cast<std::size_t>(field["start"].integer(1 << 30));
    step.at_end = static_cast<std::size_t>(field["stop"].integer(1 << 30));
  } else if (type == "Metaspace") {
    const Metaspace metaspace = read_metaspace(field);
    step.kind = DecoderStep::metaspace;
    step.from = metaspace.mark;
    step.at_start = metaspace.prepend == Metaspace::never ? 0 : 1;
  } else {
    field["type"].refuse("ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence");
  }
  steps.push_back(std::move(step));
  if (steps.size() > most_steps) field.refuse(cat("the end of ", most_steps, " steps"));
}

/// The special tokens around a text. A token's id is looked up in the vocabulary, as for text.
inline void read_post_processor(const Field& field, Pipeline& pipeline) {
  if (field.is_null()) return;
  const std::string& type = field["type"].string();
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    for (const Field& inner : field["processors"].list()) read_post_processor(inner, pipeline);
    return;
  }
  if (!pipeline.prefix.empty() || !pipeline.suffix.empty())
    field.refuse("the one step that puts tokens around a text");
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    const auto id = [&](const char* name) {
      const std::vector<Field> token = field[name].list();
      if (token.size() != 2) field[name].refuse("a token and its id");
      return static_cast<TokenId>(token[1].integer(pipeline.size() - 1));
    };
    pipeline.prefix = {id("cls")};
    pipeline.suffix = {id("sep")};
    return;
  }
  if (type != "TemplateProcessing") {
    field["type"].refuse(
        "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing or Sequence");
  }
  bool after = false;
  for (const Field& piece : field["single"].list()) {
    if (!piece["Sequence"].is_null()) {
      if (after || piece["Sequence"]["id"].string() != "A") piece.refuse("the one text, A");
      after = true;
      continue;
    }
    const std::string& name = piece["SpecialToken"]["id"].string();
    const Field ids = field["special_tokens"][name]["ids"];
    if (ids.list().empty()) ids.refuse("a list of ids");
    for (const Field& id : ids.list()) {
      (after ? pipeline.suffix : pipeline.prefix)
          .push_back(static_cast<TokenId>(id.integer(pipeline.size() - 1)));
    }
  }
  if (!after) field["single"].refuse("a template with the text A");
}

inline void read_merges(const Field& field, const std::string& name, Pipeline& pipeline) {
  if (!field.json().is_array()) field.refuse("a list");
  MergeBuilder builder(pipeline, name, field.json().size());
  for (const io::Json& merge : field.json()) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      builder.add(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
      continue;
    }
    const std::string_view text =
        merge.is_string() ? merge.get_ref<const std::string&>() : std::string_view();
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      fail<FormatError>(name, "merges of two tokens", io::print_json(merge));
    }
    builder.add(text.substr(0, space), text.substr(space + 1));
  }
}

inline void read_pre_tokenizer(const Field& field, Pipeline& pipeline) {
  if (field.is_null()) return;
  const std::string& type = field["type"].string();
  if (type == "Sequence") {
    const std::vector<Field> steps = field["pretokenizers"].list();
    if (steps.size() != 1) field["pretokenizers"].refuse("one step, ByteLevel or Metaspace");
    return read_pre_tokenizer(steps[0], pipeline);
  }
  if (type == "ByteLevel") {
    pipeline.byte_level = true;
    pipeline.space_in_front = field["add_prefix_space"].boolean_or(true);
    pipeline.split_at_words = field["use_regex"].boolean_or(true);
  } else if (type == "Metaspace") {
    pipeline.metaspace = read_metaspace(field);
  } else {
    field["type"].refuse("ByteLevel or Metaspace");
  }
}

}  // namespace detail

inline AddedToken read_added_token(const Field& field) {
  field["single_word"].only(false);
  AddedToken token;
  token.lstrip = field["lstrip"].boolean_or(false);
  token.rstrip = field["rstrip"].boolean_or(false);
  token.content = field["content"].string();
  token.special = field["special"].boolean_or(false);
  token.normalized = field["normalized"].boolean_or(!token.special);
  return token;
}

/// Throws FormatError naming the field that Plume cannot express. `truncation` and `padding` say how the tokenizer was
/// last called, nothing about its tokens.
inline Pipeline read_tokenizer_json(const std::string& name, std::string_view text) {
  const io::Json json = io::parse_json(name, text);
  const Field file(name, json);
  Pipeline pipeline;
  const Field model = file["model"];
  model["type"].only("BPE");
  if (model["dropout"].json() != 0) model["dropout"].only(nullptr);
  model["continuing_subword_prefix"].only("");
  model["end_of_word_suffix"].only("");
  detail::read_vocabulary(model["vocab"], name, pipeline.model);
  pipeline.unknown = model["unk_token"].string_or("");
  pipeline.fuse_unknown = model["fuse_unk"].boolean_or(false);
  pipeline.byte_fallback = model["byte_fallback"].boolean_or(false);
  pipeline.ignore_merges = model["ignore_merges"].boolean_or(false);
  detail::read_merges(model["merges"], name, pipeline);

  detail::read_normalizer(file["normalizer"], pipeline.normalizer);
  detail::read_pre_tokenizer(file["pre_tokenizer"], pipeline);
  detail::read_decoder(file["decoder"], pipeline.decoder);
  pipeline.prepare();
  for (const Field& token : file["added_tokens"].list()) {
    const AddedToken added = read_added_token(token);
    if (pipeline.add(added) != token["id"].integer(1 << 30)) {
      token["id"].refuse(cat(pipeline.id(added.content)));
    }
  }
  detail::read_post_processor(file["post_processor"], pipeline);
  return pipeline;
}

/// `merges` has a first line `#version...`, then a pair per line. Throws FormatError.
inline Pipeline read_vocab_and_merges(const std::string& vocab_name, std::string_view vocab,
                                      const std::string& merges_name, std::string_view merges) {
  const io::Json json = io::parse_json(vocab_name, vocab);
  Pipeline pipeline;
  detail::read_vocabulary(Field(vocab_name, json), vocab_name, pipeline.model);
  pipeline.byte_level = true;
  pipeline.decoder.push_back({DecoderStep::byte_level, "", "", 0, 0});
  pipeline.prepare();

  if (merges.substr(0, 8) != "#version" || merges.back() != '\n') {
    fail<FormatError>(merges_name, "a line #version, and every line ended",
                      cat(merges.size(), " bytes that are otherwise"));
  }
  MergeBuilder builder(pipeline, merges_name,
                       static_cast<std::size_t>(std::count(merges.begin(), merges.end(), '\n')));
  for (std::size_t at = merges.find('\n') + 1; at < merges.size();) {
    const std::size_t end = merges.find('\n', at);
    std::string_view line = merges.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      fail<FormatError>(merges_name, cat("two tokens per line, at byte ", at),
                        cat("'", lossy_utf8(line.substr(0, 80)), "'"));
    }
    builder.add(line.substr(0, space), line.substr(space + 1));
    at = end + 1;
  }
  return pipeline;
}

}  // namespace plume::text
