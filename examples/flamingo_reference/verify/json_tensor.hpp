#pragma once
// Matrices that golden files hold as JSON.

#include "plume/core/tensor.hpp"
#include "plume/io/json.hpp"

namespace flamingo {

/// Rows of equal length to [rows, columns].
inline plume::Tensor<float> tensor_of(const plume::io::Json& rows) {
  const auto height = static_cast<plume::index_t>(rows.size());
  const auto width = height == 0 ? 0 : static_cast<plume::index_t>(rows[0].size());
  plume::Tensor<float> out(plume::Shape{height, width});
  float* at = out.data();
  for (const plume::io::Json& row : rows) {
    if (static_cast<plume::index_t>(row.size()) != width)
      plume::fail<plume::FormatError>("matrix", plume::cat("rows of ", width), row.size());
    for (const plume::io::Json& x : row) *at++ = x.get<float>();
  }
  return out;
}

}  // namespace flamingo
