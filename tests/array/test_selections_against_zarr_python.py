"""What zarr-python selects in the same words is the same, read and written, by it and by us on one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from tests.soak import count

SHAPE = (7, 9, 5)
N_AT_ONCE = 100

# Each answer is (shape, elements) of a read, or all elements after a write.
THEIRS = """
import numpy as np, zarr

z = zarr.open_array(path, mode="r+")
result = []
for way, key, value in steps:
    key = eval(key, {"np": np})
    if value is None:
        if way == "mask":
            found = z.get_mask_selection(key)
        else:
            found = (z if way == "[]" else getattr(z, way))[key]
        result.append([list(np.shape(found)), np.asarray(found).ravel().tolist()])
    else:
        if way == "mask":
            z.set_mask_selection(key, value)
        elif way == "[]":
            z[key] = value
        else:
            getattr(z, way)[key] = value
        result.append([[], z[...].ravel().tolist()])
"""


@pytest.fixture(scope="module", autouse=True)
def counts(pytestconfig: pytest.Config) -> Iterator[dict[str, int]]:
    """Show what was compared."""
    done: dict[str, int] = {}
    yield done
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        listed = ", ".join(f"{way} {n}" for way, n in done.items())
        print(f"\nselections compared with zarr-python, reads and writes: {listed}")


class Keys:
    """Random keys, as Python text, of the kinds that zarr-python has."""

    def __init__(self, seed: int, grid: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(seed)
        self.grid = grid

    def one_of(self, *made: Callable[[int], str]) -> Callable[[int], str]:
        return made[self.rng.integers(len(made))]

    def integer(self, extent: int) -> str:
        return str(self.rng.integers(-extent, extent))

    def slice_(self, extent: int) -> str:
        low, high = self._bounds(extent)
        return f"slice({low}, {high}, {self.rng.integers(1, 4)})"

    def _bounds(self, extent: int) -> tuple[int, int]:
        # Not empty: zarr-python refuses some such slices at the end of an axis.
        low = int(self.rng.integers(0, extent))
        return low, int(self.rng.integers(low + 1, extent + 1))

    def block(self, extent: int) -> str:
        if self.rng.random() < 0.5:
            return self.integer(extent)
        low, high = self._bounds(extent)
        return f"slice({low}, {high})"

    def list_(self, extent: int) -> str:
        # Without repetitions: which of two values stays is defined with us only.
        n = int(self.rng.integers(1, extent + 1))
        return str((self.rng.permutation(extent)[:n] - extent * self.rng.integers(0, 2)).tolist())

    def mask(self, extent: int) -> str:
        return f"np.array({(self.rng.random(extent) < 0.5).tolist()})"

    def make(self, way: str) -> str:
        if way == "mask":
            return f"np.random.default_rng({self.rng.integers(1000)}).random({SHAPE}) < {self.rng.random()}"
        if way == "vindex":
            n = int(self.rng.integers(1, 20))
            places = np.unravel_index(self.rng.permutation(np.prod(SHAPE))[:n], SHAPE)
            return f"({', '.join(str(part.tolist()) for part in places)})"
        if way == "blocks":
            return self._tuple([self.block] * 3, self.grid)
        if way == "oindex":
            return self._tuple(
                [self.one_of(self.integer, self.slice_, self.list_, self.mask) for _ in SHAPE], SHAPE
            )
        # In brackets: integers and slices of positive step, and one list among slices.
        made = [self.one_of(self.integer, self.slice_) for _ in SHAPE]
        if self.rng.random() < 0.5:
            made = [self.slice_] * 3
            made[self.rng.integers(3)] = self.list_
        return self._tuple(made, SHAPE)

    def _tuple(self, made: list[Callable[[int], str]], extents: tuple[int, ...]) -> str:
        items = [make(extent) for make, extent in zip(made, extents, strict=True)]
        # Beside lists zarr-python takes no Ellipsis.
        if self.rng.random() < 0.2 and "[" not in "".join(items):
            items = [*items[: self.rng.integers(1, 3)], "..."]
        return f"({', '.join(items)},)"


def _do(array: Any, way: str, key: Any, value: Any) -> list[Any]:
    if value is None:
        found = (
            array.get_mask_selection(key)
            if way == "mask"
            else (array if way == "[]" else getattr(array, way))[key]
        )
        return [list(np.shape(found)), np.asarray(found).ravel().tolist()]
    if way == "mask":
        array.set_mask_selection(key, value)
    elif way == "[]":
        array[key] = value
    else:
        getattr(array, way)[key] = value
    return [[], array[...].ravel().tolist()]


@pytest.mark.parametrize("layout", ["chunks", "shards"])
@pytest.mark.parametrize("way", ["[]", "oindex", "vindex", "mask", "blocks"])
def test_what_both_have_is_the_same(
    peers: Peers, tmp_path: Path, counts: dict[str, int], way: str, layout: str
) -> None:
    shape: dict[str, Any] = {
        "chunks": {"chunks": (3, 4, 2)},
        "shards": {"chunks": (1, 2, 2), "shards": (3, 4, 2)},
    }[layout]
    values = np.arange(np.prod(SHAPE), dtype="i4").reshape(SHAPE)
    for seed in range(count(1000) // N_AT_ONCE):
        ours, theirs = tmp_path / f"ours-{seed}", tmp_path / f"theirs-{seed}"
        array = zarrc.create_array(ours, data=values, compressors=None, **shape)
        zarrc.create_array(theirs, data=values, compressors=None, **shape)
        keys = Keys(seed, (3, 3, 3))
        steps = [(way, keys.make(way), [None, i][i % 3 == 2]) for i in range(N_AT_ONCE)]
        expected = peers.run(THEIRS, path=str(theirs), steps=steps)
        for (_, key, value), wanted in zip(steps, expected, strict=True):
            assert _do(array, way, eval(key, {"np": np}), value) == wanted, key
        counts[way] = counts.get(way, 0) + len(steps)


def test_both_read_what_the_other_selected_and_wrote(peers: Peers, tmp_path: Path) -> None:
    array = zarrc.create_array(tmp_path / "a", data=np.zeros((20, 20), "i4"), chunks=(3, 3), shards=(9, 9))
    expected = np.zeros((20, 20), "i4")
    rows, columns = np.divmod(np.random.default_rng(0).permutation(400)[:50], 20)
    array.vindex[rows, columns] = np.arange(1, 51)
    expected[rows, columns] = np.arange(1, 51)
    np.testing.assert_array_equal(peers.read("zarr", tmp_path / "a"), expected)
    np.testing.assert_array_equal(peers.read("tensorstore", tmp_path / "a"), expected)
