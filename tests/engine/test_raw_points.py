"""Lists and masks on uncompressed local files: no more is read than lies near them, and it is NumPy's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.hostile_shards import index
from tests.engine.shards import BYTES, CRC32C, Json, sharding
from tests.indexing.keys import fancy_keys, masks, orthogonal, orthogonal_keys, vectorized
from tests.soak import count

Values = npt.NDArray[Any]
ORDER: Json = {"name": "transpose", "configuration": {"order": [1, 0]}}
BIG: Json = {"name": "bytes", "configuration": {"endian": "big"}}

# --- how much is read

N_ROWS, N_COLUMNS = 1000, 100_000
CHUNK_NBYTES = N_ROWS * N_COLUMNS
# What may be read around each place that is apart from the others, and once a call.
PLACE_NBYTES, CALL_NBYTES = 16 << 10, 1 << 20
# How the 100 MB lie in their file: in so many parts along each axis, and with which codecs.
SHAPES: dict[str, tuple[tuple[int, int], list[Json]]] = {
    "one chunk": ((1, 1), [BYTES]),
    "transposed": ((1, 1), [ORDER, BYTES]),
    "one inner chunk": ((1, 1), [sharding((N_ROWS, N_COLUMNS), [BYTES])]),
    "inner chunks": ((2, 4), [sharding((N_ROWS // 2, N_COLUMNS // 4), [BYTES])]),
}


def _mask_of(*elements: tuple[int, int]) -> Values:
    mask = np.zeros((N_ROWS, N_COLUMNS), bool)
    mask[tuple(np.array(elements).T)] = True
    return mask


def _few_points() -> tuple[Values, Values]:
    rng = np.random.default_rng(1)
    return rng.integers(0, N_ROWS, 60), rng.integers(0, N_COLUMNS, 60)


# What is read, and in how many places of the file it lies at most (an index of shards is one more).
KEYS: dict[str, tuple[Any, int]] = {
    "neighbouring columns": (np.s_[:, [5, 6, 8]], 1000),
    "columns twice and backwards": (np.s_[:, [8, 5, 5, 6]], 1000),
    "some rows of columns": (np.s_[[3, 500, 501, 999], 70_000:70_010], 4),
    "every second row of columns": (np.s_[::2, [40, 41, 45]], 500),
    "columns far apart": (np.s_[10:20, [0, 50_003, 99_999]], 30),
    "rows and columns": (np.ix_([0, 7, 999], [1, 30_000, 99_999]), 9),
    "points": (_few_points(), 60),
    "points of one column": (np.s_[[900, 3, 3, 70], 5], 3),
    "mask": (_mask_of((0, 0), (0, 3), (500, 77_777), (999, 99_999)), 3),
    "mask of columns": (np.s_[:10, np.isin(np.arange(N_COLUMNS), [5, 8, 90_000])], 20),
    "mask of rows": (np.s_[np.arange(N_ROWS) % 400 == 3, 1000], 3),
    "a row backwards, by list": (np.s_[[17], 20_000:19_000:-1], 1),
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zarrc.Array]:
    """Arrays of one file of 100 MB, which is zeros but where the keys select; those take no room."""
    folder = tmp_path_factory.mktemp("large")
    selected = np.zeros((N_ROWS, N_COLUMNS), bool)
    for key, _ in KEYS.values():
        selected[key] = True
    rows, columns = selected.nonzero()
    return {
        name: _large_array(folder / name.replace(" ", "_"), grid, codecs, rows, columns)
        for name, (grid, codecs) in SHAPES.items()
    }


def _large_array(path: Path, grid: Any, codecs: list[Json], rows: Values, columns: Values) -> zarrc.Array:
    array = zarrc.create_array(
        path,
        shape=(N_ROWS, N_COLUMNS),
        chunks=(N_ROWS, N_COLUMNS),
        dtype="u1",
        codecs=codecs,
        fill_value=255,
    )
    height, width = N_ROWS // grid[0], N_COLUMNS // grid[1]
    chunk = path / "c" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    with chunk.open("wb") as file:
        file.truncate(CHUNK_NBYTES)
    if ORDER in codecs:
        stored = np.memmap(chunk, "u1", "r+", shape=(N_COLUMNS, N_ROWS))
        stored[columns, rows] = _value(rows, columns)
    else:
        stored = np.memmap(chunk, "u1", "r+", shape=(*grid, height, width))
        stored[rows // height, columns // width, rows % height, columns % width] = _value(rows, columns)
    if codecs[0]["name"] == "sharding_indexed":
        n, nbytes = grid[0] * grid[1], height * width
        with chunk.open("ab") as file:
            file.write(index([(i * nbytes, nbytes) for i in range(n)]))
    return array


def _value(rows: Any, columns: Any) -> Any:
    return ((rows * 7 + columns * 13 + columns // 251) % 251 + 1).astype("u1")


def _read_nbytes() -> int:
    """Bytes that this process has read from files, whether from a disk or from the system's cache."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/self/io")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer reads files of its own")
