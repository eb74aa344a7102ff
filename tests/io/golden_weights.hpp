#pragma once
// What tests/golden/weights/expected.json says of a file, compared with what a reader made of it.

#include <doctest/doctest.h>

#include "plume/io/json.hpp"
#include "plume/io/sha256.hpp"
#include "plume/io/stored_tensor.hpp"

namespace plume::test {

inline const std::string golden_weights = "tests/golden/weights/";

/// Names, types, shapes and the SHA-256 of the bytes of every tensor.
inline void check_state(const io::StateDict& state, const io::Json& expected) {
  CHECK(state.size() == expected.size());
  for (const io::Json& tensor : expected) {
    const auto name = tensor["name"].get<std::string>();
    INFO("tensor ", name);
    REQUIRE(state.contains(name));
    const io::StoredTensor& stored = state.at(name);
    CHECK(std::string(io::info(stored.type()).torch) == tensor["dtype"].get<std::string>());
    CHECK(std::vector<index_t>(stored.shape().begin(), stored.shape().end()) ==
          tensor["shape"].get<std::vector<index_t>>());
    const std::vector<std::byte> bytes = stored.contiguous_bytes();
    CHECK(io::sha256(bytes) == tensor["sha256"].get<std::string>());
  }
}

}  // namespace plume::test
