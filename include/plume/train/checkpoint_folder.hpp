#pragma once
// Folders of checkpoints, of which a killed run, a full disk or a damaged one never costs the one before:
//
//   ROOT/step-00001000/          files, and manifest.json with the size and SHA-256 of each
//   ROOT/LATEST                  the name of the newest
//   ROOT/.tmp-step-00001000/     being written, or left over by a run that was killed
//
// A checkpoint is written under a name that does not count, flushed to the disk, renamed; then LATEST is replaced;
// then old ones go. One run at a time writes to a root.

#include <charconv>
#include <filesystem>
#include <optional>

#include "plume/core/dtype.hpp"
#include "plume/io/json.hpp"
#include "plume/io/sha256.hpp"

namespace plume::train {

/// Writes the manifest of the files in `folder`.
inline void write_manifest(const std::string& folder) {
  io::Json files;
  for (const std::string& name : durable::names_in(folder)) {
    const io::Source file = io::Source::file(cat(folder, "/", name));
    files[name] = {{"bytes", file.bytes.size()}, {"sha256", io::sha256(file.bytes)}};
  }
  const io::Json manifest{
      {"format", "plume training checkpoint"}, {"version", 1}, {"files", std::move(files)}};
  write_whole(folder + "/manifest.json", io::print_json(manifest) + "\n");
}

/// Throws FormatError unless every file of the manifest is there as it was written, and std::system_error where one
/// cannot be read.
inline void check_manifest(const std::string& folder) {
  const std::string path = folder + "/manifest.json";
  const io::Json manifest = io::read_json(path);
  const auto has = [&](const char* key, const io::Json& value) {
    return manifest.is_object() && manifest.contains(key) && manifest.at(key) == value;
  };
  if (!has("format", "plume training checkpoint") || !has("version", 1))
    fail<FormatError>(path, "the manifest of a training checkpoint, version 1",
                      io::print_json(manifest));
  const io::Json files = manifest.value("files", io::Json());
  if (!files.is_object() || files.empty()) fail<FormatError>(path, "files", io::print_json(files));
  for (const auto& [name, facts] : files.items()) {
    if (name.find('/') != std::string::npos)
      fail<FormatError>(path, "names of files in the folder", name);
    const std::string path_of_file = cat(folder, "/", name);
    if (!std::filesystem::exists(path_of_file))
      fail<FormatError>(path_of_file, "a file as in the manifest", "none");
    const io::Source file = io::Source::file(path_of_file);
    if (!facts.is_object() || facts.value("bytes", io::Json()) != file.bytes.size())
      fail<FormatError>(file.name, cat("a file as in the manifest, ", io::print_json(facts)),
                        cat(file.bytes.size(), " bytes"));
    const std::string digest = io::sha256(file.bytes);
    if (facts.value("sha256", io::Json()) != digest)
      fail<FormatError>(file.name, cat("a file as in the manifest, ", io::print_json(facts)),
                        cat("SHA-256 ", digest));
  }
}

class CheckpointFolders {
 public:
  /// The newest `keep` checkpoints stay. Nothing is touched before the first one is added.
  CheckpointFolders(std::string root, index_t keep) : root_(std::move(root)), keep_(keep) {
    if (keep < 1) fail<ValueError>("checkpoint", "at least 1 checkpoint to keep", keep);
  }

  /// Adds the checkpoint of `step`: write(folder) writes its files, `bytes` of them or a little more. Returns its
  /// folder. Throws std::system_error, with the path and the bytes wanted where the disk is full; then the
  /// checkpoints from before are as they were.
  template <class Write>
  std::string add(index_t step, std::uintmax_t bytes, Write write) const {
    durable::make_folder(root_);
    remove_left_over();
    const std::string name = free_name(step), written = path(".tmp-" + name);
    require_space(bytes);
    try {
      durable::make_folder(written);
      write(written);
      write_manifest(written);
      durable::flush_folder(written);
      durable::rename(written, path(name));
    } catch (...) {
      remove_quietly(written);
      throw;
    }
    durable::flush_folder(root_);
    write_whole(path("LATEST"), name + "\n");
    durable::flush_folder(root_);
    remove_old(name);
    return path(name);
  }

  /// The newest checkpoint that is whole, checked byte for byte: the one LATEST names, else the next older one. What
  /// was passed over, and why, is added to `problems`.
  [[nodiscard]] std::optional<std::string> latest(std::vector<std::string>& problems) const {
    std::vector<Name> candidates = checkpoints();
    if (candidates.empty()) return {};
    try {
      const std::string name = named();
      const auto at = std::find_if(candidates.begin(), candidates.end(),
                                   [&](const Name& c) { return c.text == name; });
      if (at == candidates.end())
        fail<FormatError>(path("LATEST"), "a checkpoint that is there", name);
      // Newer ones come last: a run that was set back left them, or one that was killed before it wrote LATEST.
      std::rotate(candidates.begin(), at, candidates.end());
    } catch (const std::exception& problem) {
      problems.emplace_back(problem.what());
    }
    for (const Name& name : candidates) {
      try {
        check_manifest(path(name.text));
        return path(name.text);
      } catch (const std::exception& problem) {
        problems.emplace_back(problem.what());
      }
    }
    return {};
  }

