#pragma once
// MMC4 as it is published (Zhu et al., arXiv 2304.06939): documents in JSON lines, zipped, that name their pictures;
// the pictures somebody downloaded, in a folder. Put together they are the documents of documents.hpp.
//
//   docs_shard_7_v2.jsonl.zip    {"text_list": .., "image_info": [{"image_name": "a.png", ..}, ..], ..} a line
//   PICTURES/a.png               or PICTURES/K/a.png for file K of a list, as OpenFlamingo's converter looks
//
// A picture goes in as the bytes it has (the converter writes it anew as JPEG). One that is not there, or that
// training could not read, is left out and counted; so is a document without any.

#include <map>

#include "plume/data/pairs.hpp"
#include "plume/data/tar.hpp"
#include "plume/io/base64.hpp"

namespace plume::data {

/// What became of documents and pictures, by reason: seen = used + left out, for both.
struct Mmc4Counts {
  std::uint64_t documents = 0, used_documents = 0, pictures = 0, used_pictures = 0;
  std::map<std::string, std::uint64_t> left_out_documents, left_out_pictures;
};

namespace detail {

/// The picture of one entry of image_info, in base64. Throws Drop.
inline std::string mmc4_picture(const io::Json& entry,
                                const std::vector<std::filesystem::path>& folders) {
  if (!entry.is_object() || !entry.contains("image_name") || !entry["image_name"].is_string())
    throw Drop("no image_name");
  const auto& name = entry["image_name"].get_ref<const std::string&>();
  if (name.empty() || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
    throw Drop("an image_name that is no name of a file");
  for (const std::filesystem::path& folder : folders) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(folder / name, error)) continue;
    const io::Source file = io::Source::file((folder / name).string());
    const SamplePicture picture = decoded(name, {file.bytes.begin(), file.bytes.end()});
    return io::base64_encode(picture.file);
  }
  throw Drop("not in the folder");
}

}  // namespace detail

/// Fills in image_base64 where the picture is found in the first of `folders` that has it. Throws Drop where the
/// document is none, or has no picture in the end.
inline void add_mmc4_pictures(io::Json& document, const std::vector<std::filesystem::path>& folders,
                              Mmc4Counts& counts) {
  if (!document.is_object() || !document.contains("image_info") ||
      !document["image_info"].is_array())
    throw Drop("no image_info");
  std::size_t found = 0;
  for (io::Json& entry : document["image_info"]) {
    ++counts.pictures;
    try {
      entry["image_base64"] = detail::mmc4_picture(entry, folders);
      ++counts.used_pictures;
      ++found;
    } catch (const Drop& drop) {
      ++counts.left_out_pictures[drop.what()];
    }
  }
  if (found == 0) throw Drop("no picture of it is there");
}

/// Calls use(text of a document with its pictures) for every document of `path`, JSON lines or a zip of files of
/// JSON lines. Throws FormatError where the file itself cannot be read.
template <class F>
void for_each_mmc4_document(const std::string& path,
                            const std::vector<std::filesystem::path>& folders, Mmc4Counts& counts,
                            F use) {
  const auto lines = [&](std::string_view rest) {
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      ++counts.documents;
      try {
        auto document = io::try_parse_json(line);
        if (!document) throw Drop("a line that is not JSON");
        add_mmc4_pictures(*document, folders, counts);
        use(io::print_json(*document, -1, io::Nonfinite::python));
        ++counts.used_documents;
      } catch (const Drop& drop) {
        ++counts.left_out_documents[drop.what()];
      }
    }
  };
  if (!path.ends_with(".zip")) {
    const io::Source file = io::Source::file(path);
    return lines(file.text());
  }
  try {
    Zip zip(path);
    while (const std::optional<Member> member = zip.next()) {
      if (!member->problem.empty()) throw Drop(member->problem);
      lines(characters(member->bytes));
    }
  } catch (const Drop& drop) {
    fail<FormatError>(path, "a whole zip archive", drop.what());
  }
}

}  // namespace plume::data
