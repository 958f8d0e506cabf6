"""Writes to uncompressed local files, whatever the way: at once, in pieces from a buffer, in rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.soak import count
from zarrc.codecs import BytesCodec, TransposeCodec
from zarrc.storage import MemoryStore

# Chunks of one piece, of many, below and above the size from which pieces are gathered; rows on both sides
# of those that the system gathers; elements longer than either.
LAYOUTS: dict[str, dict[str, Any]] = {
    "rows of bytes": {"chunks": (4099, 2053), "dtype": "u1"},
    "short rows": {"chunks": (70001, 61), "dtype": "u2"},
    "long rows": {"chunks": (301, 2049), "dtype": "f4"},
    "long rows, two at a time": {"chunks": (131, 2, 4096), "dtype": "u2"},
    "long rows, two at a time, gathered": {"chunks": (1031, 2, 4099), "dtype": "u1"},
    "long rows, one row at a time": {"chunks": (2, 3, 1, 300_000), "dtype": "u2"},
    "one row": {"chunks": (1_500_000,), "dtype": "f8"},
    "planes": {"chunks": (129, 128, 131), "dtype": "f4"},
    "planes longer than a piece": {"chunks": (3, 5, 700, 401), "dtype": "u2"},
    "small": {"chunks": (30, 40), "dtype": "f4"},
    "below a piece": {"chunks": (256, 256), "dtype": "f8"},
    "odd items": {"chunks": (1403, 2003), "dtype": "V3"},
    "large items": {"chunks": (400, 7), "dtype": "V4096"},
    "huge items": {"chunks": (5,), "dtype": "V600000"},
    "swapped": {"chunks": (1200, 2003), "dtype": "f4", "endian": "big"},
    "swapped, one row": {"chunks": (2_200_000,), "dtype": "f4", "endian": "big"},
    "swapped, complex": {"chunks": (601, 907), "dtype": "c16", "endian": "big"},
    "transposed": {"chunks": (2100, 2003), "dtype": "u2", "order": (1, 0)},
    "transposed, long runs": {"chunks": (300, 16000), "dtype": "u2", "order": (1, 0)},
    "swapped axes": {"chunks": (130, 150, 220), "dtype": "u2", "order": (1, 0, 2)},
    "cycled": {"chunks": (130, 150, 220), "dtype": "u2", "order": (2, 0, 1), "endian": "big"},
}
ORDERS = ("C", "F", "reversed", "spread", "unaligned")


def values(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int, order: str) -> Any:
    """Data whose memory lies in the given way."""
    n = int(np.prod(shape))
    raw = np.random.default_rng(seed).integers(0, 256, n * dtype.itemsize, "u1")
    data = raw.view(dtype).reshape(shape)
    if order == "F":
        return np.asfortranarray(data)
    if order == "reversed":
        return data[tuple(slice(None, None, -1 if axis % 2 == 0 else 1) for axis in range(data.ndim))]
    if order == "spread":
        wide = np.empty(tuple(extent + 1 for extent in shape), dtype)
        inside = wide[tuple(slice(extent) for extent in shape)]
        inside[...] = data
        return inside
    if order == "unaligned":
        memory = np.empty(data.nbytes + 1, "u1")
        inside = np.ndarray(shape, dtype, memory.data, 1)
        inside[...] = data
        return inside
    return data


def create(
    path: Path | MemoryStore, layout: dict[str, Any], shape: tuple[int, ...], **more: Any
) -> zarrc.Array:
    dtype = np.dtype(layout["dtype"])
    return zarrc.create_array(
        path,
        shape=shape,
        chunks=layout["chunks"],
        dtype=f"r{8 * dtype.itemsize}" if dtype.kind == "V" else dtype,
        compressors=None,
        filters=[TransposeCodec(order=layout["order"])] if "order" in layout else None,
        serializer=BytesCodec(endian=layout.get("endian", "little")),
        **more,
    )


def stored(data: Any, layout: dict[str, Any]) -> bytes:
    """The bytes of a chunk as the specification has them."""
    data = data.transpose(layout.get("order", range(data.ndim)))
    order = ">" if layout.get("endian") == "big" else "<"
    return np.ascontiguousarray(data, data.dtype.newbyteorder(order)).tobytes()


def files(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.mark.parametrize("name", LAYOUTS)
@given(order=st.sampled_from(ORDERS), seed=st.integers(0, 9), trim=st.integers(0, 3))
@settings(max_examples=count(80), deadline=None)
def test_a_whole_chunk_is_stored_as_the_specification_has_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, order: str, seed: int, trim: int
) -> None:
    layout = LAYOUTS[name] | {"chunks": (LAYOUTS[name]["chunks"][0] - trim, *LAYOUTS[name]["chunks"][1:])}
    layout["chunks"] = tuple(max(1, extent) for extent in layout["chunks"])
    path = tmp_path_factory.mktemp("raw")
    array = create(path / "a", layout, layout["chunks"])
    data = values(layout["chunks"], np.dtype(layout["dtype"]), seed, order)
    array[...] = data
    (content,) = (one for key, one in files(path / "a").items() if key != "zarr.json")
    assert content == stored(data, layout)
    assert array[...].tobytes() == data.tobytes()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_chunks_inside_and_at_the_edge_equal_those_of_a_store_in_memory(
    tmp_path: Path, name: str, order: str
) -> None:
    layout = LAYOUTS[name]
    shape = (layout["chunks"][0] + 1, *layout["chunks"][1:-1], *(n + 2 for n in layout["chunks"][1:][-1:]))
    data = values(shape, np.dtype(layout["dtype"]), 1, order)
    local = create(tmp_path / "a", layout, shape)
    store = MemoryStore()
    for array in (local, create(store, layout, shape)):
        array[...] = data
    expected = {key: bytes(store.get(key) or b"") for key in store.list_prefix("")}
    assert files(tmp_path / "a") == expected


def test_values_of_another_byte_order_and_type_are_cast_before(tmp_path: Path) -> None:
    layout = LAYOUTS["swapped"]
    array = create(tmp_path / "a", layout, layout["chunks"])
    for dtype in (">f4", "<f4", "f8", "i2"):
        data = np.arange(np.prod(layout["chunks"])).reshape(layout["chunks"]) % 1000
        array[...] = data.astype(dtype)[:, ::-1]
        assert (array[...] == data[:, ::-1]).all()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["planes", "long rows", "swapped", "swapped axes", "one row"])
def test_a_chunk_of_fill_is_removed(tmp_path: Path, name: str, zarr_format: int) -> None:
    layout = LAYOUTS[name]
    dtype = np.dtype(layout["dtype"])
    if zarr_format == 2:
        path, order = tmp_path / "a", ">" if "endian" in layout else "<"
        array = zarrc.create_array(
            path,
            shape=layout["chunks"],
            chunks=layout["chunks"],
            dtype=dtype.newbyteorder(order),
            compressors=None,
            fill_value=258,
            zarr_format=2,
        )
    else:
        path = tmp_path / "a"
        array = create(path, layout, layout["chunks"], fill_value=258)
    wide = np.full(tuple(extent + 1 for extent in layout["chunks"]), 258, array.dtype)
    inside = wide[tuple(slice(extent) for extent in layout["chunks"])]
    before = set(files(path))
    inside[(-1,) * inside.ndim] = 3
    array[...] = inside
    assert len(files(path)) == len(before) + 1
    inside[...] = 258
    wide[(-1,) * inside.ndim] = 3
    array[...] = inside
    assert set(files(path)) == before
    assert (array[...] == 258).all()


def test_a_broadcast_value_is_written(tmp_path: Path) -> None:
    layout = LAYOUTS["planes"]
    array = create(tmp_path / "a", layout, layout["chunks"])
    row = np.arange(layout["chunks"][-1], dtype="f4")
    array[...] = row
    assert (array[...] == row).all()
    array[...] = np.float32(7)
    assert (array[...] == 7).all()


def test_a_chunk_larger_than_memory_does_not_fill_the_disk(tmp_path: Path) -> None:
    array = zarrc.create_array(
        tmp_path / "a", shape=(1 << 24, 1 << 24), chunks=(1 << 24, 1 << 24), dtype="u1", compressors=None
    )
    for value in (1, np.ones((1, 1 << 24), "u1")):
        with pytest.raises(MemoryError):
            array[...] = value
    assert set(files(tmp_path / "a")) == {"zarr.json"}


FAILS = """
import errno, resource, signal, sys, numpy, zarrc
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
array = zarrc.open_array(sys.argv[1], mode="r+")
data = numpy.full(tuple(n + 1 for n in array.shape), 2, array.dtype)[tuple(map(slice, array.shape))]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    array[...] = data
except zarrc.errors.StoreError as error:
    assert error.errno == errno.EFBIG and "c/0" in str(error), error
    sys.exit(42)