@pytest.mark.parametrize("what", KEYS)
@pytest.mark.parametrize("layout", SHAPES)
def test_of_a_large_chunk_only_what_is_near_is_read(large: Any, layout: str, what: str) -> None:
    array = large[layout]
    key, n_places = KEYS[what]
    if layout == "transposed" and isinstance(key, tuple):
        # The same places, as the file has them: what is a column there lies in a row.
        n_places = {"neighbouring columns": 4, "columns twice and backwards": 4}.get(what, 1000)
    if what == "a row backwards, by list" and layout != "transposed":
        n_places = 2
    rows, columns = np.broadcast_arrays(*np.ogrid[:N_ROWS, :N_COLUMNS])
    expected = _value(rows[key], columns[key])
    array[0, 0]  # the index of shards is known
    before = _read_nbytes()
    found = array[key]
    nbytes = _read_nbytes() - before
    np.testing.assert_array_equal(found, expected)
    assert nbytes <= CALL_NBYTES + n_places * PLACE_NBYTES, f"{nbytes} bytes of {CHUNK_NBYTES}"
    assert nbytes < CHUNK_NBYTES // 4


# --- what is read

# Rows and planes longer and shorter than what is read in one piece.
LAYOUTS: dict[str, dict[str, Any]] = {
    "short rows": {"shape": (900, 700), "chunks": (600, 300), "dtype": "u2"},
    "long rows": {"shape": (50, 30_000), "chunks": (40, 25_000), "dtype": "f4"},
    "one row": {"shape": (900_000,), "chunks": (700_000,), "dtype": "i2"},
    "bytes": {"shape": (500, 2000), "chunks": (300, 1999), "dtype": "i1"},
    "planes": {"shape": (40, 70, 90), "chunks": (40, 64, 64), "dtype": "f8"},
    "complex": {"shape": (300, 400), "chunks": (200, 170), "dtype": "c16"},
    "odd items": {"shape": (100, 80, 90), "chunks": (70, 33, 70), "dtype": "V3"},
    "large items": {"shape": (500, 3), "chunks": (400, 2), "dtype": "V3000"},
    "swapped": {"shape": (900, 500), "chunks": (700, 300), "dtype": "f4", "codecs": [BIG]},
    "transposed": {"shape": (900, 500), "chunks": (700, 300), "dtype": "f4", "codecs": [ORDER, BYTES]},
    "cycled": {
        "shape": (40, 70, 90),
        "chunks": (40, 64, 64),
        "dtype": "u2",
        "codecs": [{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, BIG],
    },
    "several shapes": {"shape": (900, 700), "chunks": ([100, 500, 300], [600, 1, 99]), "dtype": "u2"},
    "shards": {
        "shape": (900, 700),
        "chunks": (800, 600),
        "dtype": "i4",
        "codecs": [sharding((400, 300), [BYTES])],
    },
    "shards, transposed": {
        "shape": (700, 900),
        "chunks": (600, 800),
        "dtype": "u2",
        "codecs": [ORDER, sharding((400, 300), [ORDER, BIG], location="start")],
    },
    "shards in shards": {
        "shape": (900, 700),
        "chunks": (800, 600),
        "dtype": "f8",
        "codecs": [sharding((400, 600), [sharding((200, 300), [BYTES])])],
    },
    "shards with checksums": {
        "shape": (500, 700),
        "chunks": (400, 600),
        "dtype": "u2",
        "codecs": [sharding((200, 600), [BYTES, CRC32C])],
    },
}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[zarrc.Array, Values]]:
    """An array of each layout, written but for one chunk, and what it holds."""
    folder = tmp_path_factory.mktemp("raw")
    made = {}
    for name, layout in LAYOUTS.items():
        dtype = np.dtype(layout["dtype"])
        n = int(np.prod(layout["shape"]))
        noise = np.random.default_rng(1).integers(0, 256, n * dtype.itemsize, "u1")
        data = (noise % 120).view(dtype).reshape(layout["shape"])  # no NaNs
        array = zarrc.create_array(
            folder / name.replace(" ", "_"),
            shape=layout["shape"],
            chunks=layout["chunks"],
            dtype=f"r{8 * dtype.itemsize}" if dtype.kind == "V" else dtype,
            **({"codecs": layout["codecs"]} if "codecs" in layout else {"compressors": None}),
        )
        array[...] = data
        last = max((folder / name.replace(" ", "_") / "c").rglob("*"), key=str)
        last.unlink()
        made[name] = array, np.array(array[...])
    return made


