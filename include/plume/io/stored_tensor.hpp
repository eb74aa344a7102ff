#pragma once
// StoredTensor: a tensor as it lies in a file: its type, sizes, strides and bytes, not yet converted.

#include <cstring>
#include <map>
#include <vector>

#include "plume/core/tensor.hpp"
#include "plume/io/mapped_file.hpp"

namespace plume::io {

/// The element types weight files have. Plume computes with some of them; the others can be looked at.
enum class FileType : unsigned char {
  f32,
  f64,
  f16,
  bf16,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  b8
};

struct FileTypeInfo {
  FileType type;
  std::string_view torch;        ///< "float32"
  std::string_view safetensors;  ///< "F32"
  index_t bytes;
};
inline constexpr FileTypeInfo file_types[] = {
    {FileType::f32, "float32", "F32", 4}, {FileType::f64, "float64", "F64", 8},
    {FileType::f16, "float16", "F16", 2}, {FileType::bf16, "bfloat16", "BF16", 2},
    {FileType::i8, "int8", "I8", 1},      {FileType::i16, "int16", "I16", 2},
    {FileType::i32, "int32", "I32", 4},   {FileType::i64, "int64", "I64", 8},
    {FileType::u8, "uint8", "U8", 1},     {FileType::u16, "uint16", "U16", 2},
    {FileType::u32, "uint32", "U32", 4},  {FileType::u64, "uint64", "U64", 8},
    {FileType::b8, "bool", "BOOL", 1},
};
constexpr const FileTypeInfo& info(FileType type) {
  return file_types[static_cast<std::size_t>(type)];
}
template <Scalar T>
constexpr FileType file_type_of() {
  constexpr FileType types[] = {FileType::f32, FileType::f64, FileType::bf16, FileType::f16,
                                FileType::i32, FileType::i64, FileType::u8,   FileType::b8};
  return types[static_cast<std::size_t>(dtype_of<T>)];
}

class StoredTensor {
 public:
  StoredTensor() = default;
  /// Element at offset 0 is the first of `bytes`. The caller has checked that every element lies inside.
  StoredTensor(FileType type, Shape shape, Strides strides, Bytes bytes,
               std::shared_ptr<void> owner)
      : type_(type), shape_(shape), strides_(strides), bytes_(bytes), owner_(std::move(owner)) {}
  /// A copy of `tensor` for writing.
  template <Scalar T>
  explicit StoredTensor(const Tensor<T>& tensor)
      : type_(file_type_of<T>()), shape_(tensor.shape()), strides_(tensor.shape().row_major()) {
    auto kept = std::make_shared<Tensor<T>>(tensor.to(cpu).contiguous());
    bytes_ = {reinterpret_cast<const std::byte*>(kept->data()),
              static_cast<std::size_t>(kept->numel()) * sizeof(T)};
    owner_ = std::move(kept);
  }

  [[nodiscard]] FileType type() const noexcept { return type_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] index_t element_bytes() const noexcept { return info(type_).bytes; }

  /// Where the first element lies.
  [[nodiscard]] const std::byte* address() const noexcept { return bytes_.data(); }
  /// Whether `other` is the same bytes, seen the same way.
  [[nodiscard]] bool same_view(const StoredTensor& other) const noexcept {
    return address() == other.address() && type_ == other.type_ && shape_ == other.shape_ &&
           strides_ == other.strides_;
  }

  /// The first `rows` of axis 0, which must have as many.
  [[nodiscard]] StoredTensor first_rows(index_t rows) const {
    if (shape_.rank() < 1 || rows < 0 || rows > shape_[0]) {
      fail<ShapeError>("first_rows", cat("at least ", rows, " rows"), shape_);
    }
    StoredTensor out = *this;
    Dims sizes = shape_;
    sizes[0] = rows;
    out.shape_ = Shape(sizes);
    return out;
  }

  /// The elements row-major, one after the other, as they lie in the file.
  [[nodiscard]] std::vector<std::byte> contiguous_bytes() const {
    const auto size = static_cast<std::size_t>(element_bytes());
    std::vector<std::byte> out(static_cast<std::size_t>(shape_.numel()) * size);
    for_each_element([&](index_t i, const std::byte* from) {
      std::memcpy(out.data() + static_cast<std::size_t>(i) * size, from, size);
    });
    return out;
  }

