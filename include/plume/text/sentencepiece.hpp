#pragma once
// A pipeline from SentencePiece's `tokenizer.model`, as the reference makes it.
//
// The file is a protobuf ModelProto: pieces (1) of text (1), score (2), type (3); trainer_spec (2) with
// model_type (3); normalizer_spec (3) with precompiled_charsmap (2), add_dummy_prefix (3),
// remove_extra_whitespaces (4), escape_whitespaces (5). A piece is joined from every two pieces it can be
// cut into; the pieces' scores, high ones first, are the order of the merges.

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/text/pipeline.hpp"

namespace plume::text {

namespace detail {

/// The fields of one protobuf message, in a span that they cannot leave.
class ProtoReader {
 public:
  struct Value {
    std::uint64_t number = 0;  ///< varint or fixed
    std::string_view bytes;    ///< length-delimited
  };
  enum Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  ProtoReader(std::string name, std::string_view message)
      : name_(std::move(name)), message_(message) {}

  /// False at the end of the message.
  bool next() {
    if (at_ == message_.size()) return false;
    const std::uint64_t key = read_varint();
    field_ = key >> 3;
    wire_ = static_cast<std::uint8_t>(key & 7);
    value_ = {};
    switch (wire_) {
      case varint:
        value_.number = read_varint();
        break;
      case fixed64:
        value_.number = read_fixed(8);
        break;
      case fixed32:
        value_.number = read_fixed(4);
        break;
      case bytes:
        value_.bytes = take(read_varint());
        break;
      default:
        fail<FormatError>(name_, "a protobuf field of a known kind", cat("kind ", int{wire_}));
    }
    if (field_ == 0) fail<FormatError>(name_, "protobuf fields from 1", "field 0");
    return true;
  }

  [[nodiscard]] std::uint64_t field() const { return field_; }
  /// The value of the field `what`, which must be of this kind.
  [[nodiscard]] const Value& as(Wire wire, const char* what) const {
    if (wire_ != wire) {
      fail<FormatError>(name_, cat(what, " to be of kind ", int{wire}), cat("kind ", int{wire_}));
    }
    return value_;
  }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > message_.size() - at_) {
      fail<FormatError>(name_, cat(count, " bytes more"), cat(message_.size() - at_));
    }
    const std::string_view out = message_.substr(at_, static_cast<std::size_t>(count));
    at_ += out.size();
    return out;
  }
  std::uint64_t read_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail<FormatError>(name_, "a number of at most 10 bytes", "more");
  }
  std::uint64_t read_fixed(unsigned count) {
    const std::string_view from = take(count);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
    }
    return value;
  }

  std::string name_;
  std::string_view message_;
  std::size_t at_ = 0;
  std::uint64_t field_ = 0;
  std::uint8_t wire_ = 0;
  Value value_;
};

struct SentencePiece {
  std::string text;
  float score = 0;
};

inline SentencePiece read_piece(const std::string& name, std::string_view message) {
  constexpr std::size_t longest = 256;  // the trainer's own limit is 16 characters
  SentencePiece piece;
  ProtoReader reader(name, message);
  while (reader.next()) {
    if (reader.field() == 1) {
      piece.text = reader.as(ProtoReader::bytes, "piece").bytes;
    } else if (reader.field() == 2) {
      piece.score = std::bit_cast<float>(
          static_cast<std::uint32_t>(reader.as(ProtoReader::fixed32, "score").number));
    }
  }
  if (piece.text.empty() || piece.text.size() > longest ||
      broken_utf8(piece.text) != std::string::npos) {
    fail<FormatError>(name, cat("pieces of 1 to ", longest, " bytes of UTF-8"),
                      cat("'", lossy_utf8(piece.text.substr(0, 80)), "'"));
  }
  if (std::isnan(piece.score)) fail<FormatError>(name, "scores that are numbers", "NaN");
  return piece;
}

/// Refuses what the pipeline does not do.
inline void check_trainer(const std::string& name, std::string_view message) {
  std::uint64_t model_type = 1;
  ProtoReader reader(name, message);
  while (reader.next()) {
    if (reader.field() == 3) model_type = reader.as(ProtoReader::varint, "model_type").number;
  }
  if (model_type != 2) fail<FormatError>(name, "trainer_spec.model_type BPE (2)", cat(model_type));
}

