// Golden pictures: decoding, the evaluation transform, Pillow's resize alone.

#include "plume/image/transform.hpp"
#include "plume/io/weights.hpp"
#include "verify/groups.hpp"
#include "verify/values.hpp"

using namespace plume;

namespace flamingo {

namespace {

/// PNG pictures bit for bit. Of JPEG ones, `share` of the values within 1 level, and all within 3: what
/// stb_image's inverse cosine transform and chroma upsampling leave.
void levels(const std::string& name, const std::uint8_t* got, std::size_t size,
            const io::StoredTensor& recorded, bool exact, Report& report) {
  const Tensor<std::uint8_t> e = recorded.to<std::uint8_t>();
  if (size != static_cast<std::size_t>(e.numel()))
    return report.wrong(name, cat(size, " values, expected ", e.numel()));
  int worst = 0;
  index_t near = 0, at = 0;
  for (index_t i = 0; i < e.numel(); ++i) {
    const int d = std::abs(got[i] - e.data()[i]);
    near += d <= 1;
    if (d > worst) {
      worst = d;
      at = i;
    }
  }
  const double far =
      1 - static_cast<double>(near) / static_cast<double>(std::max<index_t>(1, e.numel()));
  report.add({name, worst / 255.0, (exact ? 0 : 3) / 255.0, static_cast<double>(worst),
              worst == 0 ? "" : cat("value ", at)});
  if (!exact) report.within(name + " share off by more than 1", far, 0.02);
}

}  // namespace

void verify_images(const std::filesystem::path& folder, Report& report) {
  using namespace plume::image;
  const io::Json c = io::read_json((folder / "case.json").string());
  const io::StateDict expected = io::read_weights((folder / "expected.safetensors").string());
  Normalization constants;
  for (std::size_t i = 0; i < 3; ++i) {
    if (c.contains("mean")) constants.mean[i] = c["mean"].at(i).get<float>();
    if (c.contains("std")) constants.deviation[i] = c["std"].at(i).get<float>();
  }
  for (const auto& [key, facts] : c.at("files").items()) {
    const std::string name = key;
    const io::Source file = io::Source::file((folder / "files" / name).string());
    Picture picture;
    try {
      picture = decode(name, file.bytes);
    } catch (const std::exception& error) {
      report.wrong(name, error.what());
      continue;
    }
    const bool exact = file.bytes[0] == std::byte{0x89};  // PNG; else JPEG
    if (facts.contains("pillow_size"))
      report.equal(name + " size", io::Json::array({picture.width, picture.height}),
                   facts["pillow_size"]);
    if (exact && expected.contains(name + ".decoded")) {
      const Picture rgb = to_rgb(picture);
      levels(name + ".decoded", rgb.bytes.data(), rgb.bytes.size(), expected.at(name + ".decoded"),
             true, report);
    }
    if (expected.contains(name + ".crop")) {
      const Picture crop = fit(picture, facts.at("size"));
      levels(name + ".crop", crop.bytes.data(), crop.bytes.size(), expected.at(name + ".crop"),
             exact, report);
    }
    if (expected.contains(name + ".normalized32")) {
      const Tensor<double> e = expected.at(name + ".normalized32").to<double>();
      const Tensor<float> x = normalize(fit(picture, e.size(-1)), constants);
      // One unit of float32's rounding; for JPEG, 3 levels.
      report.add(difference(name + ".normalized32", x, e, exact ? 2e-7 : 0.03));
    }
  }
  if (!std::filesystem::exists(folder / "resize.safetensors")) return;
  const io::StateDict resized = io::read_weights((folder / "resize.safetensors").string());
  for (const auto& [name, tensor] : resized) {
    if (!name.ends_with(".in")) continue;
    const std::string out = name.substr(0, name.size() - 2) + "out";
    const Tensor<std::uint8_t> in = tensor.to<std::uint8_t>();
    Picture picture{Mode::rgb, in.size(1), in.size(0), {}};
    picture.bytes.assign(in.data(), in.data() + in.numel());
    const Shape to = resized.at(out).shape();
    const Picture result = resize(picture, to[1], to[0]);
    levels("resize " + out, result.bytes.data(), result.bytes.size(), resized.at(out), true,
           report);
  }
}

}  // namespace flamingo
