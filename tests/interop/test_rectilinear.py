"""Chunks of several shapes between zarrc and zarr-python, both ways: written, read, updated, resized.

What zarr-python reads is read with the codecs of zarrs too.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from tests.soak import soaking
from zarrc.grids import RectilinearChunkGrid

N_CASES = 400 if soaking() else 20
# What one request to a peer is given: each has a time limit.
PART = 40

PEER = """
import numpy as np
import zarr

def sizes(array):
    return [list(map(list, array.read_chunk_sizes)), list(map(list, array.write_chunk_sizes))]

result = []
for case in cases:
    with zarr.config.set({"array.rectilinear_chunks": True}):
        if case["do"] == "create":
            array = zarr.create_array(
                case["path"], shape=case["shape"], chunks=case["chunks"], shards=case["shards"],
                dtype=case["dtype"], fill_value=3,
            )
            array[...] = np.load(case["values"])
        else:
            array = zarr.open_array(case["path"], mode="r+")
        if case["do"] == "update":
            values = np.load(case["values"])
            array.resize(values.shape)
            array[...] = values
        found = array[...]
        np.save(case["out"], found)
        zarrs = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}
        with zarr.config.set(zarrs):
            assert np.array_equal(zarr.open_array(case["path"], mode="r")[...], found), "zarrs"
        result.append(sizes(array))
"""


def _extents(chance: random.Random, extent: int, unit: int) -> Any:
    """The chunks of an axis, as both libraries take them."""
    if chance.random() < 0.25:
        return chance.randint(1, extent // unit + 1) * unit
    left, found = extent // unit, []
    while left:
        size = min(left, chance.randint(1, max(1, extent // unit // 2)))
        count = min(chance.choice((1, 1, 2, 3)), left // size)
        found += [size * unit] * count
        left -= size * count
    return found


def _case(number: int) -> dict[str, Any]:
    """An array and what is written to it; every other one has shards."""
    chance = random.Random(number)
    sharded = number % 2 == 1
    units = [chance.randint(1, 4) if sharded else 1 for _ in range(chance.randint(1, 3))]
    shape = [unit * chance.randint(2, 30 if len(units) < 3 else 9) for unit in units]
    extents = [_extents(chance, extent, unit) for extent, unit in zip(shape, units, strict=True)]
    if all(isinstance(axis, int) for axis in extents):
        extents[0] = [shape[0]]
    return {
        "shape": shape,
        "chunks": units if sharded else extents,
        "shards": extents if sharded else None,
        "units": units,
        "dtype": chance.choice(("uint8", "int16", "float64")),
    }


def _values(case: dict[str, Any], shape: Any, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 100, shape).astype(case["dtype"])


def _sizes(array: zarrc.Array) -> Any:
    return json.loads(json.dumps([array.read_chunk_sizes, array.write_chunk_sizes]))


def _asked(peers: Peers, cases: list[dict[str, Any]]) -> list[Any]:
    asked = [{**case, **{k: str(v) for k, v in case.items() if isinstance(v, Path)}} for case in cases]
    found: list[Any] = []
    for part in (asked[first : first + PART] for first in range(0, len(asked), PART)):
        answer = peers.batch([{"op": "run", "source": PEER, "names": {"cases": part}}])[0]
        found += answer.unwrap().value
    return found


def _created(case: dict[str, Any], path: Path) -> zarrc.Array:
    """With the grid itself: zarrc makes a regular one where equal extents are listed."""
    shape = case["shape"]
    shards, chunks = case["shards"], case["chunks"]
    grid = RectilinearChunkGrid(chunks if shards is None else shards)
    layout = {"chunk_grid": grid} if shards is None else {"chunks": tuple(chunks), "shards": grid}
    return zarrc.create_array(path, shape=shape, dtype=case["dtype"], fill_value=3, **layout)  # type: ignore[arg-type]


def test_each_reads_updates_and_resizes_what_the_other_has_written(peers: Peers, tmp_path: Path) -> None:
    cases = []
    for number in range(N_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = _case(number) | {"path": folder / "ours", "out": folder / "out.npy", "do": "read"}
        array = _created(case, case["path"])
        array[...] = _values(case, case["shape"], number)
        cases.append(case)
    for number, (case, sizes) in enumerate(zip(cases, _asked(peers, cases), strict=True)):
        array = zarrc.open_array(case["path"])
        assert sizes == _sizes(array), case
        np.testing.assert_array_equal(np.load(case["out"]), _values(case, case["shape"], number))
    # They make the same array: it is laid out alike, and read.
    for number, case in enumerate(cases):
        np.save(case["path"].with_name("values.npy"), _values(case, case["shape"], number))
        case |= {"do": "create", "values": case["path"].with_name("values.npy")}
        case["path"] = case["path"].with_name("theirs")
    for number, (case, sizes) in enumerate(zip(cases, _asked(peers, cases), strict=True)):
        array = zarrc.open_array(case["path"], mode="r+")
        assert array.metadata.assumed == ()
        ours = zarrc.open_array(case["path"].with_name("ours"))
        assert array.metadata.chunk_grid == ours.metadata.chunk_grid
        assert sizes == _sizes(array), case
        np.testing.assert_array_equal(array[...], _values(case, case["shape"], number))
        # What they made is resized and written by us, and read by them.
        case["shape"] = [random.Random(number + d).randint(0, 2 * n) for d, n in enumerate(case["shape"])]
        array.resize(tuple(case["shape"]))
        array[...] = _values(case, case["shape"], number + 1)
        case["do"] = "read"
    for number, (case, sizes) in enumerate(zip(cases, _asked(peers, cases), strict=True)):
        assert sizes == _sizes(zarrc.open_array(case["path"])), case
        np.testing.assert_array_equal(np.load(case["out"]), _values(case, case["shape"], number + 1))
    # What we made is resized and written by them, and read by us.
    for number, case in enumerate(cases):
        case["path"] = case["path"].with_name("ours")
        chance = random.Random(number)
        case["shape"] = [unit * chance.randint(0, 40) for unit in case["units"]]
        np.save(case["values"], _values(case, case["shape"], number + 2))
        case["do"] = "update"
    for number, (case, sizes) in enumerate(zip(cases, _asked(peers, cases), strict=True)):
        array = zarrc.open_array(case["path"])
        assert sizes == _sizes(array), case
        np.testing.assert_array_equal(array[...], _values(case, case["shape"], number + 2))


def test_what_zarr_python_has_written_is_copied_with_its_grid(peers: Peers, tmp_path: Path) -> None:
    """In this process the peer is not installed; in its own, zarrc copies the peer's object."""
    source = """
import sys
sys.path.insert(0, root)
import zarr, zarrc
with zarr.config.set({"array.rectilinear_chunks": True}):
    plain = zarr.array(list(range(60)), chunks=[[10, 20, 30]])
    sharded = zarr.create_array({}, shape=(60,), chunks=(5,), shards=[[10, 20, 30]], dtype="i4")
    sharded[:] = range(60)
    result = []
    for array in (plain, sharded):
        made = zarrc.from_array(data=array)
        result.append([repr(made.chunks), repr(made.shards), made[:].tolist() == list(range(60))])
"""
    names = {"root": str(Path(__file__).parents[2])}
    answer = peers.batch([{"op": "run", "source": source, "names": names}])[0]
    if not answer.ok and "No module named 'zarrc" in answer.error:
        pytest.skip("zarrc is not built for the peers' Python")
    assert answer.unwrap().value == [["((10, 20, 30),)", "None", True], ["(5,)", "((10, 20, 30),)", True]]
