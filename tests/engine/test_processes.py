"""Other processes: children of a busy one, kills in the middle of a write, Ctrl-C, folders that change."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module, start_module
from tests.engine.programs import overwriting
from tests.soak import count
from zarrc.errors import MetadataError, NodeNotFoundError

PROGRAMS = "tests.engine.programs"
# Generous: the machine that runs this may be doing other things.
INTERRUPT_S = 2.0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_a_process_whose_pool_is_busy_read_right(method: str, tmp_path: Path) -> None:
    n_children = count(40) if method == "fork" else count(20)
    assert int(run_module(f"{PROGRAMS}.busy_pool", method, str(tmp_path), str(n_children))) == n_children


def _read_by_zarrc(path: Path) -> Any:
    return zarrc.open_array(str(path), mode="r")[...]


@pytest.mark.parametrize("reader", ["zarrc", "zarr"])
def test_a_killed_overwrite_leaves_each_chunk_old_or_new(
    reader: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    read: Callable[[Path], Any] = _read_by_zarrc
    if reader != "zarrc":
        peers = request.getfixturevalue("peers")
        read = lambda path: peers.read(reader, path)  # noqa: E731
    path = tmp_path / "array"
    overwriting.create(str(path))
    last = 0
    for _ in range(count(100)):
        reported = _kill_in_the_middle(path, last + 1)
        numbers = _numbers_by_chunk(read(path))
        assert set(numbers) <= {reported, reported + 1}
        last = max(numbers)


def _kill_in_the_middle(path: Path, first: int) -> int:
    """Let a process overwrite for a moment and kill it; the last overwrite that it reported."""
    with start_module(f"{PROGRAMS}.overwriting", str(path), str(first)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        time.sleep(random.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        return int([line, *process.stdout.read().split()][-1])


def _numbers_by_chunk(found: Any) -> list[int]:
    """Which overwrite each chunk is of; a chunk that is of none fails."""
    numbers = []
    for start in range(0, found.size, overwriting.CHUNK):
        chunk = slice(start, start + overwriting.CHUNK)
        number = int(found[start]) // 100_000
        np.testing.assert_array_equal(found[chunk], overwriting.values(number)[chunk])
        numbers.append(number)
    return numbers


@pytest.mark.parametrize("what", ["read", "write"])
def test_an_interrupt_ends_a_long_call_and_leaves_the_array_usable(what: str) -> None:
    with start_module(f"{PROGRAMS}.interrupted", what) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.stderr and process.stderr.read()
        time.sleep(0.4)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["interrupted"] is not None, "the call was over before the signal, or did not notice it"
    print(f"KeyboardInterrupt {report['interrupted'] - sent:.3f} s after the signal, in a long {what}")
    assert report["interrupted"] - sent < INTERRUPT_S
    assert report["usable"]


def test_2000_open_arrays_do_not_exhaust_descriptors(tmp_path: Path) -> None:
    run_module(f"{PROGRAMS}.many_open", str(tmp_path / "array"))


def _make(path: Path, value: int, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "shape": (100,),
        "chunks": (10,),
        "dtype": "int32",
        "overwrite": True,
    } | changes
    array = zarrc.create_array(str(path), **arguments)
    array[...] = value
    return array


def test_an_array_made_again_under_an_open_handle_is_read_and_written_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "array"
    old = _make(path, 1)
    assert old[5] == 1
    for value in (2, 3, 4):
        shutil.rmtree(path)
        new = _make(path, value)
        assert (old[...] == value).all()
        old[7] = 9
        assert new[7] == 9


def test_an_array_made_again_by_renaming_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "array"
    old = _make(path, 1)
    assert old[5] == 1
    _make(tmp_path / "other", 2)
    path.rename(tmp_path / "aside")
    (tmp_path / "other").rename(path)
    assert (old[...] == 2).all()


@pytest.mark.parametrize("changes", [{"chunks": (7,)}, {"dtype": "float64"}, {"zarr_format": 2}], ids=str)
def test_an_array_made_again_with_another_layout_is_an_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "array"
    old = _make(path, 1)
    assert old[5] == 1
    shutil.rmtree(path)
    new = _make(path, 2, **changes)
    with pytest.raises((MetadataError, NodeNotFoundError), match="array"):
        old[...]
    with pytest.raises((MetadataError, NodeNotFoundError), match="array"):
        old[3] = 5
    assert (new[...] == 2).all()


def test_a_deleted_array_is_an_error_and_is_not_made_again_by_a_write(tmp_path: Path) -> None:
    path = tmp_path / "array"
    old = _make(path, 1)
    assert old[5] == 1
    shutil.rmtree(path)
    with pytest.raises(NodeNotFoundError):
        old[...]
    with pytest.raises(NodeNotFoundError):
        old[...] = 3
    assert not path.exists()
