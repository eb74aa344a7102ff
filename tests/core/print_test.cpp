#include "plume/core/print.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

using namespace plume;

namespace {

TEST_CASE("print: columns line up, and the last line says what it is") {
  const Tensor<float> x({2, 2}, {1, 2.5F, 3, -0.25F});
  CHECK(to_string(x) ==
        "[[ 1.00  2.50]\n"
        " [ 3.00 -0.25]]\n"
        "float [2, 2] on cpu");
  std::ostringstream out;
  out << x.select(0, 1);
  CHECK(out.str() == "[ 3.00 -0.25]\nfloat [2] on cpu");
}

TEST_CASE("print: every scalar type") {
  CHECK(to_string(Tensor<double>({2}, {1, -2})) == "[ 1. -2.]\ndouble [2] on cpu");
  CHECK(to_string(Tensor<float>({2}, {1, 2}).cast<bfloat16>()) == "[1. 2.]\nbfloat16 [2] on cpu");
  CHECK(to_string(Tensor<float>({1}, {0.5F}).cast<half>()) == "[0.5]\nhalf [1] on cpu");
  CHECK(to_string(Tensor<std::int32_t>({3}, {-1, 0, 10})) == "[-1  0 10]\nint32 [3] on cpu");
  CHECK(to_string(Tensor<std::int64_t>({1}, {INT64_MIN})) ==
        "[-9223372036854775808]\nint64 [1] on cpu");
  CHECK(to_string(Tensor<std::uint8_t>({2}, {65, 255})) == "[ 65 255]\nuint8 [2] on cpu");
  CHECK(to_string(Tensor<bool>({2}, {true, false})) == "[ true false]\nbool [2] on cpu");
}

TEST_CASE("print: scalars, nothing, and three axes") {
  CHECK(to_string(scalar(0.125F)) == "0.125\nfloat [] on cpu");
  CHECK(to_string(Tensor<float>(Shape{0, 3})) == "[]\nfloat [0, 3] on cpu");
  CHECK(to_string(Tensor<float>(Shape{2, 0})) == "[[]\n []]\nfloat [2, 0] on cpu");
  CHECK(to_string(Tensor<float>{}) == "undefined tensor of float");
  CHECK(to_string(arange<std::int64_t>(8).reshape({2, 2, 2})) ==
        "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]\nint64 [2, 2, 2] on cpu");
}

TEST_CASE("print: strided views print what they show") {
  const auto x = arange<std::int64_t>(6).reshape({2, 3});
  CHECK(to_string(x.permute({1, 0})) == "[[0 3]\n [1 4]\n [2 5]]\nint64 [3, 2] on cpu");
  CHECK(to_string(scalar(7.0F).broadcast_to({3})) == "[7. 7. 7.]\nfloat [3] on cpu");
}

TEST_CASE("print: long axes are cut, all of them where there are many") {
  CHECK(to_string(arange<std::int64_t>(12)) ==
        "[ 0  1  2  3  4  5  6  7  8  9 10 11]\nint64 [12] on cpu");
  CHECK(to_string(arange<std::int64_t>(1000)) ==
        "[  0   1   2   3   4   5 ... 994 995 996 997 998 999]\nint64 [1000] on cpu");
  CHECK(
      to_string(arange<std::int64_t>(13).reshape({13, 1})) ==
      "[[ 0]\n [ 1]\n [ 2]\n [ 3]\n [ 4]\n [ 5]\n ...\n [ 7]\n [ 8]\n [ 9]\n [10]\n [11]\n [12]]\n"
      "int64 [13, 1] on cpu");
  // 12^4 numbers would be twenty thousand lines.
  CHECK(to_string(zeros<float>({20, 20, 20, 20})).size() < 2000);
  CHECK(to_string(zeros<float>({3, 3, 3, 3, 3, 3, 3, 3})).size() < 5000);
}

TEST_CASE("print: very large, very small and no numbers at all") {
  CHECK(to_string(Tensor<double>({2}, {1.5e-7, 0})) == "[1.5e-07 0.0e+00]\ndouble [2] on cpu");
  CHECK(to_string(Tensor<double>({2}, {1e300, 1})) == "[1e+300  1e+00]\ndouble [2] on cpu");
  CHECK(to_string(Tensor<double>({3}, {std::nan(""), HUGE_VAL, -1})) ==
        "[nan inf -1.]\ndouble [3] on cpu");
  CHECK(to_string(Tensor<double>({2}, {1.0 / 3, 100})) == "[  0.3333 100.0000]\ndouble [2] on cpu");
}

}  // namespace
