#pragma once
// The files of answers in the folder of an evaluation: predictions.jsonl, or one of each rank.

#include <filesystem>

#include "plume/eval/scores.hpp"
#include "plume/io/file.hpp"

namespace flamingo {

inline std::string answers_name(std::size_t rank, std::size_t world) {
  return world == 1 ? "predictions.jsonl"
                    : plume::cat("predictions-", rank, "-of-", world, ".jsonl");
}

/// Of a file, or of a folder: predictions.jsonl, else those of all ranks. Throws FormatError where there are none, or
/// a rank's is missing.
inline std::vector<plume::eval::Answer> answers_at(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) return plume::eval::read_answers(path);
  const std::string whole = path + "/" + answers_name(0, 1);
  if (fs::exists(whole)) return plume::eval::read_answers(whole);
  std::size_t world = 0;
  for (const std::string& name : plume::durable::names_in(path)) {
    const std::string first = "predictions-0-of-";
    if (!name.starts_with(first) || !name.ends_with(".jsonl")) continue;
    if (world != 0)
      plume::fail<plume::FormatError>(path, "the answers of one number of ranks", name);
    world = std::strtoul(name.c_str() + first.size(), nullptr, 10);
  }
  if (world == 0)
    plume::fail<plume::FormatError>(path, "predictions.jsonl, or predictions-0-of-N.jsonl",
                                    "neither");
  std::vector<plume::eval::Answer> all;
  for (std::size_t rank = 0; rank < world; ++rank) {
    const std::string file = path + "/" + answers_name(rank, world);
    if (!fs::exists(file))
      plume::fail<plume::FormatError>(file, "the answers of a rank", "no file");
    for (plume::eval::Answer& a : plume::eval::read_answers(file)) all.push_back(std::move(a));
  }
  return all;
}

/// Cuts off a last line that was not written whole.
inline void cut_torn_line(const std::string& path) {
  if (!std::filesystem::exists(path)) return;
  std::size_t kept = 0;
  {
    const plume::io::Source file = plume::io::Source::file(path);
    for (std::size_t i = file.bytes.size(); i > 0 && kept == 0; --i)
      if (file.bytes[i - 1] == std::byte{'\n'}) kept = i;
  }
  std::filesystem::resize_file(path, kept);
}

}  // namespace flamingo
