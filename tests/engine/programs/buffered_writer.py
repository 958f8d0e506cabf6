"""Writes every Nth element of an array in buffered blocks: `buffered_writer PATH FIRST STEP`."""

from __future__ import annotations

import sys
from typing import Any

import zarrc


def main(path: str, first: str, step: str) -> None:
    array: Any = zarrc.open_array(path, mode="r+", config={"locking": "file"})
    for turn in range(20):
        with array.buffered():
            for i in range(int(first), len(array), int(step)):
                array[i] = i + turn


if __name__ == "__main__":
    main(*sys.argv[1:])