"""


@pytest.mark.parametrize("limit", [0, 1, 4096, 100_001, 1 << 20, 2_000_000])
@pytest.mark.parametrize("name", ["planes", "long rows", "swapped"])
def test_a_file_system_that_takes_no_more_leaves_the_old_chunk(tmp_path: Path, name: str, limit: int) -> None:
    array = create(tmp_path / "a", LAYOUTS[name], LAYOUTS[name]["chunks"])
    array[...] = 1
    before = files(tmp_path / "a")
    command = [sys.executable, "-c", FAILS, str(tmp_path / "a"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (42, "")
    assert files(tmp_path / "a") == before


@pytest.mark.parametrize("name", ["planes", "long rows"])
def test_a_root_that_was_removed_is_an_error(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    array = create(tmp_path / "a", layout, layout["chunks"])
    data = values(layout["chunks"], np.dtype(layout["dtype"]), 1, "spread")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(zarrc.errors.ZarrcError):
        array[...] = data
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in KiB")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer takes memory of its own")
@pytest.mark.parametrize("chunks", [(256, 256, 256), (8, 256, 8192)])
def test_no_chunk_is_put_together_in_memory(tmp_path: Path, chunks: tuple[int, ...]) -> None:
    wide = (*chunks[:-1], chunks[-1] + 64)
    zarrc.create_array(tmp_path / "a", shape=chunks, chunks=chunks, dtype="u2", compressors=None)
    program = (
        "import resource, sys, numpy, zarrc\n"
        "array = zarrc.open_array(sys.argv[1], mode='r+')\n"
        f"data = numpy.ones({wide}, 'u2')[..., :{chunks[-1]}]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "array[...] = data\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")], check=True, capture_output=True, text=True
    )
    assert int(found.stdout) < 12 << 10
