#pragma once
// What a shard holds and what training gets from it: a Record is the files of one key, a Sample is the text,
// tokens and pictures made of them, and a Drop is why there is no sample.

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/core/tensor.hpp"
#include "plume/image/picture.hpp"
#include "plume/text/tokenizer.hpp"

namespace plume::data {

using FileBytes = std::vector<std::byte>;

/// The files that share a key, by what follows the key and a dot, in lower case.
struct Record {
  std::string shard, key;
  std::vector<std::pair<std::string, FileBytes>> files{};
  std::string problem{};  ///< why it is not whole; empty where it is

  [[nodiscard]] const FileBytes* find(std::string_view suffix) const {
    for (const auto& [name, bytes] : files) {
      if (name == suffix) return &bytes;
    }
    return nullptr;
  }
};

struct SamplePicture {
  FileBytes file;         ///< JPEG or PNG, as it was stored
  image::Picture pixels;  ///< RGB
};

struct Sample {
  std::string shard, key;
  std::string text;  ///< of a pair the caption as stored, of a document what was tokenized
  text::Ids ids{};   ///< cut to the most tokens, not padded
  std::vector<SamplePicture> pictures{};
  Tensor<float> images{};  ///< [M, 3, S, S] where a loader was asked for it
  std::string note{};      ///< what is odd about it and was counted; empty for most
};

/// Thrown where a record becomes no sample. `what()` is the reason, the same text for the same reason, so that
/// it can be counted.
class Drop : public std::runtime_error {
 public:
  enum class Kind {
    damage,  ///< something is broken or missing
    rule,    ///< the recipe leaves such a sample out
  };
  explicit Drop(const std::string& reason, Kind kind = Kind::damage)
      : std::runtime_error(reason), kind_(kind) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

inline std::string_view characters(const FileBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace plume::data
