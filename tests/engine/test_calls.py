"""Python costs per call, not per chunk: the number of calls does not grow with the number of chunks."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from zarrc.engine.threads import usable_cpus

CHUNK = 4
FEW, MANY = 1_000, 100_000

CODECS: dict[str, list[dict[str, Any]]] = {
    "raw": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "zstd": [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "zstd", "configuration": {"level": 1}},
    ],
}


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Counts the Python functions and C functions called, in all threads, by name."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            calls[getattr(argument, "__qualname__", repr(argument))] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _array(store: Any, codecs: str, n_chunks: int) -> Any:
    shape = (n_chunks * CHUNK,)
    return zarrc.create_array(store, shape=shape, chunks=(CHUNK,), dtype="uint32", codecs=CODECS[codecs])


def _values(n_chunks: int) -> Any:
    return np.arange(1, n_chunks * CHUNK + 1, dtype="uint32")


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: 100,000 small files take minutes on some disks."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def _calls_by_deed(array: Any, n_chunks: int) -> dict[str, Counter[str]]:
    """Calls made by writing all chunks, writing a part of each, and reading all."""
    values = _values(n_chunks)
    part = slice(1, -1, CHUNK - 1)
    deeds: dict[str, Callable[[], object]] = {
        "write": lambda: array.__setitem__(slice(None), values),
        "write parts of chunks": lambda: array.__setitem__(part, values[part]),
        "read": lambda: array.__getitem__(slice(None)),
    }
    array[1:3] = array[1:3]  # what a handle makes once, on first use
    found = {}
    for name, deed in deeds.items():
        with counted_calls() as calls:
            deed()
        found[name] = calls
    np.testing.assert_array_equal(array[...], values)
    return found


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_reading_and_writing_make_as_many_calls_for_1e3_chunks_as_for_1e5(
    kind: str, codecs: str, quick_folder: Path
) -> None:
    found = {}
    for n_chunks in (10, FEW, MANY):  # ten: what the process makes once
        store = zarrc.storage.MemoryStore() if kind == "memory" else str(quick_folder / str(n_chunks))
        found[n_chunks] = _calls_by_deed(_array(store, codecs, n_chunks), n_chunks)
    for deed, calls in found[FEW].items():
        print(f"{kind}, {codecs}, {deed}: {calls.total()} and {found[MANY][deed].total()} calls")
        assert found[MANY][deed] == calls, deed


@pytest.mark.skipif(usable_cpus() < 2, reason="one processor only")
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the times of threads are asked of Linux")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="sanitizers have their own speed")
def test_a_read_of_256_mb_with_two_threads_keeps_both_busy() -> None:
    free = os.getloadavg()[0] < 0.5
    text = run_module("tests.engine.programs.two_threads")
    print(text)
    shares = [float(share) for share in re.findall(r"second thread ([\d.]+)", text)]
    assert shares
    assert max(shares) > 0.3, text
    # The ratio tells about zarrc only where no other process wants the processors.
    assert not free or max(float(ratio) for ratio in re.findall(r"ratio ([\d.]+)", text)) > 1.5, text
