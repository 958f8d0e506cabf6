"""Compacting takes the bytes nobody needs out of shards, and changes no value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import BYTES, CRC32C, ZSTD, check_stored, crc32c, shard_objects, sharded_array
from tests.tools.places import PLACES, new_store
from zarrc.errors import CorruptChunkError, ReadOnlyError
from zarrc.tools.compacting import Compaction, compact_array

INNER_NBYTES = 2 * 4
INDEX_NBYTES = 4 * 16 + 4


def make(store: Any, **keywords: Any) -> Any:
    """Four shards of four inner chunks of 8 bytes; whole, 100 bytes each."""
    array = sharded_array(store, (32,), (8,), (2,), [BYTES], **keywords)
    array[...] = range(32)
    return array


def with_garbage(shard: bytes, gap: int = 0, tail: int = 0, *, backwards: bool = False) -> bytes:
    """The same inner chunks with bytes before, between and behind them, index at the end."""
    words = np.frombuffer(shard[-INDEX_NBYTES:-4], "<u8").reshape(-1, 2).copy()
    body = b""
    for row in words[::-1] if backwards else words:
        part = shard[int(row[0]) : int(row[0]) + int(row[1])]
        row[0] = len(body) + gap
        body += b"\xee" * gap + part
    index = words.tobytes()
    return body + b"\xee" * tail + index + crc32c(index).to_bytes(4, "little")


def spoil(array: Any, place: int, gap: int = 0, tail: int = 0, *, backwards: bool = False) -> int:
    """Put garbage into a shard by hand; its size then."""
    key = f"c/{place}"
    shard = with_garbage(bytes(array.store.get(key)), gap, tail, backwards=backwards)
    array.store.set(key, shard)
    return len(shard)


@pytest.mark.parametrize("kind", PLACES)
def test_gaps_that_others_left_go_and_the_rest_stays(kind: str, tmp_path: Path) -> None:
    array = make(new_store(kind, tmp_path / "a"))
    untouched = bytes(array.store.get("c/3"))
    sizes = [
        spoil(array, 0, gap=50),
        spoil(array, 1, tail=100),
        spoil(array, 2, tail=10, backwards=True),
        100,
    ]
    assert array[...].tolist() == list(range(32))
    assert array.compact() == Compaction(4, 2, sum(sizes), 100 + 100 + sizes[2] + 100)
    check_stored(array, np.arange(32, dtype="i4"), gaps=True)
    assert array.compact(0) == Compaction(4, 1, 100 * 3 + sizes[2], 400)
    check_stored(array, np.arange(32, dtype="i4"))
    assert bytes(array.store.get("c/3")) == untouched
    assert array.compact(0) == Compaction(4, 0, 400, 400)


@pytest.mark.parametrize(
    ("ratio", "n_written"), [(0, 3), (0.0, 3), (0.199, 2), (0.2, 1), (0.49, 1), (0.5, 0), (1, 0)]
)
def test_shards_past_the_ratio_are_written_anew(ratio: float, n_written: int) -> None:
    array = make({})
    # 1, 20 and 50 percent of garbage.
    sizes = [spoil(array, 0, tail=1), spoil(array, 1, tail=25), spoil(array, 2, tail=100)]
    assert sizes == [101, 125, 200]
    done = array.compact(ratio)
    assert done.n_written == n_written
    assert (done.n_shards, done.nbytes_before) == (4, sum(sizes) + 100)
    assert done.nbytes_after == sum(map(len, shard_objects(array).values()))


def test_what_is_not_a_ratio_is_refused() -> None:
    array = make({})
    for wrong in (-0.1, 1.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="ratio must be in"):
            array.compact(wrong)
    for other in ("0.5", None):
        with pytest.raises(TypeError):
            array.compact(other)


def test_a_read_only_array_is_refused() -> None:
    array = make({})
    with pytest.raises(ReadOnlyError, match="opened for reading only"):
        zarrc.open_array(array.store, mode="r").compact()


@pytest.mark.parametrize("keywords", [{}, {"zarr_format": 2}])
def test_an_array_without_shards_has_nothing_to_compact(keywords: Any) -> None:
    array: Any = zarrc.create_array({}, shape=(8,), chunks=4, dtype="i4", **keywords)
    array[...] = 1
    assert array.compact(0) == Compaction(0, 0, 0, 0)


def test_where_nothing_is_stored_nothing_is_done() -> None:
    array = sharded_array({}, (32,), (8,), (2,), [BYTES])
    assert array.compact(0) == Compaction(0, 0, 0, 0)
    assert sharded_array({}, (0,), (8,), (2,), [BYTES]).compact() == Compaction(0, 0, 0, 0)
    scalar = sharded_array({}, (), (), (), [BYTES])
    scalar[...] = 1
    assert scalar.compact(0).n_shards == 1


def test_a_shard_of_nothing_but_garbage_goes() -> None:
    array = make({})
    absent = np.full((4, 2), 2**64 - 1, "<u8").tobytes()
    array.store.set("c/1", b"\xee" * 40 + absent + crc32c(absent).to_bytes(4, "little"))
    assert array.compact() == Compaction(4, 1, 300 + 108, 300)
    assert array.store.get("c/1") is None
    assert array[...].tolist() == [*range(8), *[-1] * 8, *range(16, 32)]


def test_inner_chunks_that_share_their_bytes_are_still_there_afterwards() -> None:
    array = make({})
    shard = bytes(array.store.get("c/0"))
    words = np.frombuffer(shard[-INDEX_NBYTES:-4], "<u8").reshape(-1, 2).copy()
    words[:, 0] = words[2, 0]
    index = words.tobytes()
    array.store.set("c/0", shard[:32] + index + crc32c(index).to_bytes(4, "little"))
    assert array[:8].tolist() == [4, 5] * 4
    array.compact(0)
    assert array[:8].tolist() == [4, 5] * 4


@given(
    seed=st.integers(0, 2**32 - 1),
    location=st.sampled_from(("start", "end")),
    index_codecs=st.sampled_from(([BYTES], [BYTES, CRC32C])),
    nested=st.booleans(),
    ratio=st.sampled_from((0, 0.1, 0.25, 0.6)),
)
def test_appends_leave_garbage_and_compacting_takes_it_out(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    location: str,
    index_codecs: Any,
    nested: bool,
    ratio: float,
) -> None:
    random = np.random.default_rng(seed)
    chain = [BYTES, ZSTD]
    if nested:
        inner = {
            "chunk_shape": [2, 2],
            "codecs": chain,
            "index_codecs": index_codecs,
            "index_location": location,
        }
        chain = [{"name": "sharding_indexed", "configuration": inner}]
    array = sharded_array(
        tmp_path_factory.mktemp("a") / "a",
        (22, 9),
        (8, 8),
        (4, 4),
        chain,
        index_codecs=index_codecs,
        location=location,
        config={"shard_update": "append", "locking": "file"},
    )
    expected = np.full((22, 9), -1, "i4")
    for _ in range(int(random.integers(1, 12))):
        corner = random.integers(0, (22, 9))
        box = tuple(slice(at, at + int(random.integers(1, 9))) for at in corner)
        array[box] = expected[box] = random.integers(-1, 3)
    before = sum(map(len, shard_objects(array).values()))
    n_shards = len(shard_objects(array))
    done = array.compact(ratio)
    after = sum(map(len, shard_objects(array).values()))
    assert (done.n_shards, done.nbytes_before, done.nbytes_after) == (n_shards, before, after)
    assert (array[...] == expected).all()
    # What was appended without leaving garbage stays where it is, out of order.
    check_stored(array, expected, gaps=True)
    if ratio == 0:
        usages = [array._direct().shard_usage(shard) for shard in np.ndindex(3, 2)]
        assert all(usage is None or usage[0] == usage[1] for usage in usages)
    assert array.compact(ratio).n_written == 0
    assert list(Path(array.store.local_root).rglob(".zc*")) == []


def test_progress_counts_the_shards(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    told: list[tuple[int, int]] = []
    compact_array(array, 0, lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_one_that_is_interrupted_can_be_begun_again(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    for place in range(4):
        spoil(array, place, tail=100)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact_array(array, 0, stop)
    assert sorted(map(len, shard_objects(array).values())) == [100, 100, 200, 200]
    assert list(tmp_path.rglob(".zc*")) == []
    assert array[...].tolist() == list(range(32))
    assert array.compact(0) == Compaction(4, 2, 600, 400)


def test_a_damaged_shard_is_an_error_that_names_it() -> None:
    array = make({}, name="a/b")
    blob = bytearray(array.store.get("a/b/c/2"))
    blob[-1] ^= 1
    array.store.set("a/b/c/2", bytes(blob))
    with pytest.raises(CorruptChunkError, match="index") as caught:
        array.compact()
    assert (caught.value.array, caught.value.key) == ("a/b", "a/b/c/2")


def test_codecs_around_the_shard_are_kept() -> None:
    array = make({}, after=[ZSTD])
    assert array.compact(0).n_shards == 4
    assert array[...].tolist() == list(range(32))
    check_stored(array, np.arange(32, dtype="i4"))


def test_damaged_inner_chunks_pass_through_as_they_are() -> None:
    array = sharded_array({}, (8,), (8,), (2,), [BYTES, CRC32C])
    array[...] = range(8)
    shard = bytearray(array.store.get("c/0"))
    shard[0] ^= 1
    array.store.set("c/0", with_garbage(bytes(shard), tail=500))
    assert array.compact().n_written == 1
    with pytest.raises(CorruptChunkError, match=r"inner chunk \(0,\)"):
        array[0]
    assert array[2:].tolist() == [2, 3, 4, 5, 6, 7]
