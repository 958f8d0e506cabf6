"""Python costs per call, not per inner chunk; what is stored does not depend on the number of threads."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.shards import BYTES, CRC32C, ZSTD, check_stored, shard_objects, sharded_array, sharding
from tests.engine.test_calls import counted_calls, quick_folder  # noqa: F401 (a fixture)
from tests.soak import count

FEW, MANY = 500, 50_000
CODECS = {"raw": [BYTES], "zstd": [BYTES, ZSTD], "nested": [sharding((2,), [BYTES])]}


def _calls_by_deed(array: Any) -> dict[str, Counter[str]]:
    """Calls made by writing all, changing parts of each inner chunk, reading all, and reading with steps."""
    values = np.arange(1, array.size + 1, dtype="u4")
    part = slice(1, -1, 3)
    deeds: dict[str, Callable[[], object]] = {
        "write": lambda: array.__setitem__(slice(None), values),
        "change parts": lambda: array.__setitem__(part, values[part]),
        "read": lambda: array.__getitem__(slice(None)),
        "read with steps": lambda: array.__getitem__(slice(None, None, -3)),
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
@pytest.mark.parametrize("kind", ["memory", "local", "local, append"])
@pytest.mark.parametrize("shards", ["one shard", "shards of ten"])
def test_calls_do_not_grow_with_inner_chunks_or_shards(
    shards: str,
    kind: str,
    codecs: str,
    quick_folder: Path,  # noqa: F811
) -> None:
    config = {"shard_update": "append"} if "append" in kind else {}
    found = {}
    for n_inner in (10, FEW, MANY):  # ten: what the process makes once
        store = zarrc.storage.MemoryStore() if kind == "memory" else str(quick_folder / str(n_inner))
        shard = 4 * n_inner if shards == "one shard" else 40
        array = sharded_array(
            store, (4 * n_inner,), (shard,), (4,), CODECS[codecs], dtype="u4", fill_value=0, config=config
        )
        found[n_inner] = _calls_by_deed(array)
    for deed, calls in found[FEW].items():
        print(f"{kind}, {codecs}, {shards}, {deed}: {calls.total()} and {found[MANY][deed].total()} calls")
        assert found[MANY][deed] == calls, deed


def _noise(shape: tuple[int, ...]) -> Any:
    """Values that compress to something of very different sizes, with empty places."""
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**31 - 1, shape, "i4") >> rng.integers(0, 31, (shape[0], 1), "i4")
    values[rng.random(shape[0]) < 0.2] = -1
    return values


@pytest.mark.parametrize(
    "codecs",
    [[BYTES], [BYTES, ZSTD], [BYTES, ZSTD, CRC32C], [sharding((4, 64), [BYTES, ZSTD], location="start")]],
    ids=["raw", "zstd", "zstd, crc32c", "nested"],
)
@pytest.mark.parametrize("after", [[], [ZSTD]], ids=["", "wrapped"])
@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
def test_the_same_data_give_the_same_bytes_whatever_the_number_of_threads(
    kind: str, location: str, after: Any, codecs: Any, tmp_path: Path
) -> None:
    values = _noise((512, 256))
    changed = values.copy()
    changed[3:400:2, 5:251] = 7
    found = []
    for n_threads in [1, 2, 4, 8] * count(10):
        store: Any = {"memory": zarrc.storage.MemoryStore(), "mapping": {}, "local": str(tmp_path / "a")}[
            kind
        ]
        array = sharded_array(
            store,
            values.shape,
            (256, 256),
            (16, 64),
            codecs,
            location=location,
            after=after,
            overwrite=True,
        )
        with zarrc.config.set({"threading.max_workers": n_threads}):
            array[...] = values
            whole = shard_objects(array)
            array[3:400:2, 5:251] = 7
            np.testing.assert_array_equal(array[...], changed)
        found.append((whole, shard_objects(array)))
    assert all(one == found[0] for one in found)
    check_stored(array, changed)


def test_a_result_is_the_same_whatever_the_number_of_threads(tmp_path: Path) -> None:
    values = _noise((512, 256))
    array = sharded_array(str(tmp_path), values.shape, (256, 128), (16, 32), [BYTES, ZSTD])
    array[...] = values
    for n_threads in (1, 2, 4, 8):
        with zarrc.config.set({"threading.max_workers": n_threads}):
            for selection in (..., np.s_[::-3, 7::5], np.s_[100, :], np.s_[:, 33:34]):
                np.testing.assert_array_equal(array[selection], values[selection])


def test_many_threads_switch_often_and_get_the_same_bytes(tmp_path: Path) -> None:
    """With codecs in Python, whose turns the interpreter changes between threads."""
    import tests.engine.test_python_codecs  # noqa: F401 (registers them)

    values = _noise((512, 64))
    found = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for n_threads in (1, 8, 8, 8):
            array = sharded_array(
                str(tmp_path),
                values.shape,
                (256, 64),
                (2, 64),
                [BYTES, {"name": "tests.flip"}],
                overwrite=True,
            )
            with zarrc.config.set({"threading.max_workers": n_threads}):
                array[...] = values
                np.testing.assert_array_equal(array[...], values)
            found.append(shard_objects(array))
    finally:
        sys.setswitchinterval(interval)
    assert all(one == found[0] for one in found)
