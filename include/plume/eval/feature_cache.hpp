#pragma once
// Features of pictures for RICES, kept on disk: a safetensors file with "features" [N, E] of unit rows, "pictures"
// [N, 4], the SHA-256 of the file that each row is of, and in its metadata the encoder. A row is found by the contents of
// its picture, wherever the picture lies and whichever others are asked for.

#include <array>
#include <functional>
#include <map>

#include "plume/core/parallel.hpp"
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
  const EvaluationMode mode;
  for (index_t first = 0; first < N; first += batch) {
    const index_t n = std::min(batch, N - first);
    Tensor<T> pixels(Shape{n, 3, S, S});
    for (index_t i = 0; i < n; ++i) {
      Tensor<T> place = pixels.select(0, i);
      const PictureFile& file = files[static_cast<std::size_t>(first + i)];
      place.copy_from(pixels_of(file, S, encoder.sizes.normalization).template cast<T>());
    }
    const Tensor<T> pooled = encoder(Var<T>(pixels)).pooled.value();
    out.slice(0, first, first + n).copy_from(pooled.template cast<float>());
    if (heard) heard(first + n, N);
  }
  return unit_rows(out);
}

/// What a row is of: the contents of a picture and how it is opened. Throws std::system_error naming the file.
using PictureDigest = std::array<std::int64_t, 4>;
inline PictureDigest picture_digest(const PictureFile& file) {
  const io::Source source = io::Source::file(file.path.string());
  const std::string hex = io::sha256(source.bytes);
  PictureDigest out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::int64_t>(std::stoull(hex.substr(16 * i, 16), nullptr, 16));
  out[0] ^= file.as_rgb ? 1 : 0;
  return out;
}

namespace detail {

/// Rows by their pictures.
struct KeptFeatures {
  std::map<PictureDigest, index_t> places{};
  Tensor<float> rows{};  ///< [places, E]
};

/// What the file at `path` holds of the encoder; nothing where it holds nothing that can be used, and `say` hears why.
inline KeptFeatures kept_features(const std::string& path, const std::string& encoder,
                                  const std::function<void(const std::string&)>& say) {
  if (!fs::exists(path)) return {};
  try {
    const io::Safetensors file = io::read_safetensors(path);
    const auto known = file.metadata.find("encoder");
    if (known == file.metadata.end() || !file.tensors.contains("features") ||
        !file.tensors.contains("pictures")) {
      say(cat(path, " holds no features that name their pictures; they are computed anew"));
      return {};
    }
    if (known->second != encoder) {
      say(cat(path, " is of another encoder; the features are computed anew"));
      return {};
    }
    const Tensor<float> rows = file.tensors.at("features").to<float>().contiguous();
    const Tensor<std::int64_t> pictures =
        file.tensors.at("pictures").to<std::int64_t>().contiguous();
    if (rows.rank() != 2 || pictures.rank() != 2 || pictures.size(0) != rows.size(0) ||
        pictures.size(1) != 4) {
      say(cat(path, " holds features of another shape; they are computed anew"));
      return {};
    }
    KeptFeatures out{{}, rows.clone()};  // the file is written anew
    for (index_t i = 0; i < rows.size(0); ++i)
      out.places.emplace(
          PictureDigest{pictures(i, 0), pictures(i, 1), pictures(i, 2), pictures(i, 3)}, i);
    return out;
  } catch (const FormatError& error) {
    say(cat(error.what(), "; the features are computed anew"));
    return {};
  }
}

}  // namespace detail

/// The features of `files` in their order: of those that the file at `path` holds, as it has them; of the others as
/// `compute` gives them, [files, E], which are then kept there too. `encoder` says all that features depend on beside the
/// pictures. `say` hears why a file was not used. Throws ShapeError where `compute` gives another shape.
inline Tensor<float> cached_features(
    const std::string& path, const std::string& encoder, std::span<const PictureFile> files,
    const std::function<Tensor<float>(std::span<const PictureFile>)>& compute,
    const std::function<void(const std::string&)>& say) {
  std::vector<PictureDigest> digests(files.size());
  constexpr index_t cost_ns = 500'000;
  parallel_for(std::ssize(files), cost_ns, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i)
      digests[static_cast<std::size_t>(i)] = picture_digest(files[static_cast<std::size_t>(i)]);
  });
  detail::KeptFeatures kept = detail::kept_features(path, encoder, say);
  std::vector<PictureFile> missing;
  std::vector<PictureDigest> missing_digests;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto place = static_cast<index_t>(kept.places.size());
    if (!kept.places.emplace(digests[i], place).second) continue;
    missing.push_back(files[i]);
    missing_digests.push_back(digests[i]);
  }
  if (!missing.empty()) {
    const Tensor<float> made = compute(missing);
    const index_t before = kept.rows.defined() ? kept.rows.size(0) : 0;
    if (made.rank() != 2 || made.size(0) != std::ssize(missing) ||
        (before > 0 && made.size(1) != kept.rows.size(1)))
      fail<ShapeError>("feature cache", cat("features [", missing.size(), ", E]"), made.shape());
    Tensor<float> all(Shape{before + made.size(0), made.size(1)});
    if (before > 0) all.slice(0, 0, before).copy_from(kept.rows);
    all.slice(0, before, all.size(0)).copy_from(made);
    kept.rows = all;
    Tensor<std::int64_t> pictures(Shape{all.size(0), 4});
    for (const auto& [digest, place] : kept.places)
      for (index_t j = 0; j < 4; ++j) pictures(place, j) = digest[static_cast<std::size_t>(j)];
    io::StateDict tensors;
    tensors.add("features", io::StoredTensor(all));
    tensors.add("pictures", io::StoredTensor(pictures));
    io::write_safetensors(path, tensors, {{"encoder", encoder}});
  }
  Tensor<float> out(Shape{std::ssize(files), kept.rows.defined() ? kept.rows.size(1) : 0});
  for (index_t i = 0; i < out.size(0); ++i)
    out.select(0, i).copy_from(
        kept.rows.select(0, kept.places.at(digests[static_cast<std::size_t>(i)])));
  return out;
}

}  // namespace plume::eval
