#pragma once
// TarWriter: shards in the plain form that every tar reads (POSIX ustar), the same bytes for the same files: a block
// of header and whole blocks of bytes per file, two blocks of zeros at the end.

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "plume/io/file.hpp"

namespace plume::data {

class TarWriter {
 public:
  /// The file appears under its name with commit(), whole, or never.
  explicit TarWriter(const std::string& path) : file_(path) {}

  /// Throws ValueError where the name is empty or longer than 100 bytes, or the file is of 8 GiB or more.
  void add(std::string_view name, std::span<const std::byte> bytes) {
    if (name.empty() || name.size() > 100 || name.find('\0') != std::string_view::npos)
      fail<ValueError>("TarWriter", "a name of 1 to 100 bytes", name);
    if (bytes.size() >> 33 != 0) fail<ValueError>("TarWriter", "less than 8 GiB", bytes.size());
    std::array<char, block> header{};
    const auto put = [&](std::size_t at, std::string_view text) {
      text.copy(header.data() + at, text.size());
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(bytes.size(), 11));
    put(136, octal(0, 11));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    std::size_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6) + '\0' + ' ');
    file_.write(header.data(), header.size());
    file_.write(bytes.data(), bytes.size());
    zeros((block - bytes.size() % block) % block);
  }
  void add(std::string_view name, std::string_view text) {
    add(name, std::as_bytes(std::span(text.data(), text.size())));
  }

  void commit() {
    zeros(2 * block);
    file_.commit();
  }

 private:
  static constexpr std::size_t block = 512;

  static std::string octal(std::size_t value, std::size_t width) {
    std::string digits(width, '0');
    for (std::size_t i = width; i-- > 0; value /= 8) digits[i] = static_cast<char>('0' + value % 8);
    return digits;
  }
  void zeros(std::size_t bytes) {
    static constexpr std::array<char, 2 * block> nothing{};
    file_.write(nothing.data(), bytes);
  }

  AtomicFile file_;
};

}  // namespace plume::data
