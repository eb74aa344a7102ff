#pragma once
// The globals a pickle of tensors may name, and the types that some of them are.

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>

#include "plume/io/stored_tensor.hpp"

namespace plume::io::detail {

/// Null where a storage class of that name is unknown.
inline const FileType* storage_type(std::string_view name) {
  static const std::unordered_map<std::string_view, FileType> types{
      {"FloatStorage", FileType::f32}, {"DoubleStorage", FileType::f64},
      {"HalfStorage", FileType::f16},  {"BFloat16Storage", FileType::bf16},
      {"LongStorage", FileType::i64},  {"IntStorage", FileType::i32},
      {"ShortStorage", FileType::i16}, {"CharStorage", FileType::i8},
      {"ByteStorage", FileType::u8},   {"BoolStorage", FileType::b8},
      {"UntypedStorage", FileType::u8}};
  const auto found = types.find(name);
  return found == types.end() ? nullptr : &found->second;
}
/// Null where a dtype of that name is unknown.
inline const FileType* tensor_type(std::string_view torch_name) {
  for (const FileTypeInfo& type : file_types) {
    if (type.torch == torch_name) return &type.type;
  }
  return nullptr;
}

inline bool is_known_global(std::string_view module, std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"torch._utils", "_rebuild_tensor"},
      {"torch._utils", "_rebuild_tensor_v2"},
      {"torch._utils", "_rebuild_tensor_v3"},
      {"torch._utils", "_rebuild_parameter"},
      {"torch.nn.parameter", "Parameter"},
      {"torch.storage", "UntypedStorage"},
      {"collections", "OrderedDict"},
      {"torch", "Size"},
      {"torch", "device"},
      {"_codecs", "encode"},
      {"numpy", "dtype"},  // numbers of schedulers; opaque here
      {"numpy.core.multiarray", "scalar"},
      {"numpy._core.multiarray", "scalar"}};
  const auto* found = std::find(std::begin(known), std::end(known), std::pair(module, name));
  return found != std::end(known) ||
         (module == "torch" && (storage_type(name) != nullptr || tensor_type(name) != nullptr));
}

}  // namespace plume::io::detail
