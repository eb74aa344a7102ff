"""Writes include/plume/text/unicode_case.hpp: lower case and decimal digits, of the running Python's Unicode (14.0: Python 3.11).

    python3 unicode_case.py --out ../../../include/plume/text
"""
import argparse
import unicodedata
from pathlib import Path

HEAD = """#pragma once
// Lower case of single characters and the decimal digits, of Unicode {version}.
//
// Made by tests/golden/make/unicode_case.py.

#include <cstdint>

namespace plume::text::tables {{

// clang-format off
struct LowerRun {{ std::uint32_t first, last; std::uint16_t step; std::int32_t add; }};
/// Every step-th character of first..last becomes itself + add. U+0130, which becomes two characters, is not here.
inline constexpr LowerRun lower_runs[] = {{
"""


def rows(items, width=100):
    line = ""
    for item in items:
        if len(line) + len(item) + 1 > width:
            yield line
            line = ""
        line += item
    yield line


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path, required=True)
    out = arguments.parse_args().out
    runs = []
    for c in range(0x110000):
        low = chr(c).lower()
        if len(low) != 1 or low == chr(c):
            continue
        add = ord(low) - c
        if runs and runs[-1][3] == add:
            first, last, step, _ = runs[-1]
            if (step == 0 and c - last in (1, 2)) or c - last == step:
                runs[-1] = [first, c, c - last, add]
                continue
        runs.append([c, c, 0, add])
    zeros = [c for c in range(0x110000) if unicodedata.category(chr(c)) == "Nd" and unicodedata.digit(chr(c)) == 0]
    text = HEAD.format(version=unicodedata.unidata_version)
    text += "\n".join(rows(f"{{{f:#x},{l:#x},{max(s, 1)},{a}}}," for f, l, s, a in runs))
    text += "\n};\n/// The zeros: the nine characters after each are the digits 1 to 9.\ninline constexpr std::uint32_t zeros[] = {\n"
    text += "\n".join(rows(f"{c:#x}," for c in zeros)) + "\n};\n// clang-format on\n\n}  // namespace plume::text::tables\n"
    (out / "unicode_case.hpp").write_text(text)


if __name__ == "__main__":
    main()
