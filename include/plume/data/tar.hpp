#pragma once
// Tar shards, plain or compressed, read front to back with libarchive: the members (Tar), and the records that
// the members of one key make (Shard), grouped as WebDataset does. Zip archives are read in the same way (Zip).
//
// A shard that cannot be read (on) ends with a Drop that says why, after the records before it.

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "plume/data/sample.hpp"

namespace plume::data {

struct Member {
  std::string name;
  FileBytes bytes{};
  std::string problem{};  ///< why the bytes are not there; empty where they are
};

class Archive {
 public:
  static constexpr std::size_t most_bytes = std::size_t{1} << 28;  ///< of one member

  /// The next regular file; nothing after the last. Throws Drop where the tar is cut or damaged.
  std::optional<Member> next() {
    while (!ended_) {
      archive_entry* entry = nullptr;
      const int status = archive_read_next_header(archive_.get(), &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
        ended_ = true;
        throw Drop(std::exchange(first_, false) ? none_ : "shard: cut or damaged");
      }
      first_ = false;
      if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
        continue;
      const char* name = archive_entry_pathname(entry);
      if (name == nullptr) name = archive_entry_pathname_utf8(entry);
      if (name == nullptr) continue;
      Member out{name};
      read_bytes(out, archive_entry_size(entry));
      return out;
    }
    ended_ = true;
    return std::nullopt;
  }

 protected:
  /// Throws Drop where the file is none or is empty, and with `none` as reason where it is of another format.
  Archive(const std::string& path, const char* none, void (*support)(archive*))
      : archive_(archive_read_new()), none_(none) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) throw Drop("shard: no such file");
    if (std::filesystem::file_size(path, error) == 0 && !error) throw Drop("shard: an empty file");
    if (!std::ifstream(path).good()) throw Drop("shard: cannot be opened");
    if (archive_ == nullptr) throw std::bad_alloc();
    archive* a = archive_.get();
    support(a);
    if (archive_read_open_filename(a, path.c_str(), std::size_t{1} << 18) != ARCHIVE_OK)
      throw Drop(none_);
  }

 private:
  struct Close {
    void operator()(archive* a) const { archive_read_free(a); }
  };

  void read_bytes(Member& member, std::int64_t size) {
    if (size < 0 || static_cast<std::uint64_t>(size) > most_bytes) {
      member.problem = "a file over the limit of bytes";
      return;
    }
    // A header may promise more than there is: memory grows with what is read.
    const auto whole = static_cast<std::size_t>(size);
    std::size_t got = 0;
    while (got < whole) {
      member.bytes.resize(std::min(whole, got + (std::size_t{1} << 22)));
      const la_ssize_t n =
          archive_read_data(archive_.get(), member.bytes.data() + got, member.bytes.size() - got);
      if (n <= 0) {
        member.bytes.clear();
        member.problem = "cut off by the end of the shard";
        return;
      }
      got += static_cast<std::size_t>(n);
    }
    // A zip's checksum is looked at where its end is.
    std::byte more{};
    if (archive_format(archive_.get()) == ARCHIVE_FORMAT_ZIP &&
        archive_read_data(archive_.get(), &more, 1) != 0) {
      member.bytes.clear();
      member.problem = "a wrong checksum";
    }
  }

  std::unique_ptr<archive, Close> archive_;
  const char* none_;
  bool first_ = true, ended_ = false;
};

class Tar : public Archive {
 public:
  explicit Tar(const std::string& path)
      : Archive(path, "shard: no tar", [](archive* a) {
          archive_read_support_format_tar(a);
          archive_read_support_filter_gzip(a);
          archive_read_support_filter_bzip2(a);
          archive_read_support_filter_xz(a);
          archive_read_support_filter_zstd(a);
        }) {}
};

class Zip : public Archive {
 public:
  explicit Zip(const std::string& path)
      : Archive(path, "shard: no zip", [](archive* a) { archive_read_support_format_zip(a); }) {}
};

/// "dir/a.b.JPG" is the file "b.jpg" of the key "dir/a"; nothing for a name without a dot.
inline std::optional<std::pair<std::string, std::string>> key_and_suffix(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', base);
  if (dot == std::string_view::npos || dot == base) return std::nullopt;
  std::string suffix(name.substr(dot + 1));
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::pair(std::string(name.substr(0, dot)), std::move(suffix));
}

/// The records of one shard, in order. Files of one key must follow each other; a suffix met twice begins a new
/// record, as keys are not unique.
class Shard {
 public:
  explicit Shard(std::string path) : path_(std::move(path)), tar_(path_) {}

  /// Nothing after the last; throws Drop, once, where the shard ends before its time.
  std::optional<Record> next() {
    while (!ended_) {
      std::optional<Member> member;
      try {
        member = tar_.next();
      } catch (const Drop&) {
        ended_ = true;
        if (!open_) throw;
        broken_ = std::current_exception();
        break;
      }
      if (!member) {
        ended_ = true;
        break;
      }
      auto name = key_and_suffix(member->name);
      if (!name || is_meta(member->name)) continue;
      std::optional<Record> done;
      if (!open_ || open_->key != name->first || open_->find(name->second) != nullptr)
        done = std::exchange(open_, Record{path_, std::move(name->first)});
      if (!member->problem.empty()) open_->problem = member->problem;
      open_->files.emplace_back(std::move(name->second), std::move(member->bytes));
      if (done) return done;
    }
    if (open_) return std::exchange(open_, std::nullopt);
    if (broken_) std::rethrow_exception(std::exchange(broken_, nullptr));
    return std::nullopt;
  }

 private:
  /// WebDataset keeps notes of its own in files and folders like __meta__.
  static bool is_meta(std::string_view name) {
    const std::string_view first = name.substr(0, name.find('/'));
    return first.size() >= 4 && first.starts_with("__") && first.ends_with("__");
  }

  std::string path_;
  Tar tar_;
  std::optional<Record> open_;
  std::exception_ptr broken_;
  bool ended_ = false;
};

}  // namespace plume::data
