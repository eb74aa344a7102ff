#pragma once
// MappedFile: a file as a span of bytes. Pages are read when touched; writing into them changes the memory
// of this process only, never the file.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <span>
#include <string_view>

#include "plume/io/file.hpp"

namespace plume::io {

using Bytes = std::span<const std::byte>;

class MappedFile {
 public:
  /// Throws std::system_error naming the path where the file cannot be opened or mapped.
  explicit MappedFile(std::string path) : path_(std::move(path)) {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) plume::detail::fail_file("open", path_);
    struct stat status {};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(file);
      if (errno == 0 || S_ISDIR(status.st_mode)) errno = EISDIR;
      plume::detail::fail_file("read", path_);
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {
      data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    }
    ::close(file);
    if (data_ == MAP_FAILED) plume::detail::fail_file("map", path_);
  }
  ~MappedFile() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] Bytes bytes() const noexcept {
    return {static_cast<const std::byte*>(data_), size_};
  }

 private:
  std::string path_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Bytes with whatever keeps them alive: a mapped file, a buffer in memory.
struct Source {
  std::string name;  ///< for messages: a path
  Bytes bytes;
  std::shared_ptr<void> owner;

  static Source file(const std::string& path) {
    auto mapped = std::make_shared<MappedFile>(path);
    const Bytes bytes = mapped->bytes();
    return {path, bytes, std::move(mapped)};
  }
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

}  // namespace plume::io
