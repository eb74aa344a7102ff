"""Writes the Unicode tables of include/plume/text: which characters are letters and numbers, and what NFC does.

    python3 unicode.py --unicode9 unicodedata_db.h --out ../../../include/plume/text

Letters and numbers are those of Unicode 14.0: run it with a Python whose `unicodedata` is 14.0.0 (3.11). Normal forms are
those of Unicode 9.0: `unicodedata_db.h` is the file of that name in the source of the package unicodedata2 9.0.0. A
character never changes its combining class or decomposition once it is assigned, so all that the old file adds is which
characters did exist.
"""
import argparse
import re
import unicodedata
from pathlib import Path

LAST = 0x110000
HEAD = """#pragma once
// {what}
//
// {how}
// Made by tests/golden/make/unicode.py.

#include <cstdint>

namespace plume::text::tables {{

// clang-format off
"""


def records_of(path):
    """Category number and combining class of every character, from CPython's tables."""
    text = Path(path).read_text()

    def numbers(name):
        return [int(x) for x in re.findall(r"\d+", re.search(rf"\b{name}\[\] = \{{(.*?)\}};", text, re.S)[1])]

    if 'UNIDATA_VERSION "9.0.0"' not in text:
        raise SystemExit(f"{path} is not of Unicode 9.0.0")
    flat = numbers("_PyUnicode_Database_Records")
    records = [flat[i:i + 6] for i in range(0, len(flat), 6)]
    index1, index2 = numbers("index1"), numbers("index2")
    shift = int(re.search(r"#define SHIFT (\d+)", text)[1])
    mask = (1 << shift) - 1
    return [records[index2[(index1[c >> shift] << shift) + (c & mask)]] for c in range(LAST)]


def boundaries(inside):
    """Where the answer changes: c is inside when an odd number of boundaries are <= c."""
    out, was = [], False
    for c in range(LAST):
        if inside(c) != was:
            out.append(c)
            was = not was
    return out


def array(kind, name, comment, values):
    rows, row = [], ""
    for value in (f"{x:#x}," for x in values):
        if len(row) + len(value) > 118:
            rows.append(row)
            row = ""
        row += value
    return f"/// {comment}\ninline constexpr std::{kind} {name}[] = {{\n" + "\n".join(rows + [row]) + "\n};\n\n"


def write(path, what, how, arrays):
    path.write_text(HEAD.format(what=what, how=how) + "".join(arrays) + "// clang-format on\n\n}  // namespace plume::text::tables\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unicode9", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    if unicodedata.unidata_version != "14.0.0":
        raise SystemExit(f"a Python with Unicode 14.0.0 is needed, not {unicodedata.unidata_version}")
    category = lambda c: unicodedata.category(chr(c))
    write(Path(args.out) / "unicode_classes.hpp", "Letters (L*) and numbers (N*) of Unicode 14.0, which a byte-level tokenizer splits at.",
          "Each array holds where the answer changes: c is inside when an odd number of entries are <= c.",
          [array("uint32_t", "letters", "L*", boundaries(lambda c: category(c)[0] == "L")),
           array("uint32_t", "numbers", "N*", boundaries(lambda c: category(c)[0] == "N"))])

    old = records_of(args.unicode9)
    classes, composites, others, was = [], [], [], 0
    for c, (assigned, combining, *_) in enumerate(old):
        if combining != was:
            classes.append(c << 8 | combining)
            was = combining
        parts = unicodedata.decomposition(chr(c))
        if not assigned or not parts or parts[0] == "<":
            continue
        a, b = ([int(x, 16) for x in parts.split()] + [0])[:2]
        composed = unicodedata.normalize("NFC", chr(c)) == chr(c)
        (composites if composed else others).append(c << 42 | a << 21 | b)
    write(Path(args.out) / "unicode_normal.hpp", "Canonical combining classes, compositions and decompositions of Unicode 9.0; later characters have none.",
          "Hangul is not here, being arithmetic.",
          [array("uint32_t", "combining_classes", "first << 8 | class: from `first` to the next entry's.", classes),
           array("uint64_t", "composites", "c << 42 | a << 21 | b, ascending: c = a b, both ways.", composites),
           array("uint64_t", "decompositions", "The same; c becomes a b (or a alone where b is 0) and is never composed again.", others)])


if __name__ == "__main__":
    main()
