"""`Array.digest`: the definition, and that nothing but shape, data type and elements counts."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.strategies import chunk_shapes, dtype_names, shapes
from zarrc.storage import LocalStore, MappingStore, MemoryStore
from zarrc.tools import digesting


def by_definition(data: Any, algorithm: str = "sha256") -> bytes:
    """The digest, as the module defines it."""
    data = np.asarray(data)
    little = data.dtype.newbyteorder("<")
    shape = [max(1, extent) for extent in data.shape]
    while (
        np.prod(shape, dtype=object) * little.itemsize > digesting.TILE_NBYTES and max(shape, default=1) > 1
    ):
        d = shape.index(max(shape))
        shape[d] = (shape[d] + 1) // 2
    whole = hashlib.new(algorithm)
    whole.update(f"zarrc-digest-1\n{','.join(map(str, data.shape))}\n{little.str}\n".encode("ascii"))
    starts = [range(0, extent, step) for extent, step in zip(data.shape, shape, strict=True)]
    for corner in itertools.product(*starts):
        tile = data[tuple(slice(i, i + step) for i, step in zip(corner, shape, strict=True))]
        whole.update(hashlib.new(algorithm, tile.astype(little).tobytes()).digest())
    return whole.digest()


@settings(max_examples=60)
@given(st.data())
def test_it_is_as_defined_whatever_the_chunks_are(data: st.DataObject) -> None:
    shape = data.draw(shapes(max_ndim=3))
    dtype = data.draw(dtype_names())
    chunks = data.draw(chunk_shapes(shape))
    values = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digesting, "TILE_NBYTES", data.draw(st.sampled_from((1, 100, 2**22))))
        array = zarrc.create_array(MemoryStore(), data=values, chunks=chunks)
        assert array.digest() == by_definition(values)


def test_how_an_array_is_stored_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "TILE_NBYTES", 300)
    values = np.arange(300, dtype="f8").reshape(20, 15)
    values[7:, :8] = 0
    ways: list[dict[str, Any]] = [
        {"chunks": (20, 15)},
        {"chunks": (1, 15)},
        {"chunks": (20, 1), "compressors": None},
        {"chunks": (2, 3), "shards": (10, 9)},
        {"chunks": (7, 4), "fill_value": 5.0},
        {"chunks": (7, 4), "write_empty_chunks": True},
        {"chunks": ((3, 7, 10), (9, 6))},
        {"chunks": (6, 5), "zarr_format": 2, "dtype": ">f8", "order": "F"},
        {"chunks": (6, 5), "config": {"order": "F"}},
        {"chunks": (6, 5), "store": LocalStore(tmp_path / "a")},
        {"chunks": (6, 5), "store": MappingStore({})},
    ]
    found = set()
    for way in ways:
        array = zarrc.create_array(**{"store": MemoryStore(), "shape": (20, 15), "dtype": "f8"} | way)
        array[...] = values
        found.add(array.hexdigest())
        with array.buffered():
            array[0, 0] = 0.0
            found.add(array.hexdigest())
    assert found == {by_definition(values).hex()}


def test_shape_data_type_and_each_bit_count() -> None:
    base = np.zeros((4, 6), "f4")
    negative, nan, other = base.copy(), base.copy(), base.copy()
    negative[1, 1] = -0.0
    nan[1, 1] = np.nan
    other[3, 5] = 1
    all_of_them = [base, negative, nan, other, base.reshape(6, 4), base.reshape(24), base.astype("i4")]
    found = {zarrc.array(one, chunks=2).digest() for one in all_of_them}
    found |= {zarrc.zeros((0, 6), dtype="f4").digest(), zarrc.zeros((6, 0), dtype="f4").digest()}
    assert len(found) == len(all_of_them) + 2


def test_dates_and_raw_bits() -> None:
    days = np.array(["2001-02-03", "NaT"], "M8[D]")
    raw = np.array([b"abc", b"xyz"], "V3")
    for values in (days, raw):
        try:
            array = zarrc.create_array(MemoryStore(), data=values, chunks=1)
        except zarrc.errors.MetadataError:
            continue  # a data type that is not there yet
        assert array.digest() == by_definition(values)


def test_other_hash_functions() -> None:
    array = zarrc.array(np.arange(10), chunks=3)
    assert array.digest("md5") == by_definition(np.arange(10), "md5")
    assert array.hexdigest("blake2b") == by_definition(np.arange(10), "blake2b").hex()
    for wrong in ("nothing", 3, "shake_128"):
        with pytest.raises(ValueError, match=r"hash function|no digest"):
            array.digest(wrong)  # type: ignore[arg-type]


def test_what_is_not_stored_is_not_read() -> None:
    class Telling(MappingStore):
        n_reads = 0

        def get(self, key: str, range: Any = None) -> Any:
            self.n_reads += 1
            return super().get(key, range)

    store = Telling({})
    array = zarrc.create_array(store, shape=(4000, 4000), chunks=(100, 100), dtype="f8", fill_value=2)
    array[50, 50] = 3
    store.n_reads = 0
    found = array.digest()
    assert store.n_reads < 200
    whole = np.full((4000, 4000), 2.0)
    whole[50, 50] = 3
    assert found == by_definition(whole)


def test_missing_chunks_that_are_errors_are_errors() -> None:
    array = zarrc.zeros((4,), chunks=2, config={"read_missing_chunks": False})
    with pytest.raises(zarrc.errors.ChunkNotFoundError):
        array.digest()
