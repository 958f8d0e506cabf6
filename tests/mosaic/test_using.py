"""What a mosaic tells, writing to it, many tiles and other stores."""

from __future__ import annotations

import copy
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.mosaic.samples import bricks
from tests.strategies import random_values
from zarrc import mosaic
from zarrc.errors import (
    BoundsCheckError,
    CastingError,
    CorruptChunkError,
    MetadataError,
    ReadOnlyError,
    StoreError,
)
from zarrc.mosaic.tile import Tile
from zarrc.mosaic.tiling import Tiling

# --- what it tells


def test_what_a_mosaic_tells(tmp_path: Path) -> None:
    m = bricks()
    assert (m.shape, m.ndim, m.size, m.itemsize, m.nbytes, len(m)) == ((10, 12), 2, 120, 4, 480, 10)
    assert (m.path, m.name, m.read_only, m.overlap, m.gaps) == ("", "/", False, "error", "error")
    assert m.store is m.group.store
    assert repr(m).endswith("shape=(10, 12) dtype=int32 of 4 tiles>")
    assert "Covered     : all" in repr(m.info)
    assert "<table" in m._repr_html_()
    assert "1_1 (6, 4) int32" in str(m.tree())
    assert m.array("1_1").shape == m.array(-1).shape == (6, 4)
    with pytest.raises(KeyError, match="no tile '2_2'"):
        m.array("2_2")
    for number in (4, -5):
        with pytest.raises(IndexError, match=f"the mosaic has 4 tiles, and no number {number}"):
            m.array(number)
    with pytest.raises(TypeError, match=r"a tile is a number or a path, got 1\.5"):
        m.array(1.5)  # type: ignore[arg-type]
    assert np.asarray(m, dtype="f4").dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(m, copy=False)
    with pytest.raises(ValueError, match="truth value"):
        bool(m)
    assert m != 3
    assert hash(m) == hash(mosaic.open(m.group))


def test_attributes_leave_the_description_alone() -> None:
    m = bricks()
    m.attrs["units"] = "K"
    m.attrs.put({"title": "t"})
    assert dict(m.attrs) == {"title": "t"}
    m.attrs.clear()
    assert dict(m.attrs) == {}
    with pytest.raises(MetadataError, match="stays as it is"):
        m.attrs["zarrc_mosaic"] = {}
    assert mosaic.open(m.group.store)[0, 0] == 0


def test_a_mosaic_is_pickled_and_copied(tmp_path: Path) -> None:
    m = mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 2, 2: 2}, dtype="i4")
    m[...] = [1, 2, 3, 4]
    for one in (pickle.loads(pickle.dumps(m)), copy.copy(m), copy.deepcopy(m)):
        assert one == m
        assert one[...].tolist() == [1, 2, 3, 4]


def test_only_the_tiles_that_are_met_are_read(tmp_path: Path) -> None:
    m = mosaic.create(tmp_path / "m.zarr", shape=(9,), tiles={0: 3, 3: 3, 6: 3}, dtype="i4")
    m[...] = np.arange(9)
    chunk = tmp_path / "m.zarr/1/c/0"
    chunk.write_bytes(b"damage")
    assert m[[0, 8, 2]].tolist() == [0, 8, 2]
    assert m[::6].tolist() == [0, 6]
    assert m[:3].tolist() == [0, 1, 2]
    with pytest.raises(CorruptChunkError):
        m[2:4]


# --- writing


def test_a_value_that_does_not_fit_writes_nothing() -> None:
    m = bricks()
    with pytest.raises(CastingError):
        m[...] = np.full((10, 12), 2**40)
    with pytest.raises(ValueError, match="broadcast"):
        m[...] = np.zeros((3, 3))
    with pytest.raises(BoundsCheckError, match="axis 1 with size 12"):
        m[0, 12]
    with pytest.raises(IndexError):
        m[0, 0, 0]
    assert not m[...].any()
    unchecked = mosaic.open(m.group, config={"casting": "unsafe"})
    unchecked[0, 0] = np.int64(2**40 + 1)
    assert m[0, 0] == 1


def test_reading_only(tmp_path: Path) -> None:
    mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 4})
    m = mosaic.open(tmp_path / "m.zarr", mode="r")
    assert m.read_only
    with pytest.raises(ReadOnlyError):
        m[0] = 1
    with pytest.raises(ReadOnlyError):
        m.array(0)[0] = 1
    with pytest.raises(ValueError, match="mode must be"):
        mosaic.open(tmp_path / "m.zarr", mode="w")


