"""Copies that are killed, interrupted, or meet a full disk; copies that other libraries read."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module, start_module
from tests.interop import ours
from tests.interop.cases import all_cases, difference
from tests.peers.client import Peers
from tests.soak import count, soaking
from tests.tools.programs.copying import CHUNK, make, values

PROGRAM = "tests.tools.programs.copying"
N_CHUNKS = 40
# Generous: the machine that runs this may be doing other things.
INTERRUPT_S = 2.0


def _leftovers(path: Path) -> list[str]:
    return [name for _, _, names in os.walk(path) for name in names if name.startswith(".zc")]


@pytest.mark.parametrize("reader", ["zarrc", "zarr"])
def test_a_killed_copy_leaves_each_chunk_old_or_new(
    reader: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    peers = request.getfixturevalue("peers") if reader != "zarrc" else None
    make(str(tmp_path / "a"), N_CHUNKS, 1000)
    for round_number in range(count(100)):
        old = 2000 + 100 * round_number
        make(str(tmp_path / "b"), N_CHUNKS, old)
        with start_module(PROGRAM, str(tmp_path / "a"), str(tmp_path / "b")) as process:
            assert process.stdout is not None
            assert process.stdout.readline(), process.stderr and process.stderr.read()
            time.sleep(random.uniform(0.0, 0.01))
            process.send_signal(signal.SIGKILL)
        array: Any = zarrc.open_array(tmp_path / "b") if peers is None else peers.read(reader, tmp_path / "b")
        assert all(value in (old + number, 1000 + number) for number, value in enumerate(values(array)))


def test_ctrl_c_ends_a_copy_and_leaves_both_arrays_usable(tmp_path: Path) -> None:
    make(str(tmp_path / "a"), N_CHUNKS, 1000)
    make(str(tmp_path / "b"), N_CHUNKS, 2000)
    with start_module(PROGRAM, str(tmp_path / "a"), str(tmp_path / "b")) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.stderr and process.stderr.read()
        time.sleep(0.3)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["interrupted"] - sent < INTERRUPT_S
    assert report["usable"]
    assert _leftovers(tmp_path) == []


def test_a_full_disk_names_the_chunk_and_keeps_what_was_there(tmp_path: Path) -> None:
    make(str(tmp_path / "a"), N_CHUNKS, 1000)
    make(str(tmp_path / "b"), N_CHUNKS, 2000)
    out = run_module(PROGRAM, str(tmp_path / "a"), str(tmp_path / "b"), str(CHUNK * 4 - 1))
    error = json.loads(out.splitlines()[-1])
    assert error["errno"] == errno.EFBIG
    assert error["array"] == ""
    assert error["key"].startswith("c/")
    assert values(zarrc.open_array(tmp_path / "b")) == list(range(2000, 2000 + N_CHUNKS))
    assert _leftovers(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_denied_directory_names_the_chunk(tmp_path: Path) -> None:
    source = make(str(tmp_path / "a"), N_CHUNKS, 1000)
    target = make(str(tmp_path / "b"), N_CHUNKS, 2000)
    (tmp_path / "b/c/7").chmod(0o500)
    try:
        with pytest.raises(zarrc.errors.StoreDeniedError) as caught:
            zarrc.copy_array(source, target)
        assert (caught.value.array, caught.value.key) == ("", "c/7/0")
    finally:
        (tmp_path / "b/c/7").chmod(0o700)


def test_peers_read_our_copies_and_we_copy_theirs(peers: Peers, tmp_path: Path) -> None:
    cases = all_cases()[:: 7 if soaking() else 70]
    for case in cases:
        ours.write(case, str(tmp_path / f"{case.number}"))
        zarrc.copy_array(tmp_path / f"{case.number}", tmp_path / f"{case.number}c")
    asked = [
        {"op": "read", "lib": "zarr", "path": str(tmp_path / f"{case.number}{c}")}
        for case in cases
        for c in ("", "c")
    ]
    answers = iter(peers.batch(asked))
    n_read = 0
    for case in cases:
        original, copied = next(answers), next(answers)
        assert copied.ok == original.ok, f"{case}: {copied.error}"
        if copied.array is not None:
            assert difference(copied.array, case.expected()) == "", str(case)
            n_read += 1
    assert n_read > len(cases) // 2
    values = np.arange(600.0).reshape(20, 30)
    for zarr_format in (2, 3):
        path = tmp_path / f"theirs{zarr_format}"
        peers.zarr_call(
            "create_array",
            data=values,
            store=str(path),
            shape=[20, 30],
            chunks=[7, 30],
            dtype="f8",
            zarr_format=zarr_format,
        )
        copied = zarrc.copy_array(path, tmp_path / f"copy{zarr_format}", zarr_format=3)
        np.testing.assert_array_equal(peers.read("tensorstore", tmp_path / f"copy{zarr_format}"), values)
        np.testing.assert_array_equal(np.asarray(copied), values)
