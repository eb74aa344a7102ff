#pragma once
// Pipeline: everything a tokenizer file says, as data, with the two ways through it.
//
// text -> added tokens of the raw text -> per piece: normalise -> added tokens of the normalised text
//      -> per piece: words (byte-level) or the piece itself (SentencePiece) -> symbols -> merges -> ids

#include <array>
#include <cstdio>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plume/text/added_tokens.hpp"
#include "plume/text/marked_text.hpp"
#include "plume/text/steps.hpp"

namespace plume::text {

/// Tokens by id, 0 to size - 1, and ids by token.
class Vocabulary {
 public:
  /// Throws FormatError where a token is there twice; `name` is for the message.
  TokenId add(const std::string& name, std::string token) {
    const auto id = static_cast<TokenId>(tokens_.size());
    if (!ids_.try_emplace(token, id).second) {
      fail<FormatError>(name, "each token of the vocabulary once", cat("'", token, "' twice"));
    }
    tokens_.push_back(std::move(token));
    return id;
  }
  /// -1 where there is none.
  [[nodiscard]] TokenId id(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? -1 : found->second;
  }
  [[nodiscard]] const std::string& token(TokenId id) const {
    return tokens_[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] TokenId size() const { return static_cast<TokenId>(tokens_.size()); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

class Pipeline {
 public:
  Vocabulary model;
  MergeTable merges;
  std::vector<NormalizerStep> normalizer;
  std::vector<DecoderStep> decoder;
  std::vector<TokenId> prefix, suffix;  ///< around each text that is encoded with special tokens
  std::string unknown;  ///< token for what has no other; empty: such text is dropped
  bool byte_level = false;
  bool split_at_words = true;   ///< byte-level: by GPT-2's pattern; else a piece is one word
  bool space_in_front = false;  ///< byte-level: of a piece that does not begin with white space
  std::optional<Metaspace> metaspace;
  bool byte_fallback = false;
  bool fuse_unknown = false;
  bool ignore_merges = false;  ///< a word that is a token is that token

  /// After `model`, `normalizer` and the flags are set, before encode() and add().
  void prepare() {
    for (unsigned b = 0; b < 256; ++b) {
      std::string character;
      append_utf8(character, ByteCharacters::get().character(static_cast<unsigned char>(b)));
      byte_ids_[b] = model.id(character);
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", b);
      fallback_ids_[b] = model.id(name);
    }
    unknown_id_ = model.id(unknown);
  }

  /// Returns the token's id: its own where it is known, else the next free one. A token that is special already
  /// keeps the properties it had; one of the model that is not special stays as it was.
  TokenId add(const AddedToken& token) {
    if (token.content.empty()) return -1;
    const bool known = id(token.content) >= 0;
    const TokenId id_of =
        known ? id(token.content) : added_.add("tokenizer", token.content) + model.size();
    const bool fresh_special = token.special && special_.insert(token.content).second;
    if (fresh_special || (!known && !token.special)) {
      if (token.normalized) {
        normalized_.add(normalize(normalizer, token.content), id_of, token);
      } else {
        raw_.add(token.content, id_of, token);
      }
    }
    return id_of;
  }

  [[nodiscard]] TokenId id(std::string_view token) const {
    if (const TokenId known = model.id(token); known >= 0) return known;
    const TokenId known = added_.id(token);
    return known < 0 ? -1 : known + model.size();
  }
  /// nullptr outside 0 to size() - 1.
  [[nodiscard]] const std::string* token(std::int64_t id) const {
    if (id < 0 || id >= size()) return nullptr;
    const auto known = static_cast<TokenId>(id);
    return known < model.size() ? &model.token(known) : &added_.token(known - model.size());
  }
  [[nodiscard]] bool is_special(const std::string& token) const { return special_.contains(token); }
  [[nodiscard]] TokenId size() const { return model.size() + added_.size(); }
  /// Whether encode() would find a special token in it.
  [[nodiscard]] bool names_special(std::string_view text) const {
    bool out = false;
    const auto always = [](TokenId, std::size_t, std::size_t) { return true; };
    const auto found = [&](TokenId id) { out = out || is_special(*token(id)); };
    raw_.split(
        text, always,
        [&](std::string_view piece) {
          normalized_.split(
              normalize(normalizer, piece), always, [](std::string_view) {}, found);
        },
        found);
    return out;
  }

  /// Appends the ids of valid UTF-8, without prefix and suffix. No special token is found where it touches `data`; one
  /// that is searched in the normalised text is not found beside data either, up to the next token of the raw text.
  template <class Ids>
  void encode(std::string_view text, Ids& ids, const DataRanges& data = {}) const {
    PairMerger merger;
    std::vector<TokenId> word;
    const auto found = [&](TokenId id) { ids.push_back(id); };
    const auto encode_word = [&](std::string_view bytes) {
      word.clear();
      symbols(bytes, word);
      merger.merge(merges, word);
      ids.insert(ids.end(), word.begin(), word.end());
    };
    const auto encode_piece = [&](std::string_view piece, bool at_start) {
      if (metaspace) return metaspace->words(piece, at_start, encode_word);
      std::string spaced;
      if (byte_level && space_in_front && !is_space(code_point(piece, 0).value))
        piece = spaced = cat(" ", piece);
      if (byte_level && split_at_words) {
        split_words(piece, encode_word);
      } else {
        encode_word(piece);
      }
    };
    const auto plain = [&](TokenId id, std::size_t begin, std::size_t end) {
      return !data.empty() && touches_data(data, begin, end) && is_special(*token(id));
    };
    raw_.split(
        text,
        [&](TokenId id, std::size_t begin, std::size_t end) { return !plain(id, begin, end); },
        [&](std::string_view piece) {
          const auto begin = static_cast<std::size_t>(piece.data() - text.data());
          const auto allowed = [&](TokenId id, std::size_t, std::size_t) {
            return !plain(id, begin, begin + piece.size());
          };
          const std::string text_of_piece = normalize(normalizer, piece);
          normalized_.split(
              text_of_piece, allowed,
              [&](std::string_view part) {
                encode_piece(part, begin == 0 && part.data() == text_of_piece.data());
              },
              found);
        },
        found);
  }

 private:
  void symbols(std::string_view word, std::vector<TokenId>& out) const {
    if (ignore_merges) {
      if (const TokenId whole = whole_word(word); whole >= 0) {
        out.push_back(whole);
        return;
      }
    }
    bool after_unknown = false;
    const auto no_token = [&] {
      if (unknown_id_ >= 0 && !(fuse_unknown && after_unknown)) out.push_back(unknown_id_);
      after_unknown = true;
    };
    if (byte_level) {
      for (const char byte : word) {
        const TokenId id_of = byte_ids_[static_cast<unsigned char>(byte)];
        if (id_of < 0) {
          no_token();
        } else {
          out.push_back(id_of);
          after_unknown = false;
        }
      }
      return;
    }
    for (std::size_t at = 0; at < word.size();) {
      const std::string_view character = word.substr(at, code_point(word, at).bytes);
      at += character.size();
      const std::size_t before = out.size();
      if (const TokenId id_of = model.id(character); id_of >= 0) {
        out.push_back(id_of);
      } else if (byte_fallback) {
        for (const char byte : character) {
          const TokenId byte_id = fallback_ids_[static_cast<unsigned char>(byte)];
          if (byte_id < 0) {
            out.resize(before);
            break;
          }
          out.push_back(byte_id);
        }
      }
      if (out.size() == before) {
        no_token();
      } else {
        after_unknown = false;
      }
    }
  }

  [[nodiscard]] TokenId whole_word(std::string_view word) const {
    if (!byte_level) return model.id(word);
    std::string characters;
    for (const char byte : word) {
      append_utf8(characters, ByteCharacters::get().character(static_cast<unsigned char>(byte)));
    }
    return model.id(characters);
  }

  Vocabulary added_;  // its ids start at model.size()
  std::set<std::string, std::less<>> special_;
  TokenMatcher raw_, normalized_;
  std::array<TokenId, 256> byte_ids_{}, fallback_ids_{};
  TokenId unknown_id_ = -1;
};

/// Sets the merges of `pipeline` from pairs of tokens in the order of their rank.
class MergeBuilder {
 public:
  MergeBuilder(Pipeline& pipeline, std::string name, std::size_t merges)
      : pipeline_(pipeline), name_(std::move(name)) {
    pipeline_.merges = MergeTable(merges);
  }
  void add(std::string_view left, std::string_view right) {
    const TokenId a = pipeline_.model.id(left), b = pipeline_.model.id(right);
    joined_.assign(left);
    joined_ += right;
    const TokenId joined = pipeline_.model.id(joined_);
    if (a < 0 || b < 0 || joined < 0) {
      fail<FormatError>(name_, cat("tokens of the vocabulary in merge ", rank_),
                        cat("'", left, "' and '", right, "'"));
    }
    pipeline_.merges.set(a, b, {rank_++, joined});
  }

 private:
  Pipeline& pipeline_;
  std::string name_;
  std::string joined_;
  std::int32_t rank_ = 0;
};

}  // namespace plume::text
