#include "plume/io/npy.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "tests/support/compare.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::test;

namespace {

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string get(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
// A version 1.0 file.
std::string npy(const std::string& header, const std::string& data) {
  const auto n = header.size();
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(n & 0xff) +
         static_cast<char>(n >> 8) + header + data;
}
std::string message(const std::string& bytes) {
  const Folder folder;
  put(folder.file(), bytes);
  try {
    (void)read_npy<float>(folder.file());
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no FormatError";
}
bool says(const std::string& text, const char* part) { return text.find(part) != text.npos; }

template <class T>
void round_trip(const Tensor<T>& x) {
  const Folder folder;
  write_npy(folder.file(), x);
  CHECK(same_bits(read_npy<T>(folder.file()), x));
  CHECK(npy_header(folder.file()).dtype == dtype_of<T>);
  CHECK(folder.count() == 1);
}

TEST_CASE("npy: what is written is read back, for every scalar and shape") {
  round_trip(Tensor<float>({2, 3}, {0, -0.0F, 1.5F, std::numeric_limits<float>::infinity(), 1e-45F,
                                    std::numeric_limits<float>::quiet_NaN()}));
  round_trip(Tensor<double>({3}, {0.1, 2, 3}));
  round_trip(Tensor<float>({2}, {1.5F, -2}).cast<half>());
  round_trip(Tensor<std::int32_t>({1, 2}, {INT32_MIN, INT32_MAX}));
  round_trip(Tensor<std::int64_t>({2, 1}, {INT64_MIN, INT64_MAX}));
  round_trip(Tensor<std::uint8_t>({2}, {0, 255}));
  round_trip(Tensor<bool>({3}, {true, false, true}));
  round_trip(scalar(7.0F));
  round_trip(Tensor<float>(Shape{0}));
  round_trip(Tensor<float>(Shape{3, 0, 2}));
  round_trip(arange<float>(256).reshape({2, 2, 2, 2, 2, 2, 2, 2}));
  round_trip(arange<float>(6).reshape({2, 3}).permute({1, 0}));  // strided
}

TEST_CASE("npy: the bytes are those NumPy writes") {
  const Folder folder;
  write_npy(folder.file(), Tensor<float>({1}, {1}));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  const std::string expected = npy(header + std::string(128 - 10 - 1 - header.size(), ' ') + "\n",
                                   std::string("\x00\x00\x80\x3f", 4));
  CHECK(get(folder.file()) == expected);
  write_npy(folder.file(), scalar(1.0F));
  CHECK(says(get(folder.file()), "'shape': (), }"));
  write_npy(folder.file(), zeros<bool>({2, 3}));
  CHECK(says(get(folder.file()), "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }"));
}

TEST_CASE("npy: Fortran order, version 2, double quotes and other spacing are understood") {
  const Folder folder;
  const std::string data("\x00\x01\x02\x03\x04\x05", 6);
  put(folder.file(), npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", data));
  const Tensor<std::uint8_t> x = read_npy<std::uint8_t>(folder.file());
  CHECK(x.is_contiguous());
  CHECK(same_bits(x, Tensor<std::uint8_t>({2, 3}, {0, 2, 4, 1, 3, 5})));

  const std::string header = "{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"|u1\"}";
  put(folder.file(), std::string("\x93NUMPY\x02\x00", 8) + static_cast<char>(header.size()) +
                         std::string(3, '\0') + header + data);
  CHECK(read_npy<std::uint8_t>(folder.file())(5) == 5);
}

TEST_CASE("npy: a damaged or hostile file is refused, with reasons") {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  const std::string one(4, '\0');
  REQUIRE(message(npy(good, one)) == "no FormatError");

  CHECK(says(message(""), "expected 8 bytes of magic and version at 0, got a file of 0 bytes"));
  CHECK(says(message("PK\x03\x04 something else"), "expected an .npy file"));
  CHECK(says(message(std::string("\x93NUMPY\x03\x00\x00\x00", 10)),
             "expected version 1.0 or 2.0, got 3.0"));
  CHECK(says(message(std::string("\x93NUMPY\x01\x00\x01", 9)), "2 bytes of header length"));
  CHECK(says(message(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)),
             "expected a header of 4294967295 bytes, got 0 bytes"));
  CHECK(says(message(npy(good, "")), "expected 4 bytes of data for float of shape [1], got 0"));
  CHECK(says(message(npy(good, one + "x")), "got 5 bytes"));

  const auto header = [&](const char* text) { return message(npy(text, one)); };
  CHECK(says(header(""), "expected in the header: {"));
  CHECK(says(header("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }"), "got \">f4\""));
  CHECK(says(header("{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }"), "got \"<V2\""));
  CHECK(says(header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"),
             "got \"a structured one\""));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }"), "True or False"));
  CHECK(says(header("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }"), "each key once"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, }"), "without one of them"));
  CHECK(says(header("{'descr': '<f4', 'evil': 1, }"), "got \"evil\""));
  CHECK(says(header("{'descr': '<f4"), "a closing quote"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (1), }"), "a comma"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "a size"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,"), "a size"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } import os"),
             "nothing after the dictionary"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }"),
             "at most 8 axes"));
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }"),
             "a size below 2^63"));
  CHECK(
      says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
           "fewer than 2^60"));
  // The product is 0, but the strides would overflow.
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, "
                    "'shape': (0, 4294967296, 4294967296), }"),
             "fewer than 2^60"));
  // A petabyte is claimed, four bytes are there; nothing is allocated.
  const std::size_t before = cpu_memory().stats().total.peak;
  CHECK(says(header("{'descr': '<f4', 'fortran_order': False, 'shape': (281474976710656,), }"),
             "expected 1125899906842624 bytes of data"));
  CHECK(cpu_memory().stats().total.peak == before);
  CHECK(says(header("{'descr': '\x01\x02', }"), "got \"??\""));
}

TEST_CASE("npy: every truncation of a good file is refused") {
  const Folder folder;
  write_npy(folder.file(), arange<float>(5));
  const std::string whole = get(folder.file());
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CHECK(message(whole.substr(0, n)) != "no FormatError");
  }
}

TEST_CASE("npy: another scalar, bytes that are no bool, no file, no folder") {
  const Folder folder;
  write_npy(folder.file(), arange<std::int32_t>(3));
  CHECK_THROWS_AS((void)read_npy<float>(folder.file()), DtypeError);
  put(folder.file(), npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", "\x02"));
  CHECK_THROWS_AS((void)read_npy<bool>(folder.file()), FormatError);
  CHECK_THROWS_AS((void)read_npy<float>(folder.file("none.npy")), std::system_error);
  CHECK_THROWS_AS((void)read_npy<float>(folder.path.string()), std::system_error);
  CHECK_THROWS_AS(write_npy(folder.file("none/x.npy"), scalar(1.0F)), std::system_error);
  CHECK_THROWS_AS(write_npy(folder.file(), Tensor<float>{}), ValueError);
}

TEST_CASE("file: an unfinished file leaves the old one and no trace") {
  const Folder folder;
  put(folder.file(), "old");
  {
    AtomicFile file(folder.file());
    file.write("new", 3);
  }
  CHECK(get(folder.file()) == "old");
  CHECK(folder.count() == 1);
  {
    AtomicFile file(folder.file());
    file.write("new", 3);
    file.commit();
  }
  CHECK(get(folder.file()) == "new");
  CHECK(folder.count() == 1);
}

}  // namespace
