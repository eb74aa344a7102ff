#pragma once
// The directory of a zip archive as PyTorch writes it: entries stored without compression, so that each is a
// span of the file. ZIP64 is understood. Everything is checked against the bytes that are there.

#include <array>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "plume/io/limits.hpp"
#include "plume/io/mapped_file.hpp"

namespace plume::io {

/// CRC-32 as zip uses it (reflected, polynomial 0xEDB88320).
inline std::uint32_t crc32(Bytes bytes, std::uint32_t crc = 0) noexcept {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xEDB88320U ^ c >> 1 : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  crc = ~crc;
  for (const std::byte b : bytes)
    crc = table[(crc ^ static_cast<std::uint32_t>(b)) & 255U] ^ crc >> 8;
  return ~crc;
}

class ZipArchive {
 public:
  /// Reads the directory. Throws FormatError.
  explicit ZipArchive(Source source, const Limits& limits = default_limits)
      : source_(std::move(source)) {
    read_directory(limits);
  }

  [[nodiscard]] bool contains(const std::string& name) const { return entries_.contains(name); }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// The bytes of an entry. Throws FormatError where there is none, or where it is not a plain span.
  [[nodiscard]] Bytes at(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) refuse(cat("an entry ", name), "none of that name");
    const Entry& e = found->second;
    if (e.method != 0)
      refuse(cat("entry ", name, " stored without compression"), cat("method ", e.method));
    if ((e.flags & 1U) != 0) refuse(cat("entry ", name, " not encrypted"), "an encrypted one");
    if (e.size != e.stored) refuse(cat("equal sizes of ", name), cat(e.size, " and ", e.stored));
    const Bytes header = span(e.offset, 30, "a local header");
    if (u32(header, 0) != 0x04034b50U) refuse(cat("the local header of ", name), "something else");
    // The local extra field pads the data to 64 bytes; its length differs from the directory's.
    const std::uint64_t data = e.offset + 30 + u16(header, 26) + u16(header, 28);
    return span(data, e.size, name);
  }
  /// at(), and the recorded checksum must hold.
  [[nodiscard]] Bytes checked_at(const std::string& name) const {
    const Bytes bytes = at(name);
    if (crc32(bytes) != entries_.at(name).crc)
      refuse(cat("the recorded checksum of ", name), "another one");
    return bytes;
  }
  [[nodiscard]] const Source& source() const noexcept { return source_; }

 private:
  struct Entry {
    std::uint64_t offset, size, stored;
    std::uint32_t crc;
    unsigned method, flags;
  };

  template <class Expected, class Got>
  [[noreturn]] void refuse(const Expected& expected, const Got& got) const {
    fail<FormatError>(source_.name, expected, got);
  }
  [[nodiscard]] Bytes span(std::uint64_t offset, std::uint64_t size, std::string_view what) const {
    const std::uint64_t all = source_.bytes.size();
    if (offset > all || size > all - offset) {
      refuse(cat(what, " inside the file"), cat(size, " bytes at ", offset, " of ", all));
    }
    return source_.bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }
  template <class U>
  static U number(Bytes bytes, std::size_t at) {
    U value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  static std::uint64_t u64(Bytes b, std::size_t at) { return number<std::uint64_t>(b, at); }
  static std::uint32_t u32(Bytes b, std::size_t at) { return number<std::uint32_t>(b, at); }
  static std::uint32_t u16(Bytes b, std::size_t at) { return number<std::uint16_t>(b, at); }

  void read_directory(const Limits& limits) {
    const Bytes all = source_.bytes;
    constexpr std::size_t end_size = 22;
    if (all.size() < end_size) refuse("a zip archive", cat(all.size(), " bytes"));
    std::size_t end = all.size() - end_size;
    const std::size_t lowest = end > 65535 ? end - 65535 : 0;  // a comment may follow
    while (u32(all, end) != 0x06054b50U) {
      if (end == lowest) refuse("the end of a zip directory", "none; the file may be cut off");
      --end;
    }
    std::uint64_t count = u16(all, end + 10);
    std::uint64_t size = u32(all, end + 12);
    std::uint64_t offset = u32(all, end + 16);
    if (count == 0xffff || size == 0xffffffffU || offset == 0xffffffffU) {
      if (end < 20 || u32(all, end - 20) != 0x07064b50U) refuse("a ZIP64 locator", "none");
      const Bytes record = span(u64(all, end - 20 + 8), 56, "the ZIP64 directory end");
      if (u32(record, 0) != 0x06064b50U) refuse("the ZIP64 directory end", "something else");
      count = u64(record, 32);
      size = u64(record, 40);
      offset = u64(record, 48);
    }
    const Bytes directory = span(offset, size, "the directory");
    if (count > limits.zip_entries || count > size / 46)
      refuse("a directory that holds its entries", cat(count, " entries in ", size, " bytes"));
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i) at = read_entry(directory, at, limits);
  }

  std::size_t read_entry(Bytes directory, std::size_t at, const Limits& limits) {
    if (directory.size() - at < 46 || u32(directory, at) != 0x02014b50U)
      refuse("a directory entry", "something else");
    const std::size_t name_size = u16(directory, at + 28);
    const std::size_t extra_size = u16(directory, at + 30);
    const std::size_t next = at + 46 + name_size + extra_size + u16(directory, at + 32);
    if (next > directory.size() || name_size > limits.name_bytes)
      refuse("a name and extra field inside the directory", "a longer one");
    Entry e{u32(directory, at + 42), u32(directory, at + 24), u32(directory, at + 20),
            u32(directory, at + 16), u16(directory, at + 10), u16(directory, at + 8)};
    std::string name(reinterpret_cast<const char*>(directory.data()) + at + 46, name_size);
    read_zip64(directory.subspan(at + 46 + name_size, extra_size), e);
    if (name.empty() || name.front() == '/' || name.find('\\') != std::string::npos ||
        ("/" + name + "/").find("/../") != std::string::npos) {
      refuse("entry names that stay inside the archive", name);
    }
    if (!entries_.emplace(name, e).second) refuse("each entry name once", name);
    names_.push_back(std::move(name));
    return next;
  }

  // Sizes and offsets that are 2^32 - 1 in the entry stand in the extra field with id 1, in this order.
  void read_zip64(Bytes extra, Entry& e) const {
    while (extra.size() >= 4) {
      const std::size_t size = u16(extra, 2);
      if (size > extra.size() - 4)
        return;  // PyTorch pads with fields of its own; nobody relies on them
      Bytes field = extra.subspan(4, size);
      if (u16(extra, 0) == 1) {
        for (std::uint64_t* value : {&e.size, &e.stored, &e.offset}) {
          if (*value != 0xffffffffU) continue;
          if (field.size() < 8) refuse("a complete ZIP64 field", "a shorter one");
          *value = u64(field, 0);
          field = field.subspan(8);
        }
      }
      extra = extra.subspan(4 + size);
    }
  }

  Source source_;
  std::unordered_map<std::string, Entry> entries_;
  std::vector<std::string> names_;
};

}  // namespace plume::io
