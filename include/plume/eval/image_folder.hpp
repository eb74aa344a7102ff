#pragma once
// A tree of pictures whose first folders are classes, read in the order of torchvision's ImageFolder.

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "plume/core/error.hpp"

namespace plume::eval {

struct ImageFolder {
  std::vector<std::string> classes;  ///< names of the folders, sorted
  std::vector<std::pair<std::filesystem::path, std::size_t>>
      files{};  ///< with the place in `classes`
};

namespace detail {

/// What ImageFolder takes for a picture, whether or not Plume decodes it: what is there is never left out silently.
inline bool has_picture_name(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  if (end.empty()) end = path.filename().string();  // ".jpg" has no extension here
  for (char& x : end) x = static_cast<char>(x >= 'A' && x <= 'Z' ? x + 32 : x);
  for (const char* known :
       {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
    if (end == known) return true;
  return false;
}

}  // namespace detail

/// All pictures in and below each folder of `root`: folders by their names, a folder's own files before those of its
/// folders. Links to folders are followed. Throws FormatError where there is no class, or a class has no picture.
inline ImageFolder image_folder(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  ImageFolder out;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory()) out.classes.push_back(entry.path().filename().string());
  std::sort(out.classes.begin(), out.classes.end());
  if (out.classes.empty()) fail<FormatError>(root.string(), "a folder for each class", "none");
  for (std::size_t c = 0; c < out.classes.size(); ++c) {
    std::vector<std::pair<std::string, std::string>> found;  // folder and name
    const fs::path folder = root / out.classes[c];
    for (const auto& entry : fs::recursive_directory_iterator(
             folder, fs::directory_options::follow_directory_symlink)) {
      if (entry.is_regular_file() && detail::has_picture_name(entry.path()))
        found.emplace_back(entry.path().parent_path().string(), entry.path().filename().string());
    }
    if (found.empty()) {
      fail<FormatError>(folder.string(),
                        "pictures (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp)",
                        "none");
    }
    std::sort(found.begin(), found.end());
    for (const auto& [in, name] : found) out.files.emplace_back(fs::path(in) / name, c);
  }
  return out;
}

}  // namespace plume::eval
