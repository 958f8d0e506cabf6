"""A shard that lies is an error that says where, for reads and for changes, on every kind of store."""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from tests.engine.hostile_shards import (
    BAD_PLACE,
    BODY,
    GOOD,
    KEY,
    PATH,
    SHARD,
    BadShard,
    bad_shards,
    bad_sizes,
    index,
    with_entry,
)
from tests.engine.shards import ABSENT, BYTES, CountingStore, check_stored, sharded_array
from zarrc.errors import CorruptChunkError, StoreError

KINDS = ("memory", "local", "mapping", "versions", "no versions")
VALUES = np.arange(1, 17, dtype="i4")

Deed = Callable[[Any], object]
# What looks at inner chunk 2 of the shard.
READS: dict[str, Deed] = {
    "all": lambda array: array[...],
    "a part": lambda array: array[4:6],
    "steps": lambda array: array[::-5],
    "an element": lambda array: array[5],
}
CHANGES: dict[str, Deed] = {
    "the inner chunk itself": lambda array: array.__setitem__(5, 7),
    "one before it": lambda array: array.__setitem__(slice(0, 2), 7),
    "one behind it": lambda array: array.__setitem__(6, 7),
}


def make_store(kind: str, folder: Path) -> Any:
    if kind == "local":
        return str(folder / "store")
    if kind == "memory":
        return zarrc.storage.MemoryStore()
    return {} if kind == "mapping" else CountingStore(versions=kind == "versions")


def bad_array(store: Any, stored: bytes, **keywords: Any) -> Any:
    """Two shards, of which the first is as given."""
    array = sharded_array(store, (16,), (8,), (2,), name=PATH, **keywords)
    array[...] = VALUES
    array.store.set(KEY, stored)
    return array


