#pragma once
// A folder of a test's own, gone afterwards.

#include <stdlib.h>  // mkdtemp

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace plume::test {

struct Folder {
  std::filesystem::path path;

  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "plume_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), name);
    path = name;
  }
  explicit Folder(const std::string& copy_of) : Folder() {
    std::filesystem::copy(copy_of, path, std::filesystem::copy_options::recursive);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string file(const std::string& name = "x") const {
    return (path / name).string();
  }
  /// Writes a file of that name, in place of one that is there; its path.
  std::string put(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::filesystem::remove(path / name);
    std::ofstream(path / name, std::ios::binary) << bytes;
    return file(name);
  }
  /// How many files and folders it holds.
  [[nodiscard]] std::ptrdiff_t count() const {
    return std::distance(std::filesystem::directory_iterator(path), {});
  }
};

}  // namespace plume::test
