#pragma once
// Features of pictures for RICES, kept on disk: a safetensors file with "features" [N, E] of unit rows, and a key in
// its metadata that says of which encoder and which pictures they are.

#include <functional>

#include "plume/eval/context.hpp"
#include "plume/eval/rices.hpp"
#include "plume/io/safetensors.hpp"
#include "plume/io/sha256.hpp"
#include "plume/models/clip_vision.hpp"

namespace plume::eval {

/// Hears how many of how many pictures are encoded.
using OnPictures = std::function<void(index_t done, index_t all)>;

/// Unit rows [N, E] of an encoder's pooled features of `files`, computed `batch` at a time.
template <Floating T>
Tensor<float> picture_features(const models::ClipVision<T>& encoder,
                               std::span<const PictureFile> files, index_t batch,
                               const OnPictures& heard = {}) {
  if (batch < 1) fail<ValueError>("picture_features", "a batch of at least 1", batch);
  const index_t S = encoder.sizes.image, N = std::ssize(files);
  Tensor<float> out(Shape{N, encoder.sizes.embed});
  const NoGrad scope;
  for (index_t first = 0; first < N; first += batch) {
    const index_t n = std::min(batch, N - first);
    Tensor<T> pixels(Shape{n, 3, S, S});
    for (index_t i = 0; i < n; ++i) {
      Tensor<T> place = pixels.select(0, i);
      place.copy_from(pixels_of(files[static_cast<std::size_t>(first + i)], S).template cast<T>());
    }
    const Tensor<T> pooled = encoder(Var<T>(pixels)).pooled.value();
    out.slice(0, first, first + n).copy_from(pooled.template cast<float>());
    if (heard) heard(first + n, N);
  }
  return unit_rows(out);
}

/// What a cache is of: `weights` names the encoder (a digest of its files), `files` are known by name and size.
inline std::string feature_key(const std::string& weights, std::span<const PictureFile> files) {
  std::string text = weights;
  for (const PictureFile& file : files) {
    std::error_code error;
    const auto size = fs::file_size(file.path, error);
    if (error) fail<FormatError>("feature cache", "a picture", cat("no ", file.path.string()));
    text += cat("\n", file.path.string(), " ", size);
  }
  return io::sha256(std::as_bytes(std::span(text)));
}

/// The features in the file at `path` if its key is `key`, else those of `compute`, which are then kept there. `say`
/// hears why a file was not used. Throws ShapeError where `compute` gives another number of rows than `rows`.
inline Tensor<float> cached_features(const std::string& path, const std::string& key, index_t rows,
                                     const std::function<Tensor<float>()>& compute,
                                     const std::function<void(const std::string&)>& say) {
  if (fs::exists(path)) {
    try {
      const io::Safetensors file = io::read_safetensors(path);
      const auto known = file.metadata.find("key");
      if (known == file.metadata.end() || !file.tensors.contains("features")) {
        say(cat(path, " holds no features; they are computed anew"));
      } else if (known->second != key) {
        say(cat(path, " is of another encoder or of other pictures; computed anew"));
      } else if (Tensor<float> x = file.tensors.at("features").to<float>();
                 x.rank() == 2 && x.size(0) == rows) {
        return x;
      } else {
        say(cat(path, " holds features of another shape; they are computed anew"));
      }
    } catch (const FormatError& error) {
      say(cat(error.what(), "; the features are computed anew"));
    }
  }
  const Tensor<float> x = compute();
  if (x.rank() != 2 || x.size(0) != rows)
    fail<ShapeError>("feature cache", cat("features [", rows, ", E]"), x.shape());
  io::StateDict tensors;
  tensors.add("features", io::StoredTensor(x));
  io::write_safetensors(path, tensors, {{"key", key}});
  return x;
}

}  // namespace plume::eval
