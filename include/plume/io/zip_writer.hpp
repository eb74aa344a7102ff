#pragma once
// Writes a zip archive as PyTorch's reader wants it: entries without compression, the data of each at a
// multiple of 64 bytes, sizes and checksums in front of the data. ZIP64 fields stand where a size, an offset
// or the number of entries needs them.
//
//   entry:      local header, name, extra field (ZIP64 sizes, padding "FB"), data
//   directory:  one record per entry; [ZIP64 end and its locator]; the end

#include <string>
#include <utility>
#include <vector>

#include "plume/io/file.hpp"
#include "plume/io/zip.hpp"

namespace plume::io {

class ZipWriter {
 public:
  static constexpr std::uint64_t alignment = 64;

  /// The file appears when finish() is called. Numbers >= `zip64_from` are written as ZIP64 fields; only a
  /// test asks for it earlier than the format does.
  explicit ZipWriter(const std::string& path, std::uint64_t zip64_from = 0xffffffffU)
      : file_(path), zip64_from_(zip64_from) {}

  void add(const std::string& name, Bytes data) {
    if (name.empty() || name.size() > 65535)
      fail<ValueError>("zip", "an entry name of 1 to 65535 bytes", name.size());
    const Entry entry{name, written_, data.size(), crc32(data)};
    const bool large = entry.size >= zip64_from_;
    std::string extra;
    if (large) {
      number<std::uint16_t>(extra, 1);
      number<std::uint16_t>(extra, 16);
      number<std::uint64_t>(extra, entry.size);
      number<std::uint64_t>(extra, entry.size);
    }
    // The padding is a field of its own, of 4 bytes at least.
    const std::uint64_t before = written_ + 30 + name.size() + extra.size() + 4;
    const std::uint64_t padding = (alignment - before % alignment) % alignment;
    extra += "FB";
    number<std::uint16_t>(extra, padding);
    extra.append(padding, 'Z');

    std::string header;
    number<std::uint32_t>(header, 0x04034b50U);
    common(header, entry, large);
    number<std::uint16_t>(header, extra.size());
    write(header + name + extra);
    file_.write(data.data(), data.size());
    written_ += data.size();
    entries_.push_back(entry);
  }
  void add(const std::string& name, std::string_view text) {
    add(name, Bytes(reinterpret_cast<const std::byte*>(text.data()), text.size()));
  }

  /// Writes the directory; then the file is there, whole.
  void finish() {
    const std::uint64_t start = written_;
    for (const Entry& entry : entries_) write(directory_record(entry));
    const std::uint64_t size = written_ - start, count = entries_.size();
    const bool large = start >= zip64_from_ || size >= zip64_from_ || count >= 0xffff;
    std::string end;
    if (large) {
      number<std::uint32_t>(end, 0x06064b50U);
      number<std::uint64_t>(end, 44);  // bytes of this record that follow
      number<std::uint16_t>(end, 45);
      number<std::uint16_t>(end, 45);
      number<std::uint32_t>(end, 0);
      number<std::uint32_t>(end, 0);
      number<std::uint64_t>(end, count);
      number<std::uint64_t>(end, count);
      number<std::uint64_t>(end, size);
      number<std::uint64_t>(end, start);
      number<std::uint32_t>(end, 0x07064b50U);
      number<std::uint32_t>(end, 0);
      number<std::uint64_t>(end, written_);
      number<std::uint32_t>(end, 1);
    }
    number<std::uint32_t>(end, 0x06054b50U);
    number<std::uint32_t>(end, 0);
    number<std::uint16_t>(end, large ? 0xffff : count);
    number<std::uint16_t>(end, large ? 0xffff : count);
    number<std::uint32_t>(end, large ? 0xffffffffU : size);
    number<std::uint32_t>(end, large ? 0xffffffffU : start);
    number<std::uint16_t>(end, 0);
    write(end);
    file_.commit();
  }

 private:
  struct Entry {
    std::string name;
    std::uint64_t offset, size;
    std::uint32_t crc;
  };

  template <class U>
  static void number(std::string& to, std::uint64_t value) {
    for (std::size_t i = 0; i < sizeof(U); ++i) to += static_cast<char>(value >> 8 * i & 255U);
  }
  void write(const std::string& bytes) {
    file_.write(bytes.data(), bytes.size());
    written_ += bytes.size();
  }
  // What a local header and a directory record share, from the version needed to the length of the name.
  static void common(std::string& to, const Entry& entry, bool large) {
    number<std::uint16_t>(to, large ? 45 : 20);
    number<std::uint16_t>(to, 0x0800);      // names are UTF-8
    number<std::uint16_t>(to, 0);           // stored
    number<std::uint32_t>(to, 0x00210000);  // 1 January 1980: the same tensors give the same file
    number<std::uint32_t>(to, entry.crc);
    number<std::uint32_t>(to, large ? 0xffffffffU : entry.size);
    number<std::uint32_t>(to, large ? 0xffffffffU : entry.size);
    number<std::uint16_t>(to, entry.name.size());
  }
  [[nodiscard]] std::string directory_record(const Entry& entry) const {
    const bool large = entry.size >= zip64_from_, far = entry.offset >= zip64_from_;
    std::string fields;
    if (large) {
      number<std::uint64_t>(fields, entry.size);
      number<std::uint64_t>(fields, entry.size);
    }
    if (far) number<std::uint64_t>(fields, entry.offset);
    std::string extra;
    if (!fields.empty()) {
      number<std::uint16_t>(extra, 1);
      number<std::uint16_t>(extra, fields.size());
      extra += fields;
    }
    std::string out;
    number<std::uint32_t>(out, 0x02014b50U);
    number<std::uint16_t>(out, 45);
    common(out, entry, large);
    number<std::uint16_t>(out, extra.size());
    number<std::uint16_t>(out, 0);  // comment
    number<std::uint16_t>(out, 0);  // disk
    number<std::uint16_t>(out, 0);  // attributes
    number<std::uint32_t>(out, 0);
    number<std::uint32_t>(out, far ? 0xffffffffU : entry.offset);
    return out + entry.name + extra;
  }

  AtomicFile file_;
  std::uint64_t zip64_from_;
  std::uint64_t written_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace plume::io
