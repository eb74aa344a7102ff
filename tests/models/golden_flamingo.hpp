#pragma once
// A golden Flamingo case: the model built from its files.

#include "verify/model_case.hpp"

namespace plume::test {

template <Floating T>
std::unique_ptr<models::Flamingo<T>> build_golden(const std::string& folder) {
  return flamingo::open_case<T>(folder);
}

}  // namespace plume::test
