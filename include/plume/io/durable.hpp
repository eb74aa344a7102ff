#pragma once
// The few things that are done to files where losing data matters, each in one place, so that a test can make
// any one of them fail: a checkpoint must survive whichever it is.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#ifdef __unix__
#include <fcntl.h>
#include <unistd.h>
#endif

#include "plume/core/error.hpp"

namespace plume {

namespace detail {
[[noreturn]] inline void fail_file(std::string_view what, const std::string& path) {
  throw std::system_error(errno, std::generic_category(), cat("[file] cannot ", what, " ", path));
}
}  // namespace detail

namespace durable {

enum class Operation { make_folder, create, write, flush, rename, remove };

/// Called before each operation, with its path. What it throws comes in place of the operation; that is how a
/// test makes one fail. One for the whole process, null unless set.
inline void (*before_operation)(Operation, const std::string& path) = nullptr;

inline void announce(Operation operation, const std::string& path) {
  if (before_operation != nullptr) before_operation(operation, path);
}

/// A folder and those above it, if they are not there.
inline void make_folder(const std::string& path) {
  announce(Operation::make_folder, path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw std::system_error(error, cat("[file] cannot create the folder ", path));
}

/// What the folder lists is on disk: after this a power cut does not undo a rename in it.
inline void flush_folder(const std::string& path) {
  announce(Operation::flush, path);
#ifdef __unix__
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) detail::fail_file("open", path);
  // Some network file systems flush no folders and say so by EINVAL.
  const bool ok = ::fsync(folder) == 0 || errno == EINVAL;
  ::close(folder);
  if (!ok) detail::fail_file("flush", path);
#endif
}

/// In one step, in place of a file of that name; a folder only where there is none.
inline void rename(const std::string& from, const std::string& to) {
  announce(Operation::rename, to);
  if (std::rename(from.c_str(), to.c_str()) != 0) detail::fail_file("rename to", to);
}

/// A file or an empty folder; none there is no error.
inline void remove(const std::string& path) {
  announce(Operation::remove, path);
  if (std::remove(path.c_str()) != 0 && errno != ENOENT) detail::fail_file("remove", path);
}

/// The names in a folder, sorted.
inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

/// A file, or a folder with what it holds. Links are removed, not followed.
inline void remove_all(const std::string& path) {
  if (std::filesystem::is_directory(std::filesystem::symlink_status(path))) {
    for (const std::string& name : names_in(path)) remove_all(cat(path, "/", name));
  }
  remove(path);
}

}  // namespace durable
}  // namespace plume
