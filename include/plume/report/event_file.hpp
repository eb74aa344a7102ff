#pragma once
// Event files, as TensorBoard reads them: scalars by tag and step.
//
//   record:  length u64 | masked CRC-32C of these 8 bytes | data | masked CRC-32C of the data      (TFRecord)
//   data:    a protobuf message Event { wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7 }
//
// Source: tensorflow/core/util/event.proto, core/framework/summary.proto, core/lib/io/record_writer.h.

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#ifdef __unix__
#include <unistd.h>
#endif

#include "plume/core/shape.hpp"
#include "plume/io/file.hpp"

namespace plume::report {

/// CRC-32C (Castagnoli: reflected, polynomial 0x82F63B78).
inline std::uint32_t crc32c(std::string_view bytes) noexcept {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> out{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      out[i] = i;
      for (int k = 0; k < 8; ++k)
        out[i] = (out[i] & 1U) != 0 ? out[i] >> 1 ^ 0x82F63B78U : out[i] >> 1;
    }
    return out;
  }();
  std::uint32_t crc = ~0U;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 255U] ^ crc >> 8;
  return ~crc;
}

/// So that the checksum of data that holds checksums is no special number: rotated, and a constant added.
inline std::uint32_t masked_crc32c(std::string_view bytes) noexcept {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8U;
}

namespace detail {

/// A number of `bytes` bytes, the least first.
inline void put_fixed(std::string& to, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 255U);
}
inline void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 128; value >>= 7) to += static_cast<char>((value & 127U) | 128U);
  to += static_cast<char>(value);
}
// Fields of a protobuf message: number << 3 | kind, then the value.
inline void put_integer(std::string& to, unsigned field, std::int64_t value) {
  put_varint(to, field << 3);
  put_varint(to, static_cast<std::uint64_t>(value));
}
inline void put_double(std::string& to, unsigned field, double value) {
  put_varint(to, field << 3 | 1U);
  put_fixed(to, std::bit_cast<std::uint64_t>(value), 8);
}
inline void put_bytes(std::string& to, unsigned field, std::string_view value) {
  put_varint(to, field << 3 | 2U);
  put_varint(to, value.size());
  to += value;
}
inline void put_float(std::string& to, unsigned field, float value) {
  put_varint(to, field << 3 | 5U);
  put_fixed(to, std::bit_cast<std::uint32_t>(value), 4);
}

}  // namespace detail

/// One record of a file of records.
inline std::string record(std::string_view data) {
  std::string out;
  detail::put_fixed(out, data.size(), 8);
  detail::put_fixed(out, masked_crc32c(out), 4);
  out += data;
  detail::put_fixed(out, masked_crc32c(data), 4);
  return out;
}

class EventFile {
 public:
  /// A new file in `folder`, which is made if it is not there. TensorBoard joins the files of a folder. A run that goes
  /// on after `step` steps says so, and what older files have of later steps is forgotten.
  explicit EventFile(const std::string& folder, std::optional<index_t> step = std::nullopt) {
    durable::make_folder(folder);
    const double now = seconds();
    std::string host = "localhost";
    long process = 0;
#ifdef __unix__
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) == 0 && name[0] != 0) host = name;
    process = getpid();
#endif
    for (int number = 0; file_ == nullptr; ++number) {
      path_ = cat(folder, "/events.out.tfevents.", static_cast<long long>(now), ".", host, ".",
                  process, ".", number);
      file_ = std::fopen(path_.c_str(), "wbx");
      if (file_ == nullptr && errno != EEXIST) plume::detail::fail_file("create", path_);
    }
    try {
      std::string event;
      detail::put_double(event, 1, now);
      detail::put_bytes(event, 3, "brain.Event:2");
      write(event);
      if (step) {
        std::string started;
        detail::put_integer(started, 1, 1);  // SessionLog { status = START }
        event.clear();
        detail::put_double(event, 1, now);
        detail::put_integer(event, 2, *step + 1);  // this one and later ones are forgotten
        detail::put_bytes(event, 7, started);
        write(event);
      }
      flush();
    } catch (...) {
      std::fclose(file_);
      throw;
    }
  }
  ~EventFile() { std::fclose(file_); }
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// A slash in the tag groups charts: "loss/pairs". The value is kept as a float.
  void scalar(const std::string& tag, index_t step, double value) {
    std::string point, summary, event;
    detail::put_bytes(point, 1, tag);
    detail::put_float(point, 2, static_cast<float>(value));
    detail::put_bytes(summary, 1, point);
    detail::put_double(event, 1, seconds());
    detail::put_integer(event, 2, step);
    detail::put_bytes(event, 5, summary);
    write(event);
  }
  /// What was written is in the file when this returns.
  void flush() {
    if (std::fflush(file_) != 0) plume::detail::fail_file("write", path_);
  }

 private:
  /// Since 1970.
  static double seconds() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  void write(std::string_view event) {
    const std::string bytes = record(event);
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size())
      plume::detail::fail_file("write", path_);
  }

  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace plume::report
