"""Arrays and groups work through each wrapper and nests of them, over memory and over a directory."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from zarrc.storage import (
    CacheStore,
    FaultyStore,
    LocalStore,
    LoggingStore,
    MemoryStore,
    MeteredStore,
    PrefixStore,
    Store,
    WrapperStore,
)

logging.getLogger("tests.wrapped_arrays").addHandler(logging.NullHandler())
logging.getLogger("tests.wrapped_arrays").propagate = False

WRAPPERS: dict[str, Callable[[Store, Path], Store]] = {
    "plain": lambda store, path: WrapperStore(store),
    "prefix": lambda store, path: PrefixStore(store, "a/b"),
    "metered": lambda store, path: MeteredStore(store),
    "logged": lambda store, path: LoggingStore(store, logger="tests.wrapped_arrays"),
    "faulty": lambda store, path: FaultyStore(store, rates={"delay": 0}),
    "cached": lambda store, path: CacheStore(store),
    "cached on disk": lambda store, path: CacheStore(store, path / "cache", revalidate="always"),
}


def nests() -> list[list[str]]:
    """A few nests of three, always the same."""
    chance = random.Random(3)
    return [chance.sample(sorted(WRAPPERS), 3) for _ in range(6)]


@pytest.fixture(params=[[name] for name in WRAPPERS] + nests(), ids=" around ".join)
def wrappers(request: pytest.FixtureRequest) -> list[str]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, wrappers: list[str], tmp_path: Path) -> Store:
    store: Store = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "store")
    for name in reversed(wrappers):
        store = WRAPPERS[name](store, tmp_path)
    return store


DATA = np.random.default_rng(5).integers(0, 1000, (60, 50), dtype="i4")


def test_the_nesting_shows(store: Store, wrappers: list[str]) -> None:
    text = str(store)
    for name in wrappers:
        word = {"plain": "wrapper(", "prefix": "/a/b"}.get(name, name.split()[0] + "(")
        assert word in text


@pytest.mark.parametrize("shards", [None, (30, 20)])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_arrays(store: Store, shards: Any, zarr_format: Any) -> None:
    if shards and zarr_format == 2:
        return
    array = zarr.create_array(
        store,
        name="x",
        shape=DATA.shape,
        dtype=DATA.dtype,
        chunks=(10, 10),
        shards=shards,
        zarr_format=zarr_format,
    )
    array[:] = DATA
    expected = DATA.copy()
    chance = np.random.default_rng(9)
    for number in range(8):
        top, left = chance.integers(0, 40, 2)
        rows, columns = chance.integers(1, 20, 2)
        box = (slice(top, top + rows), slice(left, left + columns))
        array[box] = expected[box] = number
        opened = zarr.open_array(store, path="x", mode="r")
        np.testing.assert_array_equal(opened[box], expected[box])
    array.append(DATA)
    expected = np.concatenate([expected, DATA])
    np.testing.assert_array_equal(zarr.open_array(store, path="x")[:], expected)
    array.resize((25, 50))
    array.resize((40, 50))
    expected[25:40] = 0
    np.testing.assert_array_equal(zarr.open_array(store, path="x")[:], expected[:40])
    np.testing.assert_array_equal(array.oindex[[3, 30], :5], expected[[3, 30], :5])


def test_groups(store: Store) -> None:
    root = zarr.create_group(store, attributes={"a": 1})
    inner = root.create_group("inner")
    inner["x"] = DATA
    inner["y"] = DATA[:5]
    inner["x"].attrs["unit"] = "m"
    assert sorted(zarr.open_group(store, path="inner").keys()) == ["x", "y"]
    zarr.consolidate_metadata(store)
    opened = zarr.open_consolidated(store)
    assert opened["inner/x"].attrs["unit"] == "m"
    np.testing.assert_array_equal(opened["inner/y"][:], DATA[:5])
    del inner["y"]
    assert sorted(zarr.open_group(store, path="inner", use_consolidated=False).keys()) == ["x"]
    zarr.create_array(store, name="inner", data=DATA, overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(store, path="inner")[:], DATA)


def test_transactions(store: Store) -> None:
    zarr.create_array(store, name="x", data=DATA, chunks=(20, 20))
    with zarr.transaction(store) as tx:
        array = zarr.open_array(tx, path="x", mode="r+")
        array[:30] = 7
        array.resize((70, 50))
        np.testing.assert_array_equal(zarr.open_array(store, path="x", mode="r")[:], DATA)
    found = zarr.open_array(store, path="x")
    assert found.shape == (70, 50)
    assert (found[:30] == 7).all()
    np.testing.assert_array_equal(found[30:60], DATA[30:])

    def fail() -> None:
        with zarr.transaction(store) as tx:
            zarr.open_array(tx, path="x", mode="r+")[:] = 8
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (zarr.open_array(store, path="x")[:30] == 7).all()


def test_two_handles_on_wrapped_and_plain_store_lock_alike(store: Store) -> None:
    """Parts of one chunk, written through the wrapper and past it by several threads."""
    from zarrc.testing.together import at_once

    inner = store
    prefix = ""
    while isinstance(inner, WrapperStore):
        if isinstance(inner, CacheStore):
            return  # who writes past a cache is not seen by it
        prefix = f"{inner.prefix}/{prefix}" if isinstance(inner, PrefixStore) else prefix
        inner = inner.store
    zarr.create_array(store, name="x", shape=(64,), chunks=(64,), dtype="i4")
    handles = [zarr.open_array(store, path="x"), zarr.open_array(inner, path=f"{prefix}x")]

    def write(mine: int) -> None:
        handle = handles[mine % 2]
        for turn in range(1, 16):
            handle[mine::4] = turn * 4 + mine

    at_once(*(lambda mine=mine: write(mine) for mine in range(4)))
    np.testing.assert_array_equal(zarr.open_array(store, path="x")[:], [60 + n % 4 for n in range(64)])
