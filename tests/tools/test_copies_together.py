"""Copies beside writers and beside other copies."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.tools.places import new_store


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_copy_of_what_is_written_has_each_chunk_old_or_new(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(
        new_store(place, tmp_path / "s"),
        shape=(40, 500),
        chunks=(1, 500),
        dtype="i4",
        codecs=["bytes", "zstd"],
    )
    source[...] = 0
    made: Any = zarrc.copy_array(source, new_store(place, tmp_path / "t"))
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            source[...] = np.broadcast_to(np.arange(number, number + 500), (40, 500))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            zarrc.copy_array(source, made, verify=True)
            found = made[...]
            assert ((found == 0).all(1) | (found - found[:, :1] == np.arange(500)).all(1)).all()
    finally:
        done.set()
        writer.join()


def test_several_copies_at_once(tmp_path: Path) -> None:
    sources: list[Any] = []
    for number in range(4):
        sources.append(zarrc.create_array(tmp_path / f"s{number}", shape=(200,), chunks=(2,), dtype="i4"))
        sources[-1][...] = number
    target: Any = zarrc.copy_array(sources[0], tmp_path / "t")
    errors: list[BaseException] = []

    def copy(source: Any) -> None:
        try:
            for _ in range(5):
                zarrc.copy_array(source, target)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=copy, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert set(target[::2].tolist()) <= {0, 1, 2, 3}
    assert (target[::2] == target[1::2]).all()
    assert not [name for name in os.listdir(tmp_path / "t/c") if name.startswith(".zc")]