  /// As a tensor of T: a view of the file where type, order and alignment allow, else converted. Floating
  /// types convert to each other; integers and bool only to themselves, to wider integers, or to floating.
  /// Throws DtypeError otherwise.
  template <Scalar T>
  [[nodiscard]] Tensor<T> to() const {
    if (type_ == file_type_of<T>() && is_row_major() &&
        reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(T) == 0 && shape_.numel() > 0) {
      // The mapping is private to this process, so writing through the tensor leaves the file alone.
      return Tensor<T>(reinterpret_cast<T*>(const_cast<std::byte*>(bytes_.data())), shape_, owner_);
    }
    Tensor<T> out(shape_);
    const auto convert = [&]<class From>(From) {
      T* to = out.data();
      const auto one = [to](index_t i, const std::byte* from) {
        From value;
        std::memcpy(&value, from, sizeof value);
        if constexpr (std::is_same_v<T, bfloat16> || std::is_same_v<T, half>) {
          to[i] = T(static_cast<float>(value));
        } else {
          to[i] = static_cast<T>(static_cast<accumulate_t<From>>(value));
        }
      };
      if (!is_row_major()) return for_each_element(one);
      const std::byte* from = bytes_.data();
      parallel_for(shape_.numel(), 1, [=](index_t begin, index_t end) {
        for (index_t i = begin; i < end; ++i) one(i, from + i * static_cast<index_t>(sizeof(From)));
      });
    };
    constexpr bool floating = Floating<T>;
    switch (type_) {
      case FileType::f32:
        if constexpr (floating) {
          convert(float{});
          return out;
        }
        break;
      case FileType::f64:
        if constexpr (floating) {
          convert(double{});
          return out;
        }
        break;
      case FileType::f16:
        if constexpr (floating) {
          convert(half{});
          return out;
        }
        break;
      case FileType::bf16:
        if constexpr (floating) {
          convert(bfloat16{});
          return out;
        }
        break;
      case FileType::i8:
        if constexpr (sizeof(T) >= 4) {
          convert(std::int8_t{});
          return out;
        }
        break;
      case FileType::i16:
        if constexpr (sizeof(T) >= 4) {
          convert(std::int16_t{});
          return out;
        }
        break;
      case FileType::i32:
        if constexpr (sizeof(T) >= 4) {
          convert(std::int32_t{});
          return out;
        }
        break;
      case FileType::i64:
        if constexpr (sizeof(T) >= 8) {
          convert(std::int64_t{});
          return out;
        }
        break;
      case FileType::u8:
        if constexpr (sizeof(T) >= 4 || std::is_same_v<T, std::uint8_t>) {
          convert(std::uint8_t{});
          return out;
        }
        break;
      case FileType::b8:
        if constexpr (std::is_same_v<T, bool>) {
          for_each_element(
              [&](index_t i, const std::byte* from) { out.data()[i] = *from != std::byte{0}; });
        } else {
          convert(std::uint8_t{});
        }
        return out;
      default:
        break;
    }
    fail<DtypeError>("weights", cat("a type that converts to ", dtype_name<T>()),
                     info(type_).torch);
  }

 private:
  [[nodiscard]] bool is_row_major() const noexcept {
    index_t step = 1;
    for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
      if (shape_[axis] != 1 && strides_[axis] != step) return false;
      step *= shape_[axis];
    }
    return true;
  }
  template <class F>
  void for_each_element(F f) const {
    const index_t size = element_bytes();
    const index_t n = shape_.numel();
    const bool dense = is_row_major();
    for (index_t i = 0; i < n; ++i) {
      index_t offset = i;
      if (!dense) {
        offset = 0;
        index_t rest = i;
        for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
          offset += rest % shape_[axis] * strides_[axis];
          rest /= shape_[axis];
        }
      }
      f(i, bytes_.data() + offset * size);
    }
  }

  FileType type_ = FileType::f32;
  Shape shape_{0};
  Strides strides_{1};
  Bytes bytes_;
  std::shared_ptr<void> owner_;
};

/// Names and tensors of a weight file, in the order of the file.
class StateDict {
 public:
  std::string file = "weights";  ///< where they come from, for messages
  std::vector<std::string>
      notes;  ///< what was taken off to get at them: a container, prefixes of names

  /// Throws FormatError for a name that is there already.
  void add(std::string name, StoredTensor tensor) {
    if (!index_.emplace(name, entries_.size()).second) {
      fail<FormatError>(file, "each name once", name);
    }
    entries_.emplace_back(std::move(name), std::move(tensor));
  }
  [[nodiscard]] bool contains(const std::string& name) const { return index_.contains(name); }
  /// Throws FormatError where there is no such tensor.
  [[nodiscard]] const StoredTensor& at(const std::string& name) const {
    const auto found = index_.find(name);
    if (found == index_.end()) {
      fail<FormatError>(file, cat("a tensor named ", name), cat("none among ", size()));
    }
    return entries_[found->second].second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }

 private:
  std::vector<std::pair<std::string, StoredTensor>> entries_;
  std::map<std::string, std::size_t> index_;
};

}  // namespace plume::io