@st.composite
def _lists(draw: st.DrawFn, extent: int, n: int) -> Values:
    """Many indices: anywhere, close together, or in clusters far apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    how = draw(st.sampled_from(("anywhere", "sorted", "near", "clusters")))
    if how == "near":
        return rng.integers(max(0, extent // 2 - n), min(extent, extent // 2 + n), n)
    if how == "clusters":
        n_near = min(5, extent)
        return rng.integers(0, extent - n_near + 1, n) // n_near * n_near + rng.integers(0, n_near, n)
    return np.sort(rng.integers(-extent, extent, n)) if how == "sorted" else rng.integers(0, extent, n)


@st.composite
def _keys(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[str, Any]:
    """A key, and what takes it."""
    how = draw(st.sampled_from(("[]", "vindex", "oindex", "mask", "points", "lists", "lists", "few")))
    if how == "oindex":
        return "oindex", draw(orthogonal_keys(shape))
    if how == "mask":
        return "[]", draw(masks(shape))
    if how == "points":
        n = draw(st.sampled_from((1, 7, 300)))
        return "[]", tuple([draw(_lists(extent, n)) for extent in shape])
    if how == "lists":
        n_axes = draw(st.integers(1, len(shape)))
        some = [
            draw(_lists(extent, draw(st.sampled_from((1, 3, 40)))))
            if axis < n_axes
            else slice(draw(st.integers(0, 30)), draw(st.integers(0, extent)), draw(st.integers(1, 9)))
            for axis, extent in enumerate(shape)
        ]
        order = draw(st.permutations(range(len(shape))))
        key = [some[i] for i in range(len(shape))]
        for axis in order[:1]:
            if draw(st.booleans()):
                key[axis] = slice(None)
        return "oindex", tuple(key)
    if how == "few":
        mask = np.zeros(shape, bool)
        mask[tuple([draw(_lists(extent, draw(st.just(9)))) for extent in shape])] = True
        return "[]", mask
    return how, draw(fancy_keys(shape))


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=count(800))
@given(data=st.data())
def test_any_lists_points_and_masks_are_numpys(arrays: Any, name: str, data: st.DataObject) -> None:
    array, values = arrays[name]
    how, key = data.draw(_keys(values.shape))
    if how == "oindex":
        found, expected = array.oindex[key], orthogonal(values, key)
    elif how == "vindex":
        found, expected = array.vindex[key], vectorized(values, key)
    else:
        found, expected = array[key], values[key]
    assert np.shape(found) == np.shape(expected)
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=count(100))
@given(data=st.data())
def test_results_of_any_alignment_are_filled_and_nothing_else(
    arrays: Any, name: str, data: st.DataObject
) -> None:
    array, values = arrays[name]
    key = tuple([data.draw(_lists(extent, 20)) for extent in values.shape])
    expected = values[np.ix_(*key)]
    offset = data.draw(st.integers(0, 65))
    memory = np.full(expected.nbytes + offset + 7, 0xEE, "u1")
    out: Values = np.ndarray(
        expected.shape, values.dtype, memory.data, offset, order=data.draw(st.sampled_from("CF"))
    )
    array.get_orthogonal_selection(key, out=out)
    assert out.tobytes() == expected.tobytes()
    assert (memory[:offset] == 0xEE).all()
    assert (memory[offset + expected.nbytes :] == 0xEE).all()


@pytest.mark.parametrize("codecs", [[BYTES], [ORDER, BYTES]], ids=["", "transposed"])
def test_a_file_that_is_cut_is_an_error_whatever_is_read_of_it(codecs: Any, tmp_path: Path) -> None:
    array = zarrc.create_array(
        tmp_path / "a", shape=(3000, 700), chunks=(2000, 300), dtype="u2", codecs=codecs, fill_value=0
    )
    array[...] = 1
    path = tmp_path / "a" / "c" / "1" / "2"
    path.write_bytes(path.read_bytes()[:-1])
    assert (array[[0, 1999, 7]] == 1).all()
    mask = np.zeros(array.shape, bool)
    mask[2000, 600] = True
    for key in (([2999, 2000, 2500], [699, 600, 650]), mask, np.s_[2000:, [600, 601, 605]]):
        with pytest.raises(zarrc.errors.CorruptChunkError, match=r"key 'c/1/2'") as caught:
            array[key]
        assert caught.value.array == array.path
