#pragma once
// Files of torch.save (zip and legacy) and TorchScript archives: their values, and their tensors as views of
// the file. Which of the three a file is, its content says. Nothing in it is ever executed.

#include <algorithm>
#include <unordered_set>

#include "plume/io/pickle.hpp"
#include "plume/io/zip.hpp"

namespace plume::io {

class TorchFile {
 public:
  /// Throws FormatError.
  explicit TorchFile(const Source& source, const Limits& limits = default_limits)
      : name_(source.name), owner_(source.owner), limits_(limits) {
    if (is_zip(source.bytes)) {
      read_zip(source);
    } else if (is_legacy(source.bytes)) {
      read_legacy(source.bytes);
    } else {
      fail<FormatError>(name_, "a file of torch.save", describe(source.bytes));
    }
  }

  [[nodiscard]] const PickleValue& root() const noexcept { return *root_; }
  [[nodiscard]] bool is_torchscript() const noexcept { return torchscript_; }

  /// A tensor value as a view of the file. Throws FormatError where its sizes and its storage disagree.
  [[nodiscard]] StoredTensor tensor(const PickleValue& value) const {
    const StorageName& storage = value.storage;
    const FileTypeInfo& type = info(storage.type);
    const Bytes bytes = storage_bytes(storage);
    const index_t held = static_cast<index_t>(bytes.size()) / type.bytes;
    if (value.sizes.size() != value.strides.size() ||
        value.sizes.size() > static_cast<std::size_t>(max_rank)) {
      fail<FormatError>(name_, cat("as many strides as sizes, at most ", max_rank),
                        cat(value.sizes.size(), " and ", value.strides.size()));
    }
    try {
      Dims sizes;
      Strides strides;
      index_t last = value.offset;
      bool negative = value.offset < 0;
      for (std::size_t i = 0; i < value.sizes.size(); ++i) {
        sizes.push_back(value.sizes[i]);
        strides.push_back(value.strides[i]);
        negative = negative || value.strides[i] < 0;
      }
      const Shape shape(sizes);
      if (negative)
        fail<FormatError>(name_, "offsets and strides >= 0", cat(value.offset, " and ", strides));
      if (shape.numel() == 0)
        return StoredTensor(storage.type, shape, shape.row_major(), {}, owner_);
      for (int axis = 0; axis < shape.rank(); ++axis) {
        const index_t reach = checked_mul(shape[axis] - 1, strides[axis]);
        if (__builtin_add_overflow(last, reach, &last))
          fail<ShapeError>("size", "a sum below 2^63", shape);
      }
      // A stride of 0 repeats elements; a few are normal, 2^60 are a trap.
      if (last >= held || shape.numel() > std::max(held, index_t{1} << 24)) {
        fail<FormatError>(name_, cat("a tensor inside its storage of ", held, " elements"),
                          cat("shape ", shape, ", strides ", strides, ", offset ", value.offset));
      }
      return StoredTensor(storage.type, shape, strides,
                          bytes.subspan(static_cast<std::size_t>(value.offset * type.bytes)),
                          owner_);
    } catch (const ShapeError& error) {
      fail<FormatError>(name_, "sizes that can be computed", error.what());
    }
  }

  /// All tensors below `value`: dictionary keys and attribute names joined by dots. What is no tensor is left
  /// out. Throws FormatError if there is none at all.
  [[nodiscard]] StateDict tensors(const PickleValue& value) const {
    StateDict out;
    out.file = name_;
    std::size_t visited = 0;
    collect(value, "", 0, visited, out);
    if (out.size() == 0) fail<FormatError>(name_, "tensors by name", "none");
    return out;
  }

  static bool is_zip(Bytes b) { return begins_with(b, {0x50, 0x4b, 0x03, 0x04}); }
  static bool is_legacy(Bytes b) {
    return begins_with(b, {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8,
                           0x50, 0x19, 0x2e});
  }
  /// What a file that is no weight file seems to be.
  static std::string describe(Bytes b) {
    const std::string_view text(reinterpret_cast<const char*>(b.data()),
                                std::min<std::size_t>(b.size(), 300));
    if (b.empty()) return "an empty file";
    if (text.rfind("version https://git-lfs", 0) == 0)
      return "a Git LFS pointer: fetch the file itself (git lfs pull)";
    if (begins_with(b, {0x1f, 0x8b})) return "a gzip file";
    if (text.find("<html") != std::string_view::npos ||
        text.find("<!DOCTYPE") != std::string_view::npos) {
      return "a web page; the download went wrong";
    }
    if (text.size() > 262 && text.substr(257, 5) == "ustar")
      return "a tar archive (torch.save before 0.1.10)";
    return "something else";
  }

 private:
  using Kind = PickleValue::Kind;

  static bool begins_with(Bytes b, std::initializer_list<int> prefix) {
    return b.size() >= prefix.size() &&
           std::equal(prefix.begin(), prefix.end(), b.begin(),
                      [](int p, std::byte c) { return static_cast<std::byte>(p) == c; });
  }

  void read_zip(const Source& source) {
    archive_ = std::make_unique<ZipArchive>(source, limits_);
    if (archive_->names().empty()) fail<FormatError>(name_, "a zip archive with entries", "none");
    const std::string& first = archive_->names().front();
    folder_ = first.substr(0, first.find('/'));
    torchscript_ = archive_->contains(folder_ + "/constants.pkl");
    if (archive_->contains(folder_ + "/byteorder")) {
      const Bytes order = archive_->at(folder_ + "/byteorder");
      const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
      if (text.substr(0, 6) != "little") fail<FormatError>(name_, "little-endian data", text);
    }
    Bytes pickle = archive_->checked_at(folder_ + "/data.pkl");
    pickle_ = std::make_unique<Pickle>(name_, torchscript_, limits_);
    root_ = &pickle_->load(pickle);
  }

