#pragma once
// safetensors: u64 N (little endian), N bytes of JSON, then the data.
//
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {..}}
//
// Accepted only if the tensors cover the data from its first byte to its last, without holes or overlap, each
// of the size its shape says. Everything is checked before a tensor is made; tensors are views of the file.

#include <algorithm>

#include "plume/io/json.hpp"
#include "plume/io/stored_tensor.hpp"

namespace plume::io {

namespace detail {

inline std::uint64_t read_u64(Bytes bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// A JSON number that is an integer in [0, 2^63). Throws FormatError.
inline index_t natural(const std::string& file, const Json& value, std::string_view what) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    fail<FormatError>(file, cat("a natural number as ", what), print_json(value));
  }
  return static_cast<index_t>(value.get<std::uint64_t>());
}

/// The entry `key` of an object. Throws FormatError where it is missing.
inline const Json& member(const std::string& file, const Json& object, const char* key,
                          std::string_view of) {
  const auto found = object.find(key);
  if (found == object.end()) fail<FormatError>(file, cat(key, " in ", of), "none");
  return *found;
}

}  // namespace detail

/// Whether `bytes` begin as a safetensors file does.
inline bool looks_like_safetensors(Bytes bytes) {
  return bytes.size() > 8 && bytes[8] == std::byte{'{'} &&
         detail::read_u64(bytes) <= bytes.size() - 8;
}

struct Safetensors {
  StateDict tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws FormatError naming the file, what was expected and what was got.
inline Safetensors read_safetensors(const Source& source, const Limits& limits = default_limits) {
  const std::string& file = source.name;
  const Bytes all = source.bytes;
  if (all.size() < 8) fail<FormatError>(file, "a safetensors file of at least 8 bytes", all.size());
  const std::uint64_t header = detail::read_u64(all);
  const std::size_t most = std::min(limits.header_bytes, all.size() - 8);
  if (header > most) fail<FormatError>(file, cat("a header of at most ", most, " bytes"), header);
  const auto size = static_cast<std::size_t>(header);
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + 8, size);
  if (text.empty() || text[0] != '{')
    fail<FormatError>(file, "a header that begins with {", "another character");
  const Json json = parse_json(file, text, JsonForm::strict, limits);
  const Bytes data = all.subspan(8 + size);

  struct Entry {
    index_t begin, end;
    std::string name;
    StoredTensor tensor;
  };
  Safetensors out;
  out.tensors.file = file;
  std::vector<Entry> entries;
  if (json.size() > limits.tensors)
    fail<FormatError>(file, cat("at most ", limits.tensors, " tensors"), json.size());
  for (const auto& [name, value] : json.items()) {
    if (!value.is_object()) fail<FormatError>(file, cat("an object for ", name), value.type_name());
    if (name == "__metadata__") {
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string())
          fail<FormatError>(file, cat("text for metadata ", key), text_value.type_name());
        out.metadata[key] = text_value.get<std::string>();
      }
      continue;
    }
    const Json& dtype = detail::member(file, value, "dtype", name);
    const auto type =
        std::find_if(std::begin(file_types), std::end(file_types), [&](const FileTypeInfo& t) {
          return dtype.is_string() && dtype.get_ref<const std::string&>() == t.safetensors;
        });
    if (type == std::end(file_types))
      fail<FormatError>(file, cat("a known dtype for ", name), print_json(dtype));
    const Json& sizes = detail::member(file, value, "shape", name);
    const Json& offsets = detail::member(file, value, "data_offsets", name);
    if (!sizes.is_array() || sizes.size() > static_cast<std::size_t>(max_rank)) {
      fail<FormatError>(file, cat("a shape of rank <= ", max_rank, " for ", name),
                        print_json(sizes));
    }
    if (!offsets.is_array() || offsets.size() != 2)
      fail<FormatError>(file, cat("two data_offsets for ", name), print_json(offsets));
    Dims dims;
    for (const Json& s : sizes) dims.push_back(detail::natural(file, s, cat("a size of ", name)));
    const index_t begin = detail::natural(file, offsets[0], cat("an offset of ", name));
    const index_t end = detail::natural(file, offsets[1], cat("an offset of ", name));
    try {
      const Shape shape(dims);
      const index_t bytes = checked_mul(shape.numel(), type->bytes);
      if (end < begin || end - begin != bytes || static_cast<std::uint64_t>(end) > data.size()) {
        fail<FormatError>(file,
                          cat(bytes, " bytes inside the file for ", name, " of shape ", shape),
                          cat("offsets ", begin, " to ", end, " of ", data.size()));
      }
      entries.push_back({begin, end, name,
                         StoredTensor(type->type, shape, shape.row_major(),
                                      data.subspan(static_cast<std::size_t>(begin),
                                                   static_cast<std::size_t>(bytes)),
                                      source.owner)});
    } catch (const ShapeError& error) {
      fail<FormatError>(file, cat("a shape for ", name, " whose size can be computed"),
                        error.what());
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  index_t covered = 0;
  for (Entry& entry : entries) {
    if (entry.begin != covered) {
      fail<FormatError>(file,
                        cat("tensors without holes or overlap; ", entry.name, " at ", covered),
                        entry.begin);
    }
    covered = entry.end;
    out.tensors.add(std::move(entry.name), std::move(entry.tensor));
  }
  if (static_cast<std::size_t>(covered) != data.size()) {
    fail<FormatError>(file, cat("data of ", covered, " bytes, as the tensors say"), data.size());
  }
  return out;
}

inline Safetensors read_safetensors(const std::string& path) {
  return read_safetensors(Source::file(path));
}

/// Writes all tensors, in the given order, atomically. `metadata` gets "format": "pt" if it lacks one, which
/// other readers ask for.
inline void write_safetensors(const std::string& path, const StateDict& tensors,
                              std::map<std::string, std::string> metadata = {}) {
  metadata.emplace("format", "pt");
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = static_cast<std::uint64_t>(tensor.shape().numel() * tensor.element_bytes());
    std::vector<index_t> sizes(tensor.shape().begin(), tensor.shape().end());
    header[name] = {{"dtype", info(tensor.type()).safetensors},
                    {"shape", sizes},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text;
  detail::print(text, header, -1, Nonfinite::null, 0);
  text.append((8 - text.size() % 8) % 8, ' ');  // data starts at a multiple of 8
  const std::uint64_t size = text.size();
  AtomicFile out(path);
  out.write(&size, sizeof size);
  out.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const std::vector<std::byte> bytes = tensor.contiguous_bytes();
    out.write(bytes.data(), bytes.size());
  }
  out.commit();
}

}  // namespace plume::io
