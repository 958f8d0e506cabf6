"""How often a store is asked: the index once, ranges joined, shards together, whole shards in one request."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.shards import BYTES, CRC32C, ZSTD, CountingStore, check_stored, index_nbytes, sharded_array
from zarrc.errors import ChunkNotFoundError, StoreConflictError

# 64 inner chunks of 4 KiB, uncompressed: where they are is plain arithmetic.
INNER = 1024
N_INNER = 64
SHARD = INNER * N_INNER
N_SHARDS = 4
INDEX_NBYTES = index_nbytes((N_INNER,), [BYTES, CRC32C])
VALUES = np.arange(1, SHARD * N_SHARDS + 1, dtype="i4")
APART = {"sharding_coalesce_max_gap_bytes": 0}

VERSIONS = pytest.mark.parametrize("versions", [True, False], ids=["versions", "no versions"])


def _array(*, versions: bool = True, n_shards: int = N_SHARDS, config: Any = None, **keywords: Any) -> Any:
    store = CountingStore(versions=versions)
    array = sharded_array(
        store, (SHARD * n_shards,), (SHARD,), (INNER,), config=APART if config is None else config, **keywords
    )
    array[...] = VALUES[: array.size]
    array.store.taken()
    return array


def _inner(*numbers: int, shard: int = 0) -> list[tuple[str, str, tuple[int, int]]]:
    """Requests of inner chunks, uncompressed, each its own."""
    return [("get", f"c/{shard}", (4 * INNER * number, 4 * INNER)) for number in numbers]


def _index(shard: int = 0, n: int = 1) -> list[tuple[str, str, tuple[int, int]]]:
    return [("get", f"c/{shard}", (-INDEX_NBYTES, INDEX_NBYTES))] * n


# --- reads


@VERSIONS
@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (slice(3, 4), (0,)),
        (slice(5 * INNER, 6 * INNER), (5,)),
        (slice(INNER // 2, SHARD // 2, 8 * INNER), (0, 8, 16, 24)),
        (slice(60 * INNER, 0, -15 * INNER), (60, 45, 30, 15)),
    ],
)
def test_inner_chunks_of_a_shard_are_one_index_read_and_their_ranges(
    selection: slice, numbers: tuple[int, ...], versions: bool
) -> None:
    array = _array(versions=versions)
    np.testing.assert_array_equal(array[selection], VALUES[selection])
    # Where no version says what the ranges are of, the index is compared afterwards.
    expected = [*_index(), *_inner(*sorted(numbers)), *_index(n=0 if versions else 1)]
    assert array.store.taken() == expected


@VERSIONS
def test_neighbours_are_one_range_and_near_ones_too(versions: bool) -> None:
    array = _array(versions=versions)
    array[2 * INNER : 9 * INNER]
    assert array.store.taken()[1:2] == [("get", "c/0", (8 * INNER, 28 * INNER))]
    for gap, n in ((4 * INNER - 1, 4), (4 * INNER, 1)):
        array = array.with_config({"sharding_coalesce_max_gap_bytes": gap})
        np.testing.assert_array_equal(array[0 : 8 * INNER : 2 * INNER], VALUES[0 : 8 * INNER : 2 * INNER])
        assert sum(wanted[0] >= 0 for _, _, wanted in array.store.taken()) == n
    array = array.with_config({**APART, "sharding_coalesce_max_bytes": 12 * INNER})
    array[: 9 * INNER]
    ranges = [wanted for _, _, wanted in array.store.taken() if wanted[0] >= 0]
    assert ranges == [(12 * INNER * i, 12 * INNER) for i in range(3)]


@VERSIONS
def test_a_read_of_half_a_shard_or_more_is_one_request(versions: bool) -> None:
    array = _array(versions=versions)
    for selection in (slice(0, SHARD), slice(5, SHARD - 5), slice(0, SHARD // 2), slice(0, SHARD, INNER)):
        np.testing.assert_array_equal(array[selection], VALUES[selection])
        assert array.store.taken() == [("get", "c/0", None)]
    array[: SHARD // 2 - INNER]
    assert len(array.store.taken()) == (2 if versions else 3)


def test_by_default_a_small_shard_is_read_whole() -> None:
    array = _array(config={})
    assert array[0] == 1
    assert array.store.taken() == [("get", "c/0", None)]


@VERSIONS
def test_shards_of_one_call_are_asked_for_together(versions: bool) -> None:
    array = _array(versions=versions)
    np.testing.assert_array_equal(array[::SHARD], VALUES[::SHARD])
    groups = array.store.groups
    taken = array.store.taken()
    assert groups == [N_SHARDS, N_SHARDS, *([] if versions else [N_SHARDS])]
    assert [key for _, key, _ in taken[:N_SHARDS]] == [f"c/{number}" for number in range(N_SHARDS)]
    array[...]
    assert array.store.groups == [N_SHARDS]
    assert Counter(array.store.taken()) == Counter([("get", f"c/{n}", None) for n in range(N_SHARDS)])


@VERSIONS
def test_absent_shards_cost_one_request_and_absent_inner_chunks_none(versions: bool) -> None:
    array = _array(versions=versions)
    array.store.delete("c/1")
    array[2 * SHARD : 2 * SHARD + 8 * INNER] = -1
    array.store.taken()
    assert (array[SHARD : SHARD + 5] == -1).all()
    assert array.store.taken() == _index(1)
    assert (array[2 * SHARD : 2 * SHARD + 3 * INNER] == -1).all()
    assert array.store.taken() == _index(2)
    strict = array.with_config({**APART, "read_missing_chunks": False})
    for selection, key in ((SHARD, "c/1"), (2 * SHARD, "c/2"), (slice(SHARD, 2 * SHARD), "c/1")):
        with pytest.raises(ChunkNotFoundError) as caught:
            strict[selection]
        assert caught.value.key == key
    assert strict[2 * SHARD + 9 * INNER] == VALUES[2 * SHARD + 9 * INNER]


@given(data=st.data())
def test_no_read_takes_more_requests_than_it_must(data: st.DataObject) -> None:
    gap = data.draw(st.sampled_from((0, 4 * INNER, 10 * INNER)))
    array = _array(
        n_shards=1, config={"sharding_coalesce_max_gap_bytes": gap}, versions=data.draw(st.booleans())
    )
    start, stop = sorted(data.draw(st.tuples(st.integers(0, SHARD), st.integers(0, SHARD))))
    step = data.draw(st.integers(1, 9)) * INNER
    selection = slice(start, stop, step)
    np.testing.assert_array_equal(array[selection], VALUES[: array.size][selection])
    taken = [wanted for _, _, wanted in array.store.taken()]
    if None in taken:
        assert taken == [None]
        return
    touched = sorted({i // INNER for i in range(start, stop, step)})
    joined = sum(
        i == 0 or 4 * INNER * (number - touched[i - 1] - 1) > gap for i, number in enumerate(touched)
    )
    indexes = [wanted for wanted in taken if wanted[0] < 0]
    assert len(taken) - len(indexes) == joined
    assert len(indexes) <= (1 if array.store.versions or not touched else 2)


# --- writes


@VERSIONS
def test_full_shards_are_written_without_a_look_at_what_is_there(versions: bool) -> None:
    array = _array(versions=versions)
    array[SHARD : 2 * SHARD] = 5
    assert array.store.taken() == [("set", "c/1", None)]
    array[...] = 6
    assert array.store.taken() == [("set", f"c/{n}", None) for n in range(N_SHARDS)]
    array[SHARD : 2 * SHARD] = -1
    assert array.store.taken() == [("delete", "c/1", None)]


@VERSIONS
def test_a_partial_write_is_one_get_and_one_set(versions: bool) -> None:
    array = _array(versions=versions)
    array[5:7] = 9
    assert array.store.taken() == [("get", "c/0", None), ("set", "c/0", None)]
    array[3 * INNER : 5 * INNER] = -1
    assert array.store.taken() == [("get", "c/0", None), ("set", "c/0", None)]
    array[SHARD - 3 : SHARD + 3] = 9
    assert Counter(array.store.taken()) == Counter(
        (deed, key, None) for deed in ("get", "set") for key in ("c/0", "c/1")
    )
    array.store.delete("c/2")
    array.store.taken()
    array[2 * SHARD] = 1
    assert array.store.taken() == [("get", "c/2", None), ("set", "c/2", None)]
    array[2 * SHARD] = -1
    assert array.store.taken() == [("get", "c/2", None), ("delete", "c/2", None)]


def test_edge_shards_are_covered_by_what_is_in_the_array() -> None:
    store = CountingStore()
    array = sharded_array(store, (SHARD + 10,), (SHARD,), (INNER,))
    array[SHARD:] = 3
    assert store.taken() == [("set", "c/1", None)]
    check_stored(array, np.concatenate([np.full(SHARD, -1, "i4"), np.full(10, 3, "i4")]))


# --- shards that change


def _replace_before(array: Any, when: int, content: list[bytes]) -> None:
    """Before range request ``when`` (from 0) and each one after it, the shard becomes the next content."""
    store, seen = array.store, [0]

    def before(key: str, wanted: Any) -> None:
        if key == "c/0" and wanted is not None:
            if seen[0] >= when and content:
                store.objects[key] = (content.pop(0), store.objects[key][1] + 1)
            seen[0] += 1

    store.before_get = before


def _stored(values: Any, codecs: Any) -> bytes:
    array = _array(n_shards=1, codecs=codecs)
    array[...] = values
    return bytes(array.store.get("c/0"))


CODECS = pytest.mark.parametrize(
    "codecs", [[BYTES], [BYTES, ZSTD], [BYTES, CRC32C]], ids=["raw", "zstd", "crc32c"]
)
SELECTION = slice(0, SHARD // 4, 3 * INNER)
NOISE = np.random.default_rng(1).integers(1, 2**30, SHARD, "i4")


@pytest.mark.parametrize(
    ("versions", "codecs"),
    [
        (True, [BYTES]),
        (True, [BYTES, ZSTD]),
        (True, [BYTES, CRC32C]),
        (False, [BYTES, ZSTD]),
    ],
    ids=repr,
)
def test_a_shard_that_is_replaced_between_index_and_ranges_is_read_again(versions: bool, codecs: Any) -> None:
    # Of noise, so that the inner chunks of the new one lie elsewhere when they are compressed.
    new = _stored(NOISE, codecs)
    for when in range(1, 7):
        array = _array(versions=versions, n_shards=1, codecs=codecs)
        _replace_before(array, when, [new])
        np.testing.assert_array_equal(array[SELECTION], NOISE[SELECTION])


@pytest.mark.parametrize("codecs", [[BYTES], [BYTES, CRC32C]], ids=["raw", "crc32c"])
def test_without_versions_equal_indexes_hide_a_change_but_inner_chunks_are_whole(codecs: Any) -> None:
    """What is always of one size lies in the same places: then nothing tells; the docs say so."""
    new = _stored(NOISE, codecs)
    for when in range(1, 7):
        array = _array(versions=False, n_shards=1, codecs=codecs)
        _replace_before(array, when, [new])
        found = array[: SHARD // 4].reshape(-1, INNER)
        for number, inner in enumerate(found):
            box = slice(number * INNER, (number + 1) * INNER)
            assert inner.tolist() in (VALUES[box].tolist(), NOISE[box].tolist())


@VERSIONS
@CODECS
def test_a_shard_that_becomes_shorter_or_absent_is_read_again(versions: bool, codecs: Any) -> None:
    array = _array(versions=versions, n_shards=1, codecs=codecs)
    small = np.full(SHARD, -1, "i4")
    small[:5] = 8
    _replace_before(array, 1, [_stored(small, codecs)])
    np.testing.assert_array_equal(array[SELECTION], small[SELECTION])
    array = _array(versions=versions, n_shards=1, codecs=codecs)
    asked: list[Any] = []

    def vanish(key: str, wanted: Any) -> None:
        asked.append(wanted)
        if len(asked) == 2:
            array.store.objects.pop("c/0")

    array.store.before_get = vanish
    assert (array[SELECTION] == -1).all()


@pytest.mark.parametrize(
    ("versions", "codecs"),
    [
        (True, [BYTES]),
        (True, [BYTES, ZSTD]),
        (True, [BYTES, CRC32C]),
        (False, [BYTES, ZSTD]),
    ],
    ids=repr,
)
def test_a_shard_that_changes_at_each_request_is_given_up(versions: bool, codecs: Any) -> None:
    array = _array(versions=versions, n_shards=1, codecs=codecs)
    contents = [_stored(NOISE, codecs), _stored(VALUES[:SHARD], codecs)] * 400
    _replace_before(array, 0, contents)
    with pytest.raises(StoreConflictError, match="changed 8 times while it was read") as caught:
        array[SELECTION]
    assert (caught.value.array, caught.value.key) == (array.path, "c/0")
    assert len(contents) > 600
    array.store.before_get = lambda key, wanted: None
    assert array[SELECTION].shape == VALUES[SELECTION].shape


def test_only_the_shard_that_changed_is_read_again() -> None:
    array = _array()
    new = _stored(NOISE, [BYTES])
    _replace_before(array, 1, [new])
    expected = VALUES[::SHARD].copy()
    expected[0] = NOISE[0]
    np.testing.assert_array_equal(array[::SHARD], expected)
    assert Counter(key for _, key, _ in array.store.taken()) == {"c/0": 4, "c/1": 2, "c/2": 2, "c/3": 2}


# --- trusted indexes

TRUST = {**APART, "shard_index": "trust"}


@VERSIONS
def test_a_trusted_index_is_read_once(versions: bool) -> None:
    array = _array(versions=versions, config=TRUST)
    assert array[5 * INNER] == VALUES[5 * INNER]
    assert array.store.taken() == [*_index(), *_inner(5)]
    for number in (5, 6, 60):
        assert array[number * INNER] == VALUES[number * INNER]
        assert array.store.taken() == _inner(number)
    # What this handle writes, it does not trust.
    array[3] = 77
    array.store.taken()
    assert array[3] == 77
    assert array.store.taken() == [*_index(), *_inner(0)]


@CODECS
def test_a_trusted_index_of_another_version_is_noticed(codecs: Any) -> None:
    array = _array(config=TRUST, codecs=codecs)
    array[0]
    array.store.set("c/0", _stored(NOISE, codecs))
    assert array[9 * INNER] == NOISE[9 * INNER]
    array.store.delete("c/0")
    assert array[10 * INNER] == -1
    array.store.set("c/0", _stored(NOISE, codecs))
    assert array[10 * INNER] == NOISE[10 * INNER]


@VERSIONS
def test_a_trusted_index_of_a_shard_that_became_shorter_is_noticed(versions: bool) -> None:
    array = _array(versions=versions, config=TRUST)
    array[50 * INNER]
    small = np.full(SHARD, -1, "i4")
    small[60 * INNER :] = 8
    array.store.set("c/0", _stored(small, [BYTES]))
    assert array[63 * INNER] == 8


def test_trusted_indexes_are_bounded() -> None:
    array = _array(config={**TRUST, "shard_index_cache_nbytes": 2 * INDEX_NBYTES})
    for shard in (0, 1, 2):
        array[shard * SHARD]
    array.store.taken()
    for shard, known in ((2, True), (1, True), (0, False), (1, True), (2, False)):
        assert array[shard * SHARD] == VALUES[shard * SHARD]
        assert array.store.taken() == [*_index(shard, n=0 if known else 1), *_inner(0, shard=shard)]
    array = _array(config={**TRUST, "shard_index_cache_nbytes": 0})
    for _ in range(2):
        array[0]
        assert array.store.taken() == [*_index(), *_inner(0)]
