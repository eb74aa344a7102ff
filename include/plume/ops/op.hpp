#pragma once
// OpInfo: what the registry knows of an op. Each op's header holds one; ops/registry.hpp lists them all,
// and tests and benches must cover every entry.

#include <string_view>

namespace plume {

struct OpInfo {
  std::string_view name;     ///< as in messages and tests: "layer_norm"
  std::string_view formula;  ///< one line
  bool device = false;       ///< has a device kernel (forward and backward)
};

}  // namespace plume
