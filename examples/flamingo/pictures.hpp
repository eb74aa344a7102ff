#pragma once
// Picture files as a model's input.

#include "plume/image/transform.hpp"
#include "plume/io/mapped_file.hpp"
#include "plume/models/clip_vision.hpp"

namespace flamingo {

/// [1, M, 1, 3, S, S]: the transform of that encoder of each file. Throws naming the file that is no picture.
template <plume::Floating T>
plume::Tensor<T> load_pictures(const std::vector<std::string>& files,
                               const plume::models::ClipVisionSizes& encoder) {
  const plume::index_t side = encoder.image;
  plume::Tensor<T> out(
      plume::Shape{1, static_cast<plume::index_t>(files.size()), 1, 3, side, side});
  for (std::size_t i = 0; i < files.size(); ++i) {
    const plume::io::Source file = plume::io::Source::file(files[i]);
    const plume::Tensor<float> x =
        plume::image::transform(files[i], file.bytes, side, encoder.normalization);
    plume::Tensor<T> place = out.select(1, static_cast<plume::index_t>(i));
    place.copy_from(x.cast<T>().reshape(place.shape()));
  }
  return out;
}

}  // namespace flamingo
