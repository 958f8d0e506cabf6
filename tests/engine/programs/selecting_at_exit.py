"""Selections in functions of `atexit`, when no thread can be started any more."""

from __future__ import annotations

import atexit
from typing import Any

import numpy as np

import zarrc

CHUNKS: tuple[Any, ...] = ((100, 100), ([100, 200, 300], [150, 450]))


def select(array: Any) -> None:
    """Read and write in several ways."""
    expected = np.ones(array.shape)
    for key, value in (
        (np.s_[[0, 599, 3], [5, 7, 599]], 7),
        (np.arange(600) % 2 == 0, 5),
        (np.s_[7:, 9:], 3),
    ):
        array[key] = expected[key] = value
        assert (array[key] == value).all()
        assert (array[...] == expected).all()
    print("same", flush=True)


def main() -> None:
    stores: tuple[Any, ...] = (zarrc.storage.MemoryStore, dict)
    for make in stores:
        for chunks in CHUNKS:
            array = zarrc.create_array(make(), shape=(600, 600), chunks=chunks, dtype="f8", fill_value=0)
            array[...] = 1
            atexit.register(select, array)


if __name__ == "__main__":
    main()
