#pragma once
// preflight: what is wrong with a list of shards, before a run is started on it.

#include "plume/data/source.hpp"

namespace plume::data {

/// A sentence per problem: shards that are not there or cannot be read, that begin with no record, or are too few for
/// the ranks. Only the beginning of each shard is read. Empty where all is well.
inline std::vector<std::string> preflight(const SourceOptions& options) {
  std::vector<std::string> problems;
  if (options.sampling != Sampling::resampled && options.shards.size() < options.world) {
    problems.push_back(cat(options.shards.size(), " shards for ", options.world,
                           " ranks: each rank needs one of its own"));
  }
  if (options.shards.empty()) problems.emplace_back("no shards");
  for (const std::string& path : options.shards) {
    try {
      Shard shard(path);
      if (!shard.next()) throw Drop("shard: no record");
    } catch (const Drop& drop) {
      problems.push_back(path + ": " + drop.what());
    }
  }
  return problems;
}

/// Throws FormatError with the first problems, where there are any.
inline void require_preflight(const SourceOptions& options) {
  const std::vector<std::string> problems = preflight(options);
  if (problems.empty()) return;
  std::string what = cat(problems.size(), " problems");
  for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 10); ++i)
    what += "; " + problems[i];
  fail<FormatError>("data", "shards that can be read", what);
}

}  // namespace plume::data
