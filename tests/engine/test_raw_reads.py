"""Reads of uncompressed local files, whatever the way: one call, pieces, rows, straight into the result."""

from __future__ import annotations

import os
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
from tests.strategies import slices
from zarrc.codecs import BytesCodec, TransposeCodec

# Rows shorter and longer than what the kernel fills itself, chunks of many pieces, gaps to skip and to read.
LAYOUTS: dict[str, dict[str, Any]] = {
    "short rows": {"shape": (3000, 700), "chunks": (2000, 300), "dtype": "u2"},
    "long rows": {"shape": (300, 9000), "chunks": (170, 5001), "dtype": "f4"},
    "long rows, aligned": {"shape": (300, 8192), "chunks": (100, 4096), "dtype": "f4"},
    "one row": {"shape": (1_300_000,), "chunks": (700_000,), "dtype": "i2"},
    "planes": {"shape": (70, 90, 110), "chunks": (64, 64, 64), "dtype": "f8"},
    "odd items": {"shape": (200, 80, 90), "chunks": (200, 33, 70), "dtype": "V3"},
    "large items": {"shape": (900, 3), "chunks": (400, 2), "dtype": "V3000"},
    "huge items": {"shape": (9,), "chunks": (7,), "dtype": "V300000"},
    "swapped": {"shape": (900, 1000), "chunks": (700, 600), "dtype": "f4", "endian": "big"},
    "swapped, one row": {"shape": (900_000,), "chunks": (450_000,), "dtype": "f4", "endian": "big"},
    "transposed": {"shape": (900, 1000), "chunks": (700, 600), "dtype": "f4", "order": (1, 0)},
    "cycled": {"shape": (70, 90, 110), "chunks": (64, 64, 64), "dtype": "u2", "order": (2, 0, 1)},
}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[zarrc.Array, Any]]:
    folder: Path = tmp_path_factory.mktemp("raw")
    made = {}
    for name, layout in LAYOUTS.items():
        dtype = np.dtype(layout["dtype"])
        n = int(np.prod(layout["shape"]))
        values = np.random.default_rng(1).bytes(n * dtype.itemsize)
        data = np.frombuffer(values, "u1")
        data = (np.arange(n).astype(dtype) if dtype.kind in "fiu" else data.view(dtype)).reshape(
            layout["shape"]
        )
        filters = [TransposeCodec(order=layout["order"])] if "order" in layout else None
        array = zarrc.create_array(
            folder / name.replace(" ", "_"),
            shape=layout["shape"],
            chunks=layout["chunks"],
            dtype=f"r{8 * dtype.itemsize}" if dtype.kind == "V" else dtype,
            compressors=None,
            filters=filters,
            serializer=BytesCodec(endian=layout.get("endian", "little")),
        )
        array[...] = data
        made[name] = (array, data)
    return made


@st.composite
def selections(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    one = [st.integers(0, n - 1) | slices(n) | st.just(slice(None)) for n in shape]
    return tuple(draw(axis) for axis in one)


@pytest.mark.parametrize("name", LAYOUTS)
@given(data=st.data())
@settings(max_examples=count(400), deadline=None)
def test_any_selection_equals_numpys(arrays: Any, name: str, data: st.DataObject) -> None:
    array, values = arrays[name]
    selection = data.draw(selections(values.shape))
    expected = values[selection]
    got = array[selection]
    assert np.asarray(got).tobytes() == np.asarray(expected).tobytes()
    assert np.shape(got) == np.shape(expected)


@pytest.mark.parametrize("name", LAYOUTS)
@given(data=st.data())
@settings(max_examples=count(100), deadline=None)
def test_results_of_any_alignment_and_order_are_filled(arrays: Any, name: str, data: st.DataObject) -> None:
    array, values = arrays[name]
    itemsize = values.dtype.itemsize
    selection = tuple(data.draw(slices(n) | st.just(slice(None))) for n in values.shape)
    expected = values[selection]
    offset = data.draw(st.integers(0, 65))
    memory = np.full(expected.nbytes + offset + itemsize, 0xEE, "u1")
    order = data.draw(st.sampled_from("CF"))
    out = np.ndarray(expected.shape, values.dtype, memory.data, offset, order=order)
    array.get_basic_selection(selection, out=out)
    assert out.tobytes() == expected.tobytes()
    assert (memory[:offset] == 0xEE).all()
    assert (memory[offset + expected.nbytes :] == 0xEE).all()


def test_a_result_past_the_caches_is_filled(tmp_path: Path) -> None:
    values = np.arange(24 << 20, dtype="u1").reshape(4096, 6 << 10)
    array = zarrc.create_array(
        tmp_path / "a", shape=values.shape, chunks=(1000, 700), dtype="u1", compressors=None
    )
    array[...] = values
    assert np.array_equal(array[...], values)
    packed = zarrc.create_array(tmp_path / "b", shape=values.shape, chunks=(1000, 700), dtype="u1")
    packed[...] = values
    assert np.array_equal(packed[...], values)
    assert np.array_equal(packed[::-1, 3:], values[::-1, 3:])


def test_a_file_that_is_cut_is_an_error_that_names_its_key(tmp_path: Path) -> None:
    array = zarrc.create_array(
        tmp_path / "a", shape=(3000, 700), chunks=(2000, 300), dtype="u2", compressors=None
    )
    array[...] = 1
    path = tmp_path / "a" / "c" / "1" / "2"
    path.write_bytes(path.read_bytes()[:-1])
    assert (array[:2000] == 1).all()
    for selection in (..., (slice(2500, 2502), 650), (2500, 650)):
        with pytest.raises(zarrc.errors.CorruptChunkError, match=r"key 'c/1/2'"):
            array[selection]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in KiB")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer takes memory of its own")
def test_items_longer_than_a_piece_are_read_one_at_a_time(tmp_path: Path) -> None:
    array = zarrc.create_array(
        tmp_path / "a", shape=(128,), chunks=(128,), dtype="r8388608", compressors=None
    )
    array[:1] = np.void(b"x" * (1 << 20))
    program = (
        "import resource, sys, numpy, zarrc\n"
        "out = numpy.ndarray(128, 'V1048576', bytearray(b'y' * (128 << 20 | 1)), 1)\n"
        "array = zarrc.open_array(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "array.get_basic_selection(..., out=out)\n"
        "assert bytes(out[0])[-1:] == b'x' and bytes(out[127])[:1] == bytes(1)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")], check=True, capture_output=True, text=True
    )
    assert int(found.stdout) < 32 << 10