inline void check_normalizer(const std::string& name, std::string_view message) {
  std::uint64_t dummy = 1, collapse = 1, escape = 1;
  ProtoReader reader(name, message);
  while (reader.next()) {
    switch (reader.field()) {
      case 2:
        if (!reader.as(ProtoReader::bytes, "precompiled_charsmap").bytes.empty()) {
          fail<FormatError>(name, "no normalizer_spec.precompiled_charsmap", "one");
        }
        break;
      case 3:
        dummy = reader.as(ProtoReader::varint, "add_dummy_prefix").number;
        break;
      case 4:
        collapse = reader.as(ProtoReader::varint, "remove_extra_whitespaces").number;
        break;
      case 5:
        escape = reader.as(ProtoReader::varint, "escape_whitespaces").number;
        break;
      default:
        break;
    }
  }
  if (dummy == 0) fail<FormatError>(name, "normalizer_spec.add_dummy_prefix true", "false");
  if (collapse != 0) {
    fail<FormatError>(name, "normalizer_spec.remove_extra_whitespaces false", "true");
  }
  if (escape == 0) fail<FormatError>(name, "normalizer_spec.escape_whitespaces true", "false");
}

/// Cuts of pieces into two pieces, ordered by score; of equal ones, the earlier piece's come first, and of one
/// piece's those whose parts have smaller ids.
inline void build_merges(const std::string& name, const std::vector<SentencePiece>& pieces,
                         Pipeline& pipeline) {
  struct Cut {
    TokenId left, right;
    float score;
  };
  std::vector<Cut> cuts;
  for (const SentencePiece& piece : pieces) {
    const std::string_view text = piece.text;
    const auto first = static_cast<std::ptrdiff_t>(cuts.size());
    for (std::size_t at = code_point(text, 0).bytes; at < text.size();
         at += code_point(text, at).bytes) {
      const TokenId left = pipeline.model.id(text.substr(0, at));
      if (left < 0) continue;
      const TokenId right = pipeline.model.id(text.substr(at));
      if (right >= 0) cuts.push_back({left, right, piece.score});
    }
    std::sort(cuts.begin() + first, cuts.end(), [](const Cut& a, const Cut& b) {
      return a.left != b.left ? a.left < b.left : a.right < b.right;
    });
  }
  std::stable_sort(cuts.begin(), cuts.end(),
                   [](const Cut& a, const Cut& b) { return a.score > b.score; });
  MergeBuilder builder(pipeline, name, cuts.size());
  for (const Cut& cut : cuts) {
    builder.add(pipeline.model.token(cut.left), pipeline.model.token(cut.right));
  }
}

}  // namespace detail

/// Throws FormatError.
inline Pipeline read_sentencepiece(const std::string& name, std::string_view file) {
  std::vector<detail::SentencePiece> pieces;
  std::string_view trainer, normalizer;
  detail::ProtoReader reader(name, file);
  while (reader.next()) {
    if (reader.field() == 1) {
      pieces.push_back(
          detail::read_piece(name, reader.as(detail::ProtoReader::bytes, "pieces").bytes));
    } else if (reader.field() == 2) {
      trainer = reader.as(detail::ProtoReader::bytes, "trainer_spec").bytes;
    } else if (reader.field() == 3) {
      normalizer = reader.as(detail::ProtoReader::bytes, "normalizer_spec").bytes;
    }
  }
  detail::check_trainer(name, trainer);
  detail::check_normalizer(name, normalizer);
  constexpr const char* specials[] = {"<unk>", "<s>", "</s>"};
  for (std::size_t i = 0; i < 3; ++i) {
    if (i >= pieces.size() || pieces[i].text != specials[i]) {
      fail<FormatError>(name, cat("piece ", i, " to be ", specials[i]),
                        i >= pieces.size() ? "no such piece" : pieces[i].text.c_str());
    }
    pieces[i].score = 0;
  }

  Pipeline pipeline;
  for (const detail::SentencePiece& piece : pieces) pipeline.model.add(name, piece.text);
  pipeline.unknown = "<unk>";
  pipeline.fuse_unknown = true;
  pipeline.byte_fallback = true;
  pipeline.normalizer = {{NormalizerStep::prepend, "", "\u2581"},
                         {NormalizerStep::replace, " ", "\u2581"}};
  pipeline.decoder = {{DecoderStep::replace, "\u2581", " ", 0, 0},
                      {DecoderStep::byte_fallback, "", "", 0, 0},
                      {DecoderStep::fuse, "", "", 0, 0},
                      {DecoderStep::strip, " ", "", 1, 0}};
  pipeline.prepare();
  detail::build_merges(name, pieces, pipeline);
  for (const char* token : specials) pipeline.add({token, true, false});
  return pipeline;
}

}  // namespace plume::text
