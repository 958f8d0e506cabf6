"""Handles that do not know of a resize write to the array as it is stored: what others wrote stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.array.resize_samples import STORES, make_store
from zarrc.errors import NodeNotFoundError
from zarrc.storage import MemoryStore

KINDS: list[dict[str, Any]] = [
    {"chunks": (8,)},
    {"chunks": (2,), "shards": (8,)},
    {"chunks": (4,), "shards": (8,)},
    {"chunks": ((3, 5, 4, 9),)},
    {"chunks": (1,), "shards": ((3, 5, 4, 9),)},
]


@pytest.mark.parametrize("keywords", KINDS, ids=str)
@pytest.mark.parametrize("store", STORES)
def test_what_others_appended_stays(store: str, keywords: dict[str, Any], tmp_path: Path) -> None:
    place = make_store(store, tmp_path)
    array = zarrc.create_array(place, shape=(9,), dtype="i4", **keywords)
    array[...] = 1
    old = zarrc.open_array(place)
    old[0]
    array.append(np.full(7, 2))
    array.append(np.full(20, 3))
    old[8:9] = 5
    old[...] = old[...]
    old[[0, 8]] = [7, 7]
    assert array[:].tolist() == [7] + [1] * 7 + [7] + [2] * 7 + [3] * 20
    array.resize(4)
    old[8:] = 3
    assert old[:].tolist() == [7, 1, 1, 1, 0, 0, 0, 0, 3]
    array.resize(12)
    assert array[:].tolist() == [7, 1, 1, 1] + [0] * 8


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_handle_that_was_only_opened_notices_that_its_root_array_was_deleted(
    kind: str, tmp_path: Path
) -> None:
    store = tmp_path / "a" if kind == "local" else MemoryStore()
    zarrc.create_array(store, data=np.ones(4))
    opened = zarrc.open_array(store)
    zarrc.delete(store)
    for write in (lambda: opened.__setitem__(..., 9), lambda: opened.fill(9), lambda: opened[[0, 2]]):
        with pytest.raises(NodeNotFoundError):
            write()
    assert zarrc.create_array(store, shape=4, dtype="f8")[:].tolist() == [0, 0, 0, 0]
