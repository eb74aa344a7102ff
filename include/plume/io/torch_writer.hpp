#pragma once
// write_torch: tensors by name, or any value made of tensors, numbers, text and containers, as torch.save writes
// it, so that torch.load reads it, also with weights_only.
//
//   archive/data.pkl    protocol 2; a tensor is _rebuild_tensor_v2(storage, 0, sizes, strides, False, {})
//   archive/byteorder   little
//   archive/data/N      the elements of storage N
//   archive/version     3
//
// The unsigned integers of 16 to 64 bits have no storage class; PyTorch has _rebuild_tensor_v3 for them.

#include <bit>
#include <map>
#include <string>
#include <variant>

#include "plume/io/stored_tensor.hpp"
#include "plume/io/zip_writer.hpp"

namespace plume::io {

/// What torch.save can write: None, a number, text, a tensor, an OrderedDict of tensors, a container of values.
struct TorchValue {
  using Dict = std::vector<std::pair<TorchValue, TorchValue>>;
  using List = std::vector<TorchValue>;
  struct Tuple {
    List items;
  };

  TorchValue() = default;
  TorchValue(bool v) : value(v) {}
  TorchValue(int v) : value(index_t{v}) {}
  TorchValue(index_t v) : value(v) {}
  TorchValue(double v) : value(v) {}
  TorchValue(const char* v) : value(std::string(v)) {}
  TorchValue(std::string v) : value(std::move(v)) {}
  TorchValue(StoredTensor v) : value(std::move(v)) {}
  TorchValue(StateDict v) : value(std::move(v)) {}
  TorchValue(Dict v) : value(std::move(v)) {}
  TorchValue(List v) : value(std::move(v)) {}
  TorchValue(Tuple v) : value(std::move(v)) {}

  std::variant<std::monostate, bool, index_t, double, std::string, StoredTensor, StateDict, Dict,
               List, Tuple>
      value;
};

namespace detail {

/// Writes the few instructions such a value needs. Globals are stored once and recalled.
class PickleWriter {
 public:
  [[nodiscard]] std::string write(const TorchValue& root) {
    text_ = "\x80\x02";
    value(root);
    op('.');
    return std::move(text_);
  }
  /// One for each storage, in order: a tensor that is all of it.
  [[nodiscard]] const std::vector<const StoredTensor*>& storages() const noexcept {
    return storages_;
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

  void value(const TorchValue& v) {
    std::visit([this](const auto& held) { write_one(held); }, v.value);
  }
  void write_one(std::monostate) { op('N'); }
  void write_one(bool v) { op(v ? '\x88' : '\x89'); }
  void write_one(index_t v) { integer(v); }
  void write_one(double v) {
    const auto bits = std::bit_cast<std::uint64_t>(v);
    op('G');
    for (int shift = 56; shift >= 0; shift -= 8) bytes(bits >> shift, 1);
  }
  void write_one(const std::string& v) { text(v); }
  void write_one(const StateDict& v) {
    call("collections\nOrderedDict", [] {});
    items(v, [this](const auto& entry) {
      text(entry.first);
      write_one(entry.second);
    });
  }
  void write_one(const TorchValue::Dict& v) {
    op('}');
    items(v, [this](const auto& entry) {
      value(entry.first);
      value(entry.second);
    });
  }
  void write_one(const TorchValue::List& v) {
    op(']');
    if (v.empty()) return;
    op('(');
    for (const TorchValue& item : v) value(item);
    op('e');
  }
  void write_one(const TorchValue::Tuple& v) {
    op('(');
    for (const TorchValue& item : v.items) value(item);
    op('t');
  }
  /// Tensors that are the same bytes (tied weights) share a storage, as PyTorch's do.
  void write_one(const StoredTensor& tensor) {
    const auto [seen, is_new] =
        by_address_.emplace(tensor.address(), std::pair(storages_.size(), &tensor));
    std::size_t key = storages_.size();
    if (!is_new && tensor.shape().numel() > 0 && tensor.same_view(*seen->second.second)) {
      key = seen->second.first;
    } else {
      storages_.push_back(&tensor);
    }
    const std::string_view storage = storage_class(tensor.type());
    const bool untyped = storage.empty();
    const index_t numel = tensor.shape().numel();
    call(untyped ? "torch._utils\n_rebuild_tensor_v3" : "torch._utils\n_rebuild_tensor_v2", [&] {
      op('(');
      text("storage");
      global(untyped ? "torch.storage\nUntypedStorage" : cat("torch\n", storage));
      text(cat(key));
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
  }
  /// Keys and values, a thousand at a time, as Python's own pickler.
  template <class Entries, class F>
  void items(const Entries& entries, F write_entry) {
    int pending = 0;
    for (const auto& entry : entries) {
      if (pending == 0) op('(');
      write_entry(entry);
      if (++pending < 1000) continue;
      op('u');
      pending = 0;
    }
    if (pending > 0) op('u');
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
  void integer(index_t value) {
    const auto v = static_cast<std::uint64_t>(value);  // two's complement
    if (v < 256) {
      op('K');
      bytes(v, 1);
    } else if (v < 65536) {
      op('M');
      bytes(v, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
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

  std::string text_;
  std::map<std::string, std::size_t> memo_;  // fewer than 256: all globals there are
  std::map<const std::byte*, std::pair<std::size_t, const StoredTensor*>> by_address_;
  std::vector<const StoredTensor*> storages_;
};

}  // namespace detail

/// Writes `root` atomically; the entries of a dictionary in the given order.
inline void write_torch(const std::string& path, const TorchValue& root) {
  detail::PickleWriter pickle;
  ZipWriter zip(path);
  zip.add("archive/data.pkl", pickle.write(root));
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < pickle.storages().size(); ++i)
    zip.add(cat("archive/data/", i), pickle.storages()[i]->contiguous_bytes());
  zip.add("archive/version", "3\n");
  zip.finish();
}

}  // namespace plume::io