def test_of_values_for_one_element_the_last_stays() -> None:
    m = mosaic.create(shape=(6,), tiles={0: 3, 3: 3}, dtype="i4")
    m[[4, 1, 4, 1]] = [1, 2, 3, 4]
    assert m[...].tolist() == [0, 4, 0, 0, 3, 0]


def test_tiles_may_be_written_directly() -> None:
    m = bricks()
    with m.array("0_0").buffered():
        m.array("0_0")[0] = 5
        assert m[0].tolist() == [5] * 5 + [0] * 7
        m[[0, 1], [0, 0]] = 6
    assert m[:2, 0].tolist() == [6, 6]


# --- many tiles, other stores


def test_tiles_in_a_spiral_are_no_trouble() -> None:
    low, high, tiles = [0, 0], [5_000, 5_000], []
    for i in range(5_000):
        # From each side in turn a strip is taken off.
        start, stop = list(low), list(high)
        if i % 4 < 2:
            stop[i % 2] = low[i % 2] = low[i % 2] + 1
        else:
            start[i % 2] = high[i % 2] = high[i % 2] - 1
        tiles.append(Tile(str(i), tuple(start), tuple(b - a for a, b in zip(start, stop, strict=True))))
    begin = time.process_time()
    tiling = Tiling((5_000, 5_000), tiles, "error")
    assert tiling.first_gap() == (tuple(low), tuple(high))
    with pytest.raises(MetadataError, match="overlap at"):
        Tiling((5_000, 5_000), [*tiles, Tile("x", (9, 9), (2, 1))], "error")
    assert time.process_time() - begin < 20


def test_ten_thousand_tiles_are_fine() -> None:
    begin = time.process_time()
    tiles = [Tile(f"{i}", (i // 100 * 10, i % 100 * 10), (10, 10)) for i in range(10_000)]
    tiling = Tiling((1000, 1000), tiles, "error")
    assert not tiling.has_gaps
    assert Tiling((1000, 1001), tiles, "error").first_gap() == ((0, 1000), (1000, 1001))
    # Rows that are shifted against each other, and long tiles beside them: no cut separates them all.
    shifted = [Tile(f"{i}", (i // 100 * 10 + i % 2, i % 100 * 10), (10, 10)) for i in range(10_000)]
    assert Tiling((1001, 1000), shifted, "error").has_gaps
    moved = [*tiles[:5000], Tile("x", (495, 3), (10, 4)), *tiles[5001:]]
    with pytest.raises(MetadataError, match="overlap at"):
        Tiling((1000, 1000), moved, "error")
    assert time.process_time() - begin < 10


def test_stores_that_take_their_time_are_asked_for_several_tiles_at_once() -> None:
    active = most = 0
    pause = 0.0

    class Slow(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            nonlocal active, most
            active += 1
            most = max(most, active)
            time.sleep(pause)
            active -= 1
            return super().__getitem__(key)

    m = mosaic.create(zarrc.storage.MappingStore(Slow()), shape=(40,), tiles=dict.fromkeys(range(40), 1))
    m[...] = np.arange(40)
    most, pause = 0, 0.01
    np.testing.assert_array_equal(m[::-1], np.arange(40)[::-1])
    assert most > 1


def test_an_error_among_several_tiles_is_raised() -> None:
    class Broken(dict[str, bytes]):
        broken = False

        def __getitem__(self, key: str) -> bytes:
            if self.broken and key == "3/c/0":
                raise OSError("gone")
            return super().__getitem__(key)

    objects = Broken()
    m = mosaic.create(zarrc.storage.MappingStore(objects), shape=(40,), tiles={4 * i: 4 for i in range(10)})
    m[...] = 1
    objects.broken = True
    with pytest.raises((OSError, StoreError), match="gone"):
        m[...]
    assert m[:12].sum() == 12


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_peers_fill_values_keep_their_bits(seed: int) -> None:
    values = random_values((1,), "float64", seed)
    store = zarrc.storage.MemoryStore()
    mosaic.create(store, shape=(4,), tiles={0: 2}, gaps="fill", fill_value=values[0])
    assert mosaic.open(store)[...].tobytes() == np.repeat(values, 4).tobytes()
