#!/bin/sh
# No build system: the include path is all that is needed. build.sh <path of Plume> <output>
# Without -fopenmp loops run on one thread, and nothing warns about it.
set -eu
${CXX:-g++} -std=c++20 -O2 -Wall -Wextra -Werror -I"$1/include" "$1/tests/consumers/main.cpp" -pthread -o "$2"
