#pragma once
// The folder of a run:
//
//   config.json       what the run was told: "configuration", "may_change", "versions"
//   log.jsonl         events/          what happened (train/log.hpp; for TensorBoard)
//   checkpoints/      to go on from, the last few
//   checkpoint.pt     what was learnt, as the reference stores it
//   report.html
//
// A folder belongs to one configuration. Who comes with another one is refused, and told the difference.

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
    const std::string before = then.contains(key) ? then[key].dump() : "not said";
    const std::string after = now.contains(key) ? now[key].dump() : "not said";
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

class RunFolder {
 public:
  /// Makes the folder, or enters it again with the same `configuration`; throws ValueError where it is another. With
  /// `fresh` the run that is there is removed first: the files above, and no other.
  RunFolder(std::string path, const io::Json& configuration, const io::Json& may_change,
            const io::Json& versions, bool fresh = false)
      : path_(std::move(path)) {
    namespace fs = std::filesystem;
    const std::string config = path_ + "/config.json";
    if (fs::exists(config) && !fresh) {
      const io::Json then = io::read_json(config);
      if (!then.is_object() || !then.contains("configuration") ||
          !then["configuration"].is_object())
        fail<FormatError>(config, "the configuration of a run", "none");
      require_same_configuration(path_, then["configuration"], configuration);
    }
    if (fresh) {
      for (const char* name : {"config.json", "log.jsonl", "events", "checkpoints", "checkpoint.pt",
                               "samples", "report.html"})
        fs::remove_all(path_ + "/" + name);
    }
    fs::create_directories(path_);
    AtomicFile file(config);
    const std::string text =
        io::Json{
            {"configuration", configuration}, {"may_change", may_change}, {"versions", versions}}
            .dump(2) +
        "\n";
    file.write(text.data(), text.size());
    file.commit();
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace plume::train
