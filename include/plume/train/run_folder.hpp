#pragma once
// The folder of a run:
//
//   config.json       what the run was told: "configuration", "may_change", "versions"
//   log.jsonl         events/          what happened (train/log.hpp; for TensorBoard)
//   checkpoints/      to go on from, the last few
//   checkpoint.pt     what was learnt, as the reference stores it
//   report.html
//
// As soon as it has a checkpoint, a folder belongs to one configuration. Who comes with another one is refused, and told
// the difference.

#include <fcntl.h>     // open
#include <sys/file.h>  // flock
#include <unistd.h>    // close

#include <cerrno>
#include <filesystem>
#include <string>

#include "plume/io/file.hpp"
#include "plume/io/json.hpp"

namespace plume::train {

/// "lr 0.0001, now 0.0002; seed 1, now 2": in what two objects differ. Empty where in nothing.
inline std::string differences(const io::Json& then, const io::Json& now) {
  io::Json all = then;
  all.update(now);
  std::string out;
  for (const auto& [key, value] : all.items()) {
    const std::string before = then.contains(key) ? io::print_json(then[key]) : "not said";
    const std::string after = now.contains(key) ? io::print_json(now[key]) : "not said";
    if (before != after) out += cat(out.empty() ? "" : "; ", key, " ", before, ", now ", after);
  }
  return out;
}

/// Throws ValueError naming what differs.
inline void require_same_configuration(const std::string& run, const io::Json& then,
                                       const io::Json& now) {
  const std::string what = differences(then, now);
  if (!what.empty())
    fail<ValueError>("train", cat("the configuration with which ", run, " was begun"), what);
}

/// Throws ValueError where the folder holds something of a run with another configuration that one could go on from.
inline void require_same_run(const std::string& run, const io::Json& configuration) {
  const std::string config = run + "/config.json";
  if (!std::filesystem::exists(config) || !std::filesystem::exists(run + "/checkpoints")) return;
  const io::Json then = io::read_json(config);
  if (!then.is_object() || !then.contains("configuration") || !then["configuration"].is_object())
    fail<FormatError>(config, "the configuration of a run", "none");
  require_same_configuration(run, then["configuration"], configuration);
}

/// While it lives, no other process, and no other of these, works in the folder.
class RunFolder {
 public:
  /// Makes the folder, or enters it again with the same `configuration`; throws ValueError where it is another, or
  /// somebody works in it. With `fresh` the run that is there is removed first: the files above, and no other.
  RunFolder(std::string path, const io::Json& configuration, const io::Json& may_change,
            const io::Json& versions, bool fresh = false)
      : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    folder_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_ < 0) plume::detail::fail_file("open", path_);
    try {
      enter(configuration, may_change, versions, fresh);
    } catch (...) {
      ::close(folder_);
      throw;
    }
  }
  ~RunFolder() { ::close(folder_); }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  void enter(const io::Json& configuration, const io::Json& may_change, const io::Json& versions,
             bool fresh) {
    if (::flock(folder_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) plume::detail::fail_file("lock", path_);
      fail<ValueError>("train", cat("a run folder of its own, not ", path_),
                       "one in which another run is at work");
    }
    if (fresh) {
      for (const char* name :
           {"config.json", "log.jsonl", "events", "checkpoints", "checkpoint.pt", "report.html"})
        std::filesystem::remove_all(path_ + "/" + name);
    }
    require_same_run(path_, configuration);
    const io::Json config{
        {"configuration", configuration}, {"may_change", may_change}, {"versions", versions}};
    write_whole(path_ + "/config.json", io::print_json(config, 2) + "\n");
  }

  std::string path_;
  int folder_ = -1;  ///< held open, and locked
};

}  // namespace plume::train