  // Five pickles: magic, version, system, object, storage keys; then each storage: i64 count and its bytes.
  void read_legacy(Bytes all) {
    pickle_ = std::make_unique<Pickle>(name_, false, limits_);
    pickle_->allow_tail();
    all = all.subspan(15);  // the magic number
    const PickleValue& version = pickle_->load(all);
    if (!version.is(Kind::integer) || version.integer != 1001)
      fail<FormatError>(name_, "protocol version 1001", version.integer);
    const PickleValue* little = pickle_->load(all).find("little_endian");
    if (little != nullptr && little->integer != 1)
      fail<FormatError>(name_, "little-endian data", "big-endian");
    root_ = &pickle_->load(all);
    std::unordered_map<std::string, index_t>
        sizes;  // element sizes, from the tensors that use a storage
    element_sizes(*root_, sizes);
    for (const PickleValue* key : pickle_->load(all).items) {
      if (!key->is(Kind::text)) fail<FormatError>(name_, "text as storage key", "another value");
      if (all.size() < 8)
        fail<FormatError>(name_, cat("storage ", key->text), "the end of the file");
      index_t numel;
      std::memcpy(&numel, all.data(), sizeof numel);
      all = all.subspan(8);
      const auto size = sizes.find(key->text);
      const index_t bytes = size == sizes.end() ? 0 : size->second;
      if (bytes == 0)
        fail<FormatError>(name_, "storages that tensors use", cat("storage ", key->text));
      if (numel < 0 ||
          static_cast<std::size_t>(numel) > all.size() / static_cast<std::size_t>(bytes)) {
        fail<FormatError>(name_, cat("storage ", key->text, " inside the file"),
                          cat(numel, " elements in ", all.size(), " bytes"));
      }
      const auto length = static_cast<std::size_t>(numel * bytes);
      storages_.emplace(key->text, all.first(length));
      all = all.subspan(length);
    }
  }
  void element_sizes(const PickleValue& root,
                     std::unordered_map<std::string, index_t>& sizes) const {
    std::vector<const PickleValue*> pending{&root};
    std::unordered_set<const PickleValue*> seen;  // values refer to each other, in circles too
    while (!pending.empty()) {
      const PickleValue& value = *pending.back();
      pending.pop_back();
      if (!seen.insert(&value).second) continue;
      if (value.is(Kind::tensor) || value.is(Kind::storage)) {
        const index_t bytes = value.storage.untyped ? 1 : info(value.storage.type).bytes;
        const auto [known, fresh] = sizes.try_emplace(value.storage.key, bytes);
        if (known->second != bytes)
          fail<FormatError>(name_, cat("one element size of storage ", value.storage.key),
                            cat(known->second, " and ", bytes, " bytes"));
      }
      pending.insert(pending.end(), value.items.begin(), value.items.end());
    }
  }

  [[nodiscard]] Bytes storage_bytes(const StorageName& storage) const {
    const index_t size = info(storage.type).bytes;
    Bytes bytes;
    if (archive_ != nullptr) {
      bytes = archive_->at(folder_ + "/data/" + storage.key);
    } else {
      const auto found = storages_.find(storage.key);
      if (found == storages_.end())
        fail<FormatError>(name_, cat("the storage ", storage.key), "none of that key");
      bytes = found->second;
    }
    const auto held = static_cast<index_t>(bytes.size()) / size;
    const index_t from = storage.begin;
    if (from > held || storage.numel > held - from) {
      fail<FormatError>(name_, cat("storage ", storage.key, " of ", storage.numel, " elements"),
                        cat(std::max<index_t>(held - from, 0)));
    }
    return bytes.subspan(static_cast<std::size_t>(from * size),
                         static_cast<std::size_t>(storage.numel * size));
  }

  void collect(const PickleValue& value, const std::string& prefix, std::size_t depth,
               std::size_t& visited, StateDict& out) const {
    if (prefix.size() > limits_.name_bytes)
      fail<FormatError>(name_, cat("names of at most ", limits_.name_bytes, " bytes"),
                        prefix.size());
    if (depth > limits_.pickle_depth || ++visited > limits_.tensors) {
      fail<FormatError>(name_, cat("dictionaries at most ", limits_.pickle_depth, " deep"),
                        "deeper or more");
    }
    if (value.is(Kind::tensor)) {
      out.add(prefix, tensor(value));
      return;
    }
    if (!value.is(Kind::dict) && !value.is(Kind::object)) return;
    for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const PickleValue& key = *value.items[i];
      ++visited;
      if (!key.is(Kind::text) && !key.is(Kind::integer)) continue;
      const std::string name =
          key.is(Kind::text) ? key.text.substr(0, limits_.name_bytes + 1) : cat(key.integer);
      collect(*value.items[i + 1], prefix.empty() ? name : prefix + "." + name, depth + 1, visited,
              out);
    }
  }

  std::string name_;
  std::shared_ptr<void> owner_;
  Limits limits_;
  std::unique_ptr<ZipArchive> archive_;
  std::unique_ptr<Pickle> pickle_;
  std::unordered_map<std::string, Bytes> storages_;
  std::string folder_;
  const PickleValue* root_ = nullptr;
  bool torchscript_ = false;
};

}  // namespace plume::io
