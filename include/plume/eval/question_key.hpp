#pragma once
// The id of a record as a key of a map.

#include <string>

#include "plume/text/fields.hpp"

namespace plume::eval {

/// Some data sets number their questions, others name them.
inline std::string question_key(const text::Field& id) {
  if (id.is_string()) return id.string();
  if (!id.json().is_number_integer()) id.refuse("a number or a name");
  return io::print_json(id.json());
}

}  // namespace plume::eval
