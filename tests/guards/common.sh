# Shared by the guards; each of them starts with `source "$(dirname "$0")/common.sh"`.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
export root LC_ALL=C # compilers quote with plain quotes
# shellcheck disable=SC2034  # used by those who source this
jobs=${PLUME_JOBS:-$(nproc 2>/dev/null || echo 2)}
warnings='-Wall -Wextra -Wconversion -Wshadow'

say() { printf '    %s\n' "$*"; }
fail() {
  printf 'FAIL %s\n' "$*" >&2
  exit 1
}

# Files of the project below the given paths: tracked, or new and not ignored. Without git: all of them.
project_files() { # PATH...
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
      if [[ -e $file ]]; then echo "$file"; fi
    done
  else
    find "$@" -type f -not -path './build/*' -not -path './out/*' | sed 's|^\./||'
  fi | LC_ALL=C sort -u
}

# configure_and_build DIRECTORY OPTION... [-- TARGET...]: goes on after a failure, so that one run shows them all.
configure_and_build() {
  local directory=$1 options=() generator=() keep_going=-k targets=()
  shift
  while (($#)) && [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  if (($#)); then targets=(--target "${@:2}"); fi
  if command -v ninja >/dev/null; then
    generator=(-G Ninja)
    keep_going=-k0
  fi
  cmake -S . -B "$directory" "${generator[@]}" "${options[@]}" >/dev/null
  cmake --build "$directory" --parallel "$jobs" "${targets[@]}" -- $keep_going
}

headers() { project_files include | grep '\.hpp$'; }

compilers() { # those of g++ and clang++ that are here
  local compiler
  for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null; then echo "$compiler"; fi
  done
}

# in_parallel FUNCTION <LINES: runs FUNCTION LINE for each line, `jobs` at a time; fails if one fails.
in_parallel() {
  # shellcheck disable=SC2163  # the function of that name
  export -f "$1" say fail
  xargs -d '\n' -P "$jobs" -I{} bash -c 'set -euo pipefail; '"$1"' "$@"' _ {}
}

# Where Eigen is, as compiler flags; core/eigen.hpp, a view for Eigen's users, is the one header that needs it.
eigen_flags() {
  local folder
  for folder in /usr/include/eigen3 /usr/local/include/eigen3 "${EIGEN3_INCLUDE_DIR:-}"; do
    if [[ -e $folder/Eigen/Core ]]; then echo "-isystem $folder"; fi
  done
}

# The umbrella: everything below include/plume, or below the given folders of it, but core/eigen.hpp.
write_umbrella() { # OUTPUT [FOLDER...]
  local output=$1
  shift
  mkdir -p "$(dirname "$output")"
  {
    echo '#pragma once'
    if (($#)); then project_files "${@/#/include/plume/}"; else project_files include; fi |
      grep -v '/core/eigen\.hpp$' | sed -n 's|^include/\(.*\.hpp\)$|#include "\1"|p'
  } >"$output"
}
