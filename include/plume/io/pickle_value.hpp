#pragma once
// What a pickle can hold: numbers, text, containers, and tensors that name their storage.

#include <string>
#include <vector>

#include "plume/io/stored_tensor.hpp"

namespace plume::io {

/// A storage as a pickle names it; its bytes are found later.
struct StorageName {
  FileType type = FileType::u8;
  std::string key;
  index_t numel = 0;
  index_t begin =
      0;  ///< legacy files: this storage is the part of that key that begins with this element
  bool untyped = false;  ///< its size in the file counts bytes
};

struct PickleValue {
  enum class Kind {
    mark,
    none,
    boolean,
    integer,
    real,
    text,
    bytes,
    tuple,
    list,
    dict,
    storage,
    tensor,
    global,
    object
  };
  Kind kind = Kind::none;
  index_t integer = 0;
  double real = 0;
  std::string text;  ///< text, bytes; "module name" of a global; class of an object
  std::vector<PickleValue*>
      items;            ///< elements; keys and values in turn for a dict; attributes of an object
  StorageName storage;  ///< of a storage, and of a tensor
  index_t offset = 0;   ///< tensor: first element in its storage
  std::vector<index_t> sizes, strides;

  [[nodiscard]] bool is(Kind k) const noexcept { return kind == k; }
  /// The value under a text key of a dict or object; null if there is none.
  [[nodiscard]] const PickleValue* find(std::string_view key) const {
    if (kind != Kind::dict && kind != Kind::object) return nullptr;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i]->is(Kind::text) && items[i]->text == key) return items[i + 1];
    }
    return nullptr;
  }
};

}  // namespace plume::io
