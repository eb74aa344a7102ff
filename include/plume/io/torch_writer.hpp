#pragma once
// write_torch: tensors by name as torch.save writes an OrderedDict of them, so that torch.load reads it, also
// with weights_only.
//
//   archive/data.pkl    protocol 2: {name: _rebuild_tensor_v2(storage, 0, sizes, strides, False, {})}
//   archive/byteorder   little
//   archive/data/N      the elements of storage N
//   archive/version     3
//
// The unsigned integers of 16 to 64 bits have no storage class; PyTorch has _rebuild_tensor_v3 for them.

#include <map>
#include <string>

#include "plume/io/stored_tensor.hpp"
#include "plume/io/zip_writer.hpp"

namespace plume::io {

namespace detail {

/// Writes the few instructions a dictionary of tensors needs. Globals are stored once and recalled.
class PickleWriter {
 public:
  PickleWriter() {
    text_ = "\x80\x02";
    call("collections\nOrderedDict", [] {});
  }

  /// Tensor `name`, row-major, alone in storage `key`.
  void tensor(const std::string& name, const StoredTensor& tensor, const std::string& key) {
    if (pending_ == 0) op('(');
    text(name);
    const std::string_view storage = storage_class(tensor.type());
    const bool untyped = storage.empty();
    const index_t numel = tensor.shape().numel();
    call(untyped ? "torch._utils\n_rebuild_tensor_v3" : "torch._utils\n_rebuild_tensor_v2", [&] {
      op('(');
      text("storage");
      global(untyped ? "torch.storage\nUntypedStorage" : cat("torch\n", storage));
      text(key);
      text("cpu");
      integer(untyped ? numel * tensor.element_bytes() : numel);
      op('t');
      op('Q');
      integer(0);
      tuple(tensor.shape());
      tuple(tensor.shape().row_major());
      op('\x89');
      call("collections\nOrderedDict", [] {});
      if (untyped) global(cat("torch\n", info(tensor.type()).torch));
    });
    if (++pending_ == 1000) flush();  // as Python's own pickler
  }

  [[nodiscard]] std::string finish() {
    flush();
    op('.');
    return std::move(text_);
  }

 private:
  static std::string_view storage_class(FileType type) {
    switch (type) {
      case FileType::f32:
        return "FloatStorage";
      case FileType::f64:
        return "DoubleStorage";
      case FileType::f16:
        return "HalfStorage";
      case FileType::bf16:
        return "BFloat16Storage";
      case FileType::i8:
        return "CharStorage";
      case FileType::i16:
        return "ShortStorage";
      case FileType::i32:
        return "IntStorage";
      case FileType::i64:
        return "LongStorage";
      case FileType::u8:
        return "ByteStorage";
      case FileType::b8:
        return "BoolStorage";
      default:
        return {};
    }
  }

  void op(char code) { text_ += code; }
  void bytes(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) text_ += static_cast<char>(value >> 8 * i & 255U);
  }
  void text(std::string_view value) {
    if (value.size() > 0xffffffffU)
      fail<ValueError>("write_torch", "names below 4 GiB", value.size());
    op('X');
    bytes(value.size(), 4);
    text_ += value;
  }
  void integer(index_t value) {  // >= 0
    const auto v = static_cast<std::uint64_t>(value);
    if (v < 256) {
      op('K');
      bytes(v, 1);
    } else if (v < 65536) {
      op('M');
      bytes(v, 2);
    } else if (v < 0x80000000U) {
      op('J');
      bytes(v, 4);
    } else {
      op('\x8a');
      op('\x08');
      bytes(v, 8);
    }
  }
  template <class Sizes>
  void tuple(const Sizes& sizes) {
    op('(');
    for (const index_t size : sizes) integer(size);
    op('t');
  }
  /// "module\nname"
  void global(const std::string& name) {
    const auto [entry, is_new] = memo_.emplace(name, memo_.size());
    if (!is_new) {
      op('h');
      bytes(entry->second, 1);
      return;
    }
    op('c');
    text_ += name;
    op('\n');
    op('q');
    bytes(entry->second, 1);
  }
  template <class Arguments>
  void call(const std::string& function, Arguments arguments) {
    global(function);
    op('(');
    arguments();
    op('t');
    op('R');
  }
  void flush() {
    if (pending_ > 0) op('u');
    pending_ = 0;
  }

  std::string text_;
  std::map<std::string, std::size_t> memo_;  // fewer than 256: all globals there are
  int pending_ = 0;
};

}  // namespace detail

/// Writes all tensors, in the given order, atomically. Tensors that are the same bytes (tied weights) share a
/// storage, as PyTorch's do.
inline void write_torch(const std::string& path, const StateDict& tensors) {
  detail::PickleWriter pickle;
  std::map<const std::byte*, std::pair<std::string, const StoredTensor*>> by_address;
  std::vector<const StoredTensor*> storages;
  for (const auto& [name, tensor] : tensors) {
    std::string key = cat(storages.size());
    const auto [seen, is_new] = by_address.emplace(tensor.address(), std::pair(key, &tensor));
    if (!is_new && tensor.shape().numel() > 0 && tensor.same_view(*seen->second.second)) {
      key = seen->second.first;
    } else {
      storages.push_back(&tensor);
    }
    pickle.tensor(name, tensor, key);
  }
  ZipWriter zip(path);
  zip.add("archive/data.pkl", pickle.finish());
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < storages.size(); ++i)
    zip.add(cat("archive/data/", i), storages[i]->contiguous_bytes());
  zip.add("archive/version", "3\n");
  zip.finish();
}

}  // namespace plume::io
