#pragma once
// Which images a text token may look at.
//
// The text time of token t is the number of <image> tokens up to and including t: 0 before the first image.
// Flamingo (arXiv 2204.14198) lets a token attend to its last preceding image alone; attending to all
// preceding ones is the common variant.

#include "plume/core/tensor.hpp"

namespace plume::nn {

enum class MediaMask {
  immediate,     ///< the last preceding image
  all_previous,  ///< every preceding image
};

/// Text times [B, T] of ids [B, T]: how many `image_token` stand at or before each place.
template <Index I>
Tensor<std::int64_t> text_times(const Tensor<I>& ids, index_t image_token) {
  if (ids.rank() != 2) fail<ShapeError>("text_times", "ids [B, T]", ids.shape());
  Tensor<std::int64_t> out(ids.shape());
  for (index_t b = 0; b < ids.size(0); ++b) {
    std::int64_t time = 0;
    for (index_t t = 0; t < ids.size(1); ++t) {
      time += static_cast<index_t>(ids(b, t)) == image_token;
      out(b, t) = time;
    }
  }
  return out;
}

/// How a token treats an image.
enum class Look {
  away,     ///< it is masked
  attends,  ///< by softmax, with the other images it attends to
  mean,     ///< every image is masked alike, so the token takes the mean over all of them
};

/// How a token of text time `time` treats image `image` of 1 .. M.
inline Look look(MediaMask mask, index_t time, index_t image, index_t M) {
  const bool immediate = mask == MediaMask::immediate;
  if (immediate ? time > M : time == 0) return Look::mean;
  return (immediate ? image == time : image <= time) ? Look::attends : Look::away;
}

}  // namespace plume::nn
