"""Keys and ranges, good and bad, that tests of stores use."""

from __future__ import annotations

__all__ = [
    "BAD_RANGES",
    "BODY",
    "EMPTY_RANGES",
    "HOSTILE_KEYS",
    "PART_RANGES",
    "UNUSUAL_KEYS",
    "WHOLE_RANGES",
]

BODY = bytes(range(256)) * 4

HOSTILE_KEYS = [
    "",
    "/",
    "/abs",
    "a/",
    "a//b",
    ".",
    "..",
    "../x",
    "a/..",
    "a/../b",
    "a/./b",
    "./a",
    "a\0b",
    "a\\b",
    "..\\x",
    "half \ud800 pair",
]

UNUSUAL_KEYS = [
    "räksmörgås/日本/🙂",
    "with space",
    "a?b=c&d",
    "per%20cent",
    "star*",
    "[x]",
    "{}",
    "~",
    "...",
    "a.b/.c/d..",
    "-",
    "'\"",
    "#x",
    "a:b",
    "new\nline",
]

WHOLE_RANGES = [(0, None), (0, 1024), (-1024, None), (-1024, 1024)]
PART_RANGES = [
    (0, 1),
    (0, 10),
    (1, 10),
    (1014, 10),
    (1023, 1),
    (1000, None),
    (1, None),
    (-1, None),
    (-16, None),
    (-16, 4),
    (-16, 16),
]
EMPTY_RANGES = [(0, 0), (10, 0), (1024, 0), (1024, None), (-5, 0)]
BAD_RANGES = [
    (1025, None),
    (1025, 0),
    (1024, 1),
    (1000, 25),
    (0, 1025),
    (-1025, None),
    (-1025, 3),
    (-2, 3),
    (5000, 5),
]