@pytest.fixture(params=KINDS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return make_store(request.param, tmp_path)


def _check(error: CorruptChunkError, text: str) -> None:
    assert text in str(error)
    assert (error.array, error.key) == (PATH, KEY)
    for word in (PATH, KEY):
        assert word in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_good_shard_is_what_we_write(any_store: Any) -> None:
    array = sharded_array(any_store, (16,), (8,), (2,), name=PATH)
    array[...] = VALUES
    assert bytes(array.store.get(KEY)) == SHARD


@pytest.mark.parametrize("bad", [*bad_shards(), *bad_sizes()], ids=str)
def test_a_shard_that_lies_is_an_error_of_the_read(any_store: Any, bad: BadShard) -> None:
    array = bad_array(any_store, bad.stored)
    for read in READS.values():
        with pytest.raises(CorruptChunkError) as caught:
            read(array)
        _check(caught.value, bad.text)
        assert caught.value.codec == "sharding_indexed"
        assert bad.of_index or str(caught.value).count(f"; in {BAD_PLACE}") == 1
    if not bad.of_index:
        np.testing.assert_array_equal(array[:4], VALUES[:4])  # the others are well
        np.testing.assert_array_equal(array[6:], VALUES[6:])
    array[...] = VALUES
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize("bad", list(bad_shards()), ids=str)
def test_a_shard_that_lies_is_not_changed(any_store: Any, bad: BadShard) -> None:
    array = bad_array(any_store, bad.stored)
    for change in CHANGES.values():
        with pytest.raises(CorruptChunkError) as caught:
            change(array)
        _check(caught.value, bad.text)
        assert bytes(array.store.get(KEY)) == bad.stored
    array[8:] = 5  # the locks are free, and the other shard is well
    assert (array[8:] == 5).all()


@pytest.mark.parametrize("where", list(CHANGES)[1:])
def test_a_change_beside_an_inner_chunk_that_lies_names_it(where: str) -> None:
    array = bad_array(zarrc.storage.MemoryStore(), with_entry((1000, 8)))
    with pytest.raises(CorruptChunkError, match="outside the shard") as caught:
        CHANGES[where](array)
    assert BAD_PLACE in str(caught.value)
    assert caught.value.codec == "sharding_indexed"


@pytest.mark.parametrize("bad", list(bad_sizes()), ids=str)
def test_an_inner_chunk_of_a_wrong_size_is_not_changed(any_store: Any, bad: BadShard) -> None:
    array = bad_array(any_store, bad.stored)
    with pytest.raises(CorruptChunkError) as caught:
        CHANGES["the inner chunk itself"](array)
    assert BAD_PLACE in str(caught.value)
    assert bytes(array.store.get(KEY)) == bad.stored
    # Overwritten whole, it is not looked at.
    array[4:6] = VALUES[4:6]
    np.testing.assert_array_equal(array[...], VALUES)


def test_without_a_checksum_an_index_of_another_shape_is_refused_or_read_as_it_stands(any_store: Any) -> None:
    for entries in (GOOD[:3], [*GOOD, (0, 8)]):
        array = bad_array(
            any_store, BODY + index(entries, checksum=False), index_codecs=[BYTES], overwrite=True
        )
        try:
            found = array[...]
        except CorruptChunkError as error:
            _check(error, "inner chunk")
        else:
            assert found.shape == VALUES.shape


# What others may write: any order, gaps, overlaps, an index that is much of the object.
APART = [(3, 8), *[(5003 + offset, size) for offset, size in GOOD[1:]]]
LEGAL: dict[str, tuple[bytes, list[int]]] = {
    "unordered": (BODY + index([GOOD[3], GOOD[1], GOOD[0], GOOD[2]]), [7, 8, 3, 4, 1, 2, 5, 6]),
    "one place for all": (BODY + index([GOOD[1]] * 4), [3, 4] * 4),
    "overlapping": (BODY + index([(0, 8), (4, 8), (2, 8), (24, 8)]), [1, 2, 2, 3, 0, 0, 7, 8]),
    "gaps": (b"gap" + BODY[:8] + b"?" * 5000 + BODY[8:] + b"!" + index(APART), [*range(1, 9)]),
    "over the index": (BODY + index([GOOD[0], (32, 8), GOOD[2], GOOD[3]]), [1, 2, 0, 0, 5, 6, 7, 8]),
    "absent": (
        BODY[:8] + index([(0, 8), (ABSENT, ABSENT), (ABSENT, ABSENT), (0, 8)]),
        [1, 2, *[-1] * 4, 1, 2],
    ),
    "none at all": (index([(ABSENT, ABSENT)] * 4), [-1] * 8),
}


@pytest.mark.parametrize("name", LEGAL)
def test_odd_but_legal_shards_are_read_and_changed(any_store: Any, name: str) -> None:
    stored, values = LEGAL[name]
    expected = np.array([*values, *VALUES[8:]], "i4")
    if name == "overlapping":
        expected[4:6] = np.frombuffer(BODY[2:10], "i4")
    array = bad_array(any_store, stored)
    np.testing.assert_array_equal(array[...], expected)
    for first in range(8):
        np.testing.assert_array_equal(array[first : first + 3], expected[first : first + 3])
    array[3:7:2] = 50
    expected[3:7:2] = 50
    np.testing.assert_array_equal(array[...], expected)
    check_stored(array, expected)


@pytest.mark.parametrize("config", [{}, {"shard_update": "append"}], ids=repr)
def test_inner_chunks_may_be_behind_4_gib(config: dict[str, str], tmp_path: Path) -> None:
    array = bad_array(str(tmp_path), SHARD, config=config)
    far = 5 * 2**30 + 3
    with open(tmp_path / KEY, "r+b") as file:  # which is sparse: it takes a few blocks
        file.seek(far)
        file.write(BODY[16:24] + index([GOOD[0], GOOD[1], (far, 8), GOOD[3]]))
    np.testing.assert_array_equal(array[...], VALUES)
    assert array[4:6].tolist() == [5, 6]
    array[0] = 9
    assert array[:8].tolist() == [9, *range(2, 9)]
    size = (tmp_path / KEY).stat().st_size
    assert size > far if config else size == len(SHARD)


@pytest.mark.parametrize("kind", KINDS)
def test_a_huge_index_of_a_tiny_object_takes_no_memory(kind: str, tmp_path: Path) -> None:
    report = json.loads(run_module("tests.engine.programs.shard_huge_index", kind, str(tmp_path)))
    assert len(report["errors"]) == 6
    for error in report["errors"]:
        assert "the shard is shorter than its index" in error
        assert "sharding_indexed" in error
        assert KEY in error
    if "LD_PRELOAD" not in os.environ:  # sanitizers have memory of their own
        assert report["growth_kib"] < 8 * 1024, report


@pytest.mark.parametrize("what", ["a folder", "a fifo", "a circle of links"])
def test_what_is_no_file_in_the_place_of_a_shard(what: str, tmp_path: Path) -> None:
    array = bad_array(str(tmp_path), SHARD)
    path = tmp_path / KEY
    path.unlink()
    if what == "a folder":
        path.mkdir()
        assert (array[:8] == -1).all()
        return
    if what == "a fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name)
    for deed in (READS["all"], CHANGES["one before it"]):
        with pytest.raises(StoreError, match=r"not a regular file|symbolic link") as caught:
            deed(array)
        assert (caught.value.array, caught.value.key) == (PATH, KEY)


def test_the_bad_shard_is_named_among_many_good_ones(any_store: Any) -> None:
    array = sharded_array(any_store, (800,), (8,), (2,), name=PATH)
    array[...] = range(800)
    array.store.set(f"{PATH}/c/57", SHARD[:-1])
    with pytest.raises(CorruptChunkError) as caught:
        array[...]
    assert caught.value.key == f"{PATH}/c/57"
    where = random.Random(1).randrange(57 * 8)
    assert array[where] == where