 private:
  struct Name {
    index_t step, version;
    std::string text;
  };

  [[nodiscard]] std::string path(const std::string& name) const { return cat(root_, "/", name); }

  /// "step-00001000", or "step-00001000-2" where that name was taken. No other name is a checkpoint's.
  static Name name_of(index_t step, index_t version) {
    std::string digits = cat(step);
    digits.insert(0, digits.size() < 8 ? 8 - digits.size() : 0, '0');
    return {step, version, cat("step-", digits, version == 1 ? "" : cat("-", version))};
  }
  static std::optional<Name> parse(const std::string& text) {
    const std::size_t first = 5;  // after "step-"
    Name out{0, 1, text};
    const char* end = text.data() + text.size();
    const auto number = [&](std::size_t at, index_t& to) {
      return at > text.size() ? nullptr : std::from_chars(text.data() + at, end, to).ptr;
    };
    const char* rest = number(first, out.step);
    if (rest != nullptr && rest != end)
      rest = number(static_cast<std::size_t>(rest - text.data()) + 1, out.version);
    // Written again, it must be the same text.
    if (rest != end || name_of(out.step, out.version).text != text) return {};
    return out;
  }

  /// The newest first.
  [[nodiscard]] std::vector<Name> checkpoints() const {
    std::vector<Name> out;
    if (!std::filesystem::is_directory(root_)) return out;
    for (const std::string& name : durable::names_in(root_)) {
      if (std::optional<Name> parsed = parse(name)) out.push_back(*std::move(parsed));
    }
    std::sort(out.begin(), out.end(), [](const Name& a, const Name& b) {
      return std::pair(a.step, a.version) > std::pair(b.step, b.version);
    });
    return out;
  }
  /// What LATEST says. Throws FormatError where that is no name of a checkpoint.
  [[nodiscard]] std::string named() const {
    const io::Source file = io::Source::file(path("LATEST"));
    const std::string name(file.text().substr(0, file.text().find('\n')));
    if (!parse(name)) fail<FormatError>(file.name, "the name of a checkpoint", name);
    return name;
  }

  /// A name for a checkpoint of `step`. A run that was set back finds one there that LATEST does not name: it goes,
  /// if the one LATEST names is whole.
  [[nodiscard]] std::string free_name(index_t step) const {
    Name name = name_of(step, 1);
    if (!std::filesystem::exists(path(name.text))) return name.text;
    try {
      const std::string latest = named();
      if (latest != name.text) {
        check_manifest(path(latest));
        retire(name.text);
        return name.text;
      }
    } catch (const FormatError&) {
    } catch (const std::system_error&) {  // no LATEST, or it cannot be read: then nothing goes
    }
    while (std::filesystem::exists(path(name.text))) name = name_of(step, name.version + 1);
    return name.text;
  }
  void require_space(std::uintmax_t bytes) const {
    const std::uintmax_t left = std::filesystem::space(root_).available;
    if (left >= bytes) return;
    throw std::system_error(
        ENOSPC, std::generic_category(),
        cat("[checkpoint] ", root_, ": ", bytes, " bytes wanted, ", left, " free"));
  }

  /// What killed runs left.
  void remove_left_over() const {
    for (const std::string& name : durable::names_in(root_)) {
      if (name.starts_with(".tmp-") || name.starts_with("LATEST.partial"))
        durable::remove_all(path(name));
    }
  }
  /// Half removed, it must not look like a checkpoint.
  void retire(const std::string& name) const {
    const std::string doomed = path(".tmp-old-" + name);
    durable::rename(path(name), doomed);
    durable::remove_all(doomed);
  }
  static void remove_quietly(const std::string& folder) {
    try {
      durable::remove_all(folder);
    } catch (const std::exception&) {  // the reason why it has to go is the one to hear of
    }
  }
  /// Newer ones, left by a run that was set back, are not counted and stay until the run comes to their step.
  void remove_old(const std::string& newest) const {
    const index_t step = parse(newest)->step;
    index_t kept = 1;
    for (const Name& name : checkpoints()) {
      if (name.step > step || name.text == newest) continue;
      if (name.step == step || ++kept > keep_) retire(name.text);
    }
  }

  std::string root_;
  index_t keep_;
};

}  // namespace plume::train
