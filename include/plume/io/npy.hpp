#pragma once
// .npy, the array file of NumPy (numpy.lib.format, versions 1.0 and 2.0).
//
//   "\x93NUMPY"  major minor  header length (2 or 4 bytes, little endian)  header  data
//   header:  {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  spaces  newline
//
// A header is text from a stranger: it is parsed by a grammar that knows these three keys and nothing else,
// no size is believed before it was checked for overflow and against the bytes the file has, and nothing is
// allocated before that. Big-endian files and types without a Plume scalar are refused; so is bfloat16,
// for which NumPy has no type.

#include <bit>
#include <string>
#include <string_view>

#include "plume/core/tensor.hpp"
#include "plume/io/file.hpp"

namespace plume {

struct NpyHeader {
  DType dtype = DType::f32;
  Shape shape;
  bool fortran_order = false;  ///< the data is column-major: first index fastest
};

namespace detail {

static_assert(std::endian::native == std::endian::little, ".npy is read and written as it lies");

struct NpyType {
  DType dtype;
  std::string_view descr;
  std::size_t bytes;
};
inline constexpr NpyType npy_types[] = {
    {DType::f32, "<f4", 4}, {DType::f64, "<f8", 8}, {DType::f16, "<f2", 2}, {DType::i32, "<i4", 4},
    {DType::i64, "<i8", 8}, {DType::u8, "|u1", 1},  {DType::b8, "|b1", 1},
};
constexpr const NpyType* npy_type(DType dtype) {
  for (const NpyType& type : npy_types) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

/// The dictionary of a header. Every rejection says what was expected, and what stands there.
class NpyParser {
 public:
  NpyParser(std::string_view path, std::string_view text) : path_(path), text_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    unsigned seen = 0;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      const unsigned bit = key == "descr" ? 1U : key == "fortran_order" ? 2U : 4U;
      if (bit == 4U && key != "shape") reject("the key descr, fortran_order or shape", key);
      if ((seen & bit) != 0) reject("each key once", key);
      seen |= bit;
      expect(':');
      if (bit == 1U) header.dtype = dtype();
      if (bit == 2U) header.fortran_order = boolean();
      if (bit == 4U) header.shape = shape();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (!text_.empty()) reject("nothing after the dictionary", text_.substr(0, 20));
    if (seen != 7U) reject("descr, fortran_order and shape", "a header without one of them");
    return header;
  }

 private:
  [[noreturn]] void reject(std::string_view expected, std::string_view got) const {
    std::string shown;
    for (const char c : got.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
    fail<FormatError>(path_, cat("in the header: ", expected), cat("\"", shown, "\""));
  }
  void skip() noexcept {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool accept(char c) noexcept {
    skip();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) reject(std::string(1, c), text_.substr(0, 20));
  }
  std::string_view string() {
    skip();
    const char quote = text_.empty() ? '\0' : text_[0];
    if (quote != '\'' && quote != '"') reject("a quoted string", text_.substr(0, 20));
    const std::size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) reject("a closing quote", text_.substr(0, 20));
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    skip();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(0, word.size()) == word) {
        text_.remove_prefix(word.size());
        return word == "True";
      }
    }
    reject("True or False", text_.substr(0, 20));
  }
  DType dtype() {
    skip();
    if (!text_.empty() && text_[0] == '[') reject("one scalar type", "a structured one");
    const std::string_view descr = string();
    for (const NpyType& type : npy_types) {
      if (descr == type.descr) return type.dtype;
    }
    reject("one of <f4 <f8 <f2 <i4 <i8 |u1 |b1 (little endian)", descr);
  }
  index_t size() {
    skip();
    index_t value = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (__builtin_mul_overflow(value, index_t{10}, &value) ||
          __builtin_add_overflow(value, index_t{text_[digits] - '0'}, &value)) {
        reject("a size below 2^63", text_.substr(0, 40));
      }
    }
    if (digits == 0) reject("a size", text_.substr(0, 20));
    text_.remove_prefix(digits);
    return value;
  }
  Shape shape() {
    Dims sizes;
    index_t product = 1;
    expect('(');
    while (!accept(')')) {
      if (sizes.rank() == max_rank) reject(cat("at most ", max_rank, " axes"), "more");
      const index_t n = size();
      // Below 2^60 elements, so that neither strides nor bytes overflow; zeros must not hide the others.
      if (__builtin_mul_overflow(product, n == 0 ? 1 : n, &product) || product >> 60 != 0) {
        reject("fewer than 2^60 elements", "more");
      }
      sizes.push_back(n);
      if (!accept(',')) {
        if (sizes.rank() == 1) reject("a comma after the only size", text_.substr(0, 20));
        expect(')');
        break;
      }
    }
    return Shape(sizes);
  }

  std::string_view path_;
  std::string_view text_;
};

