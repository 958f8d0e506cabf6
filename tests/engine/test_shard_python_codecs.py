"""Codecs written in Python inside, before and after shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.shards import (
    BYTES,
    CRC32C,
    ZSTD,
    CountingStore,
    Json,
    check_stored,
    sharded_array,
    sharding,
)
from tests.engine.test_python_codecs import FAULTS
from zarrc.errors import CodecError, CorruptChunkError, ZarrcError

KINDS = ("memory", "local", "mapping", "versions")


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    FAULTS.clear()
    yield
    FAULTS.clear()


def _store(kind: str, folder: Path) -> Any:
    stores: dict[str, Any] = {
        "memory": zarrc.storage.MemoryStore(),
        "local": str(folder / "array"),
        "mapping": {},
        "versions": CountingStore(),
    }
    return stores[kind]


def _named(*names: str) -> list[Json]:
    return [BYTES if name == "bytes" else {"name": name} for name in names]


# Where the codec in Python is: (before, inner, after). A float32 array; `widen` gives the shard another type.
PLACES: dict[str, tuple[list[Json], list[Json], list[Json]]] = {
    "inner bytes": ([], _named("bytes", "tests.flip"), []),
    "inner bytes, compressed": ([], [BYTES, ZSTD, *_named("tests.flip")], []),
    "inner array": ([], _named("tests.negate", "bytes"), []),
    "inner widened": ([], [*_named("tests.widen", "bytes"), ZSTD], []),
    "inner serializer": ([], _named("tests.big"), []),
    "inner of nested": ([], [sharding((2, 2), _named("bytes", "tests.flip", "crc32c"))], []),
    "inner of nested, around": ([], [sharding((2, 2), [BYTES, ZSTD]), *_named("tests.flip")], []),
    "before the nested": ([], [*_named("tests.negate"), sharding((2, 2))], []),
    "before": (_named("tests.negate"), [BYTES, ZSTD], []),
    "before, widened": (_named("tests.widen"), [BYTES], []),
    "after": ([], [BYTES, ZSTD], _named("tests.flip")),
    "after, with ours": ([], [BYTES], [CRC32C, *_named("tests.flip"), ZSTD]),
    "everywhere": (_named("tests.negate"), _named("tests.big", "tests.flip"), _named("tests.flip")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill", [3.0, 0.0, -0.0, float("nan")])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_written_is_read(place: str, fill: float, kind: str, tmp_path: Path) -> None:
    before, inner, after = PLACES[place]
    array = sharded_array(
        _store(kind, tmp_path),
        (18, 10),
        (8, 8),
        (4, 4),
        inner,
        before=before,
        after=after,
        dtype="f4",
        fill_value=fill,
    )
    expected = np.full(array.shape, fill, "f4")
    np.testing.assert_array_equal(array[...], expected)
    array[3:5, 2] = 1
    expected[3:5, 2] = 1
    _assert_same(array[...], expected)
    values = np.asarray(np.random.default_rng(1).random(array.shape), "f4")
    array[...] = values
    _assert_same(array[...], values)
    part = (slice(None, 2, -3), slice(1, None, 2))
    array[part] = values[part] * 2
    values[part] *= 2
    _assert_same(array[...], values)
    _assert_same(array[part], values[part])
    _assert_same(array[7, ::-1], values[7, ::-1])
    array[:8, :8] = fill
    values[:8, :8] = fill
    _assert_same(array[...], values)
    assert array.store.get("c/0/0") is None
    if not after and "around" not in place and "before" not in place:
        check_stored(array, values)


def _assert_same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


BYTES_FAULTS: list[Any] = [5, None, "text", RuntimeError("boom")]
ARRAY_FAULTS: list[Any] = [None, np.zeros(5, "i4"), np.zeros((2, 2), "i4"), ZeroDivisionError("boom")]
FAULTY: dict[str, tuple[list[Json], list[Json], list[Json], list[Any]]] = {
    "inner bytes": ([], _named("bytes", "tests.faulty"), [], BYTES_FAULTS),
    "inner array": ([], _named("tests.faulty_array", "bytes"), [], ARRAY_FAULTS),
    "inner of nested": ([], [sharding((2,), _named("bytes", "tests.faulty"))], [], BYTES_FAULTS),
    "before": (_named("tests.faulty_array"), [BYTES], [], ARRAY_FAULTS),
    "after": ([], [BYTES], _named("tests.faulty"), BYTES_FAULTS),
}
CASES = [(place, fault) for place, (_, _, _, faults) in FAULTY.items() for fault in faults]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["encode", "decode"])
@pytest.mark.parametrize(("place", "fault"), CASES, ids=repr)
def test_a_codec_that_gives_nonsense_is_an_error_that_names_it(
    place: str, fault: Any, direction: str, kind: str, tmp_path: Path
) -> None:
    array = _faulty(_store(kind, tmp_path), place)
    before = {key: bytes(array.store.get(key)) for key in ("a/c/0", "a/c/1")}
    FAULTS[direction] = fault
    call = partial(array.__setitem__, ..., 7) if direction == "encode" else partial(array.__getitem__, ...)
    for deed in (call, partial(array.__setitem__, slice(1, 3), 9)):
        with pytest.raises(CodecError) as caught:
            deed()
        error = caught.value
        assert error.codec in ("tests.faulty", "tests.faulty_array", "bytes", "sharding_indexed")
        assert error.key in before
        assert error.array == "a"
        for word in (error.codec, error.key, error.array):
            assert str(word) in str(error)
    assert {key: bytes(array.store.get(key)) for key in before} == before
    FAULTS.clear()
    np.testing.assert_array_equal(array[...], np.arange(1, 17))
    array[1:3] = 9
    assert array[:4].tolist() == [1, 9, 9, 4]


def _faulty(store: Any, place: str) -> Any:
    before, inner, after, _ = FAULTY[place]
    array = sharded_array(store, (16,), (8,), (4,), inner, before=before, after=after, name="a")
    array[...] = np.arange(1, 17)
    return array


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("none left"), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("place", FAULTY)
def test_what_is_no_fault_of_a_codec_passes_through_it(
    place: str, error: BaseException, kind: str, tmp_path: Path
) -> None:
    array = _faulty(_store(kind, tmp_path), place)
    deeds = {
        "encode": [partial(array.__setitem__, ..., 9), partial(array.__setitem__, slice(1, 3), 9)],
        "decode": [partial(array.__getitem__, ...), partial(array.__setitem__, slice(1, 2), 9)],
    }
    for direction, calls in deeds.items():
        for call in calls:
            FAULTS[direction] = error
            with pytest.raises(type(error)) as caught:
                call()
            assert not isinstance(caught.value, ZarrcError)
            FAULTS.clear()
            np.testing.assert_array_equal(array[...], np.arange(1, 17))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [[], _named("tests.flip")], ids=["compiled", "whole"])
def test_a_cut_shard_is_an_error_in_both_ways(after: list[Json], kind: str, tmp_path: Path) -> None:
    array = sharded_array(
        _store(kind, tmp_path), (16,), (8,), (2,), _named("bytes", "tests.flip"), after=after, name="a"
    )
    array[...] = range(1, 17)
    stored = bytes(array.store.get("a/c/1"))
    for cut in (b"", stored[:10], stored[:-1], stored[:-40]):
        array.store.set("a/c/1", cut)
        for deed in (partial(array.__getitem__, 9), partial(array.__setitem__, 9, 1)):
            with pytest.raises(CorruptChunkError) as caught:
                deed()
            assert (caught.value.array, caught.value.key) == ("a", "a/c/1")
            assert caught.value.codec == "sharding_indexed"
        np.testing.assert_array_equal(array[:8], range(1, 9))


def test_a_whole_shard_may_be_mostly_index() -> None:
    array = sharded_array(
        {}, (50_000,), (50_000,), (1,), after=[*_named("tests.flip"), ZSTD], dtype="u1", fill_value=0
    )
    array[...] = 1
    assert (array[...] == 1).all()
