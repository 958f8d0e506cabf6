"""Calls that succeed and calls that fail leave nothing behind: memory, descriptors, references."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.soak import count
from zarrc.errors import ZarrcError

N_CALLS = count(3000)


class BrittleDict(dict[str, bytes]):
    fails = False

    def __getitem__(self, key: str) -> bytes:
        if self.fails and key == "c/3":
            raise OSError(5, "Input/output error")
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: bytes) -> None:
        if self.fails and key == "c/3":
            raise OSError(28, "No space left on device")
        super().__setitem__(key, value)


def _array(store: Any) -> Any:
    array = zarrc.create_array(store, shape=(600,), chunks=(100,), dtype="i4")
    array[...] = np.arange(1, 601)
    return array


def _try(call: Callable[[], object]) -> None:
    try:
        call()
    except ZarrcError:
        return


def _growth(call: Callable[[], object]) -> int:
    """Bytes that Python and NumPy hold more after many calls than after some."""
    for _ in range(50):
        _try(call)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(N_CALLS):
            _try(call)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


CALLS: dict[str, Callable[[Any], object]] = {
    "read": lambda array: array[...],
    "read a part": lambda array: array[5:-5:3],
    "write": lambda array: array.__setitem__(..., 5),
    "write a part": lambda array: array.__setitem__(slice(310, 350), 5),
    "write fill": lambda array: array.__setitem__(..., 0),
    "a bad index": lambda array: array[900],
    "a bad value": lambda array: array.__setitem__(..., 0.5),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("brittle", [False, True])
def test_calls_on_a_store_in_python_keep_no_memory(name: str, brittle: bool) -> None:
    mapping = BrittleDict()
    array = _array(mapping)
    mapping.fails = brittle
    assert _growth(lambda: CALLS[name](array)) < 20_000


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("spoiled", [False, True])
def test_calls_on_a_memory_store_keep_no_memory(name: str, spoiled: bool) -> None:
    store = zarrc.storage.MemoryStore()
    array = _array(store)
    if spoiled:
        store.set("c/3", b"noise")
    assert _growth(lambda: CALLS[name](array)) < 20_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("codecs", [["bytes"], ["bytes", "zstd"]], ids="+".join)
def test_calls_on_files_keep_no_descriptors(name: str, codecs: list[str], tmp_path: Path) -> None:
    path = tmp_path / "array"
    array = zarrc.create_array(
        str(path), shape=(600,), chunks=(100,), dtype="i4", codecs=[{"name": codec} for codec in codecs]
    )
    array[...] = np.arange(1, 601)
    (path / "c" / "3").write_bytes(b"noise")
    (path / "c" / "4").unlink()
    (path / "c" / "5").unlink()
    (path / "c" / "5").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        _try(lambda: CALLS[name](array))
    assert len(os.listdir("/proc/self/fd")) == before
    assert not [entry for entry in (path / "c").iterdir() if entry.name.startswith(".zc")]


def test_an_error_of_a_store_does_not_hold_the_objects_that_came_before_it() -> None:
    mapping = BrittleDict()
    array = _array(mapping)
    value = bytes(mapping["c/0"])
    mapping["c/0"] = value
    before = sys.getrefcount(value)
    mapping.fails = True
    for _ in range(20):
        _try(lambda: array[...])
    gc.collect()
    assert sys.getrefcount(value) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer keeps what was freed for a while")
@pytest.mark.parametrize("name", ["read", "write", "write a part", "write fill"])
@pytest.mark.parametrize("codecs", [["bytes", "zstd"], ["bytes"], ["bytes", "crc32c"]], ids="+".join)
def test_failing_calls_do_not_make_the_process_grow(name: str, codecs: list[str]) -> None:
    store = zarrc.storage.MemoryStore()
    array = zarrc.create_array(
        store, shape=(600_000,), chunks=(100_000,), dtype="i4", codecs=[{"name": codec} for codec in codecs]
    )
    array[...] = np.random.default_rng(0).integers(1, 2**30, 600_000)
    store.set("c/3", b"noise")
    value = np.random.default_rng(1).integers(1, 2**30, 600_000, "i4")
    calls = {
        "read": lambda: array[...],
        "write": lambda: array.__setitem__(..., value),
        "write a part": lambda: array.__setitem__(slice(300_001, 400_000), value[300_001:400_000]),
        "write fill": lambda: array.__setitem__(slice(1, None), 0),
    }
    for _ in range(20):
        _try(calls[name])
    before = _resident_nbytes()
    for _ in range(60):
        _try(calls[name])
    assert _resident_nbytes() - before < 16 << 20


def _resident_nbytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