/// The header, checked against the file's size; the file is then at the first byte of data.
inline NpyHeader read_npy_header(InputFile& file) {
  char start[8];
  file.read(start, 8, "magic and version");
  if (std::string_view(start, 6) != "\x93NUMPY") {
    fail<FormatError>(file.path(), "an .npy file (which starts with \\x93NUMPY)", "other bytes");
  }
  const int major = static_cast<unsigned char>(start[6]);
  const int minor = static_cast<unsigned char>(start[7]);
  if ((major != 1 && major != 2) || minor != 0) {
    fail<FormatError>(file.path(), "version 1.0 or 2.0", cat(major, ".", minor));
  }
  unsigned char length_bytes[4] = {};
  file.read(length_bytes, major == 1 ? 2 : 4, "header length");
  std::size_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | length_bytes[i];
  if (length > file.left()) {
    fail<FormatError>(file.path(), cat("a header of ", length, " bytes"),
                      cat(file.left(), " bytes to the end of the file"));
  }
  std::string text(length, ' ');
  file.read(text.data(), length, "header");
  const NpyHeader header = NpyParser(file.path(), text).parse();
  const std::size_t bytes =
      static_cast<std::size_t>(header.shape.numel()) * npy_type(header.dtype)->bytes;
  if (bytes != file.left()) {
    fail<FormatError>(
        file.path(),
        cat(bytes, " bytes of data for ", name(header.dtype), " of shape ", header.shape),
        cat(file.left(), " bytes"));
  }
  return header;
}

}  // namespace detail

/// What is in the file, without reading the data; for choosing the T of read_npy.
inline NpyHeader npy_header(const std::string& path) {
  InputFile file(path);
  return detail::read_npy_header(file);
}

/// The array in the file, row-major. Throws FormatError for a damaged file, DtypeError for another scalar.
template <Scalar T>
Tensor<T> read_npy(const std::string& path) {
  static_assert(!std::is_same_v<T, bfloat16>, "bfloat16 has no .npy type: read float and cast it");
  InputFile file(path);
  const NpyHeader header = detail::read_npy_header(file);
  if (header.dtype != dtype_of<T>) {
    fail<DtypeError>("read_npy", cat(dtype_name<T>(), " in ", path), name(header.dtype));
  }
  Dims sizes = header.shape;
  Dims reversed;
  for (int axis = 0; axis < sizes.rank(); ++axis) {
    const int from = sizes.rank() - 1 - axis;
    reversed.push_back(from);
    if (header.fortran_order) sizes[axis] = header.shape[from];
  }
  Tensor<T> out{Shape(sizes)};
  file.read(out.data(), static_cast<std::size_t>(out.numel()) * sizeof(T), "data");
  if constexpr (std::is_same_v<T, bool>) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(out.data());
    for (index_t i = 0; i < out.numel(); ++i) {
      if (bytes[i] > 1) fail<FormatError>(path, "bool data of 0 and 1", int{bytes[i]});
    }
  }
  return header.fortran_order ? out.permute(reversed).contiguous() : out;
}

/// Writes version 1.0, row-major. The file appears whole or not at all.
template <Scalar T>
void write_npy(const std::string& path, const Tensor<T>& tensor) {
  static_assert(!std::is_same_v<T, bfloat16>, "bfloat16 has no .npy type: cast it to float first");
  if (!tensor.defined()) fail<ValueError>("write_npy", "a tensor", "an undefined one");
  std::string shape;
  for (const index_t size : tensor.shape()) shape += cat(size, tensor.rank() == 1 ? "," : ", ");
  if (tensor.rank() > 1) shape.resize(shape.size() - 2);
  std::string header = cat("{'descr': '", detail::npy_type(dtype_of<T>)->descr,
                           "', 'fortran_order': False, 'shape': (", shape, "), }");
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  const char start[10] = {'\x93',
                          'N',
                          'U',
                          'M',
                          'P',
                          'Y',
                          '\x01',
                          '\x00',
                          static_cast<char>(header.size() & 0xff),
                          static_cast<char>(header.size() >> 8)};
  const Tensor<T> x = tensor.to(cpu).contiguous();
  AtomicFile file(path);
  file.write(start, sizeof start);
  file.write(header.data(), header.size());
  file.write(x.data(), static_cast<std::size_t>(x.numel()) * sizeof(T));
  file.commit();
}

}  // namespace plume
