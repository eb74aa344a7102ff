#include "plume/eval/reference_random.hpp"

#include <doctest/doctest.h>

#include <set>

// Numbers that Python 3.11, numpy 1.24 and torch 2.0 print.

namespace {

using namespace plume;
using namespace plume::eval;
using List = std::vector<index_t>;

}  // namespace

TEST_CASE("reference_random: Python's sample and shuffle") {
  PythonRandom python(42);
  CHECK(python.sample(10, 4) == List{1, 0, 4, 9});
  CHECK(python.sample(2048, 4) == List{914, 571, 419, 356});
  CHECK(python.sample(2048, 32) == List{1728, 130,  122,  383,  895,  952, 108,  814,
                                        1718, 902,  1839, 1139, 26,   653, 1731, 1393,
                                        1138, 636,  881,  1378, 418,  379, 1556, 396,
                                        1470, 1408, 1083, 177,  1881, 511, 1550, 322});
  CHECK(python.sample(30, 8) == List{17, 9, 26, 20, 19, 11, 18, 6});  // from a list
  CHECK(python.sample(300, 32) == List{35,  23,  116, 148, 40,  119, 51,  194, 142, 232, 186,
                                       83,  189, 181, 107, 136, 36,  87,  273, 125, 236, 138,
                                       285, 112, 166, 28,  117, 16,  161, 205, 137, 33});
  List x{0, 1, 2, 3, 4, 5, 6, 7, 8};
  python.shuffle(x);
  CHECK(x == List{0, 6, 2, 4, 8, 7, 1, 5, 3});
  CHECK(PythonRandom(7).sample(10, 4) == List{5, 2, 6, 9});
}

TEST_CASE("reference_random: numpy's choice, torch's randperm") {
  CHECK(NumpyRandom(42).choice(10, 10) == List{8, 1, 5, 0, 7, 2, 9, 4, 3, 6});
  CHECK(NumpyRandom(42).choice(10, 3) == List{8, 1, 5});
  CHECK(torch_permutation(10, 0) == List{4, 1, 7, 5, 3, 9, 0, 8, 6, 2});
  CHECK(torch_permutation(10, 1) == List{5, 6, 1, 2, 0, 8, 9, 3, 7, 4});
}

TEST_CASE("reference_random: nothing of nothing, all of all, and no more") {
  CHECK(PythonRandom(1).sample(0, 0).empty());
  CHECK(NumpyRandom(1).choice(0, 0).empty());
  CHECK(torch_permutation(1, 0) == List{0});
  const List all = PythonRandom(1).sample(100, 100);
  CHECK(std::set<index_t>(all.begin(), all.end()).size() == 100);
  CHECK_THROWS_AS((void)PythonRandom(1).sample(3, 4), ValueError);
  CHECK_THROWS_AS((void)NumpyRandom(1).choice(3, -1), ValueError);
}
