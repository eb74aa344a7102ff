#pragma once
// A folder of pictures with a text beside each, as people keep them: which files are pairs, and why others are not.
//
//   a.jpg a.txt   B.JPG B.txt   f.1.5x.png f.1.5x.txt       a pair is what stands before the last dot

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plume/core/error.hpp"

namespace plume::data {

struct PairFolder {
  struct Pair {
    std::filesystem::path picture, caption;
    std::string kind;  ///< of the picture, in lower case: jpg, jpeg or png
  };
  std::vector<Pair> pairs;                                   ///< by name
  std::size_t files = 0;                                     ///< and folders, that were looked at
  std::map<std::string, std::vector<std::string>> left_out;  ///< names by reason, sorted
};

/// Reads the names in a folder; kinds (.jpg, .jpeg, .png, .txt) count in upper and lower case. Of several pictures with one
/// text the first of jpg, png, jpeg counts. Throws FormatError where there is no such folder or no pair in it.
inline PairFolder read_pair_folder(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder))
    fail<FormatError>(folder.string(), "a folder of pictures and texts", "none of that name");
  struct Found {
    std::vector<std::pair<int, fs::path>> pictures, captions;  // by preference, then by name
  };
  const std::map<std::string_view, int> order{{"jpg", 0}, {"png", 1}, {"jpeg", 2}};
  PairFolder out;
  std::map<std::string, Found> stems;
  for (const auto& entry : fs::directory_iterator(folder)) {
    ++out.files;
    const std::string name = entry.path().filename().string();
    const std::size_t dot = name.rfind('.');
    const std::string written = dot == std::string::npos ? "" : name.substr(dot + 1);
    std::string kind = written;
    for (char& c : kind) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (name.starts_with('.')) {
      out.left_out["hidden"].push_back(name);
    } else if (entry.is_directory()) {
      out.left_out["a folder"].push_back(name);
    } else if (!entry.is_regular_file()) {
      out.left_out["no file that can be read"].push_back(name);
    } else if (kind == "txt") {
      stems[name.substr(0, dot)].captions.emplace_back(kind == written ? 0 : 1, entry.path());
    } else if (const auto known = order.find(kind); known != order.end()) {
      stems[name.substr(0, dot)].pictures.emplace_back(
          2 * known->second + (kind == written ? 0 : 1), entry.path());
    } else {
      out.left_out["neither .jpg, .jpeg, .png nor .txt"].push_back(name);
    }
  }
  for (auto& [stem, found] : stems) {
    std::sort(found.pictures.begin(), found.pictures.end());
    std::sort(found.captions.begin(), found.captions.end());
    const bool pair = !found.pictures.empty() && !found.captions.empty();
    const auto leave_out = [&](const auto& files, const char* alone, const char* second) {
      for (std::size_t i = pair ? 1 : 0; i < files.size(); ++i)
        out.left_out[pair ? second : alone].push_back(files[i].second.filename().string());
    };
    leave_out(found.pictures, "a picture without a text", "a second picture for one text");
    leave_out(found.captions, "a text without a picture", "a second text for one picture");
    if (!pair) continue;
    const auto& [rank, picture] = found.pictures.front();
    out.pairs.push_back({picture, found.captions.front().second,
                         rank / 2 == 0   ? "jpg"
                         : rank / 2 == 1 ? "png"
                                         : "jpeg"});
  }
  for (auto& [reason, names] : out.left_out) std::sort(names.begin(), names.end());
  if (out.pairs.empty()) {
    std::string why;
    for (const auto& [reason, names] : out.left_out) why += cat(", ", names.size(), " ", reason);
    fail<FormatError>(folder.string(), "pictures with a .txt of the same name beside them",
                      cat("none among ", out.files, " files", why));
  }
  return out;
}

}  // namespace plume::data
