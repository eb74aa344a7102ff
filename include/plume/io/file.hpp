#pragma once
// Files that are read by exact counts and written all or not at all.
//
// Trouble with the system (no such file, disk full) is a std::system_error that names the path; a file that
// ends too early is a FormatError.

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "plume/io/durable.hpp"

namespace plume {

/// A file open for reading, whose size is known.
class InputFile {
 public:
  explicit InputFile(std::string path)
      : path_(std::move(path)), file_(std::fopen(path_.c_str(), "rb")) {
    if (file_ == nullptr) detail::fail_file("open", path_);
    if (std::fseek(file_, 0, SEEK_END) == 0) size_ = std::ftell(file_);
    // A directory opens and then claims 2^63 - 1 bytes.
    if (size_ < 0 || size_ == __LONG_MAX__ || std::fseek(file_, 0, SEEK_SET) != 0) {
      std::fclose(file_);
      detail::fail_file("seek in", path_);
    }
  }
  ~InputFile() { std::fclose(file_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(size_); }
  /// Bytes between here and the end.
  [[nodiscard]] std::size_t left() const noexcept { return size() - position_; }

  /// The next `bytes` bytes; throws FormatError where the file is shorter. `what` is for the message.
  void read(void* to, std::size_t bytes, const char* what) {
    if (bytes > left()) {
      fail<FormatError>(path_, cat(bytes, " bytes of ", what, " at ", position_),
                        cat("a file of ", size(), " bytes"));
    }
    if (bytes != 0 && std::fread(to, 1, bytes, file_) != bytes) detail::fail_file("read", path_);
    position_ += bytes;
  }

 private:
  std::string path_;
  std::FILE* file_;
  long size_ = -1;
  std::size_t position_ = 0;
};

/// A file that appears under its name when commit() is called, whole, or never: it is written beside its
/// place and renamed. A file of that name from before stays until then. Where the disk is full, the message has
/// the path and the bytes wanted.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".partial") {
#ifdef __unix__
    temporary_ += std::to_string(getpid());
#endif
    std::error_code none;
    if (const auto there = std::filesystem::status(path_, none);
        std::filesystem::exists(there) && !std::filesystem::is_regular_file(there))
      fail<ValueError>(path_, "the name of a file to write", "a folder or a device");
    durable::announce(durable::Operation::create, temporary_);
    file_ = std::fopen(temporary_.c_str(), "wb");
    if (file_ == nullptr) detail::fail_file("create", temporary_);
  }
  ~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (committed_) return;
    try {
      durable::remove(temporary_);
    } catch (...) {  // a destructor has nobody to tell; what is left has a name of its own
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    durable::announce(durable::Operation::write, temporary_);
    wanted_ += bytes;
    if (std::fwrite(from, 1, bytes, file_) != bytes) fail_write();
  }
  /// Everything is on disk before the name changes.
  void commit() {
    durable::announce(durable::Operation::flush, temporary_);
    bool ok = std::fflush(file_) == 0;
#ifdef __unix__
    ok = ok && fsync(fileno(file_)) == 0;
#endif
    if (!ok) fail_write();
    if (std::fclose(std::exchange(file_, nullptr)) != 0) detail::fail_file("close", temporary_);
    durable::rename(temporary_, path_);
    committed_ = true;
  }

 private:
  [[noreturn]] void fail_write() const {
    detail::fail_file(cat("write ", wanted_, " bytes to"), temporary_);
  }

  std::string path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
  std::size_t wanted_ = 0;  // bytes given to write() so far
  bool committed_ = false;
};

/// A file of `text`, flushed to the disk, in place of one of that name.
inline void write_whole(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace plume
