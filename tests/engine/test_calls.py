"""Python costs per call, not per chunk: the number of calls does not grow with the number of chunks."""

from __future__ import annotations

import os
import re
import sys
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


def _store(kind: str, folder: Path) -> Any:
    return zarrc.storage.MemoryStore() if kind == "memory" else str(folder)


def _calls_of(work: Callable[[], object]) -> Counter[str]:
    work()  # what is made once, on first use
    with counted_calls() as calls:
        work()
    return calls


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_reading_and_writing_make_as_many_calls_for_1e3_chunks_as_for_1e5(
    kind: str, codecs: str, tmp_path: Path
) -> None:
    found: dict[int, dict[str, Counter[str]]] = {}
    for n_chunks in (FEW, MANY):
        array, values = _array(_store(kind, tmp_path / str(n_chunks)), codecs, n_chunks), _values(n_chunks)

        def write(array: Any = array, values: Any = values) -> None:
            array[...] = values

        def write_parts(array: Any = array, values: Any = values) -> None:
            array[1 : -1 : CHUNK - 1] = values[1 : -1 : CHUNK - 1]

        def read(array: Any = array) -> Any:
            return array[...]

        found[n_chunks] = {
            "write": _calls_of(write),
            "write parts of chunks": _calls_of(write_parts),
            "read": _calls_of(read),
        }
        np.testing.assert_array_equal(read(), values)
    for what, calls in found[FEW].items():
        print(f"{kind}, {codecs}, {what}: {calls.total()} and {found[MANY][what].total()} calls")
        assert found[MANY][what] == calls, what


@pytest.mark.skipif(usable_cpus() < 2, reason="one processor only")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="sanitizers have their own speed")
def test_a_read_of_256_mb_with_two_threads_keeps_both_busy() -> None:
    text = run_module("tests.engine.programs.two_threads")
    print(text)
    # Loosely: other processes may want the processors too.  The program takes the best of several reads.
    ratios = [float(ratio) for ratio in re.findall(r"ratio ([\d.]+)", text)]
    assert ratios
    assert max(ratios) > 1.25, text
