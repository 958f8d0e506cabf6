"""How memory grows while a large shard is written, changed and read: `shard_memory KIND FOLDER`, in MiB."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import zarrc
from tests.engine.shards import BYTES, ZSTD, CountingStore, sharded_array

MIB = 1 << 20
N_INNER = 192


class KeepingStore(CountingStore):
    """Keeps what it is given without a copy, as a client does that sends it away."""

    def set(self, key: str, data: Any) -> None:
        if key.endswith("zarr.json"):
            super().set(key, data)
        else:
            self.size = len(data)


def status(name: str) -> float:
    """A line of the process's status, in MiB."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))


def growth(deed: Callable[[], object]) -> float:
    """By how much the resident memory rose at most."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak begins again
    before = status("VmRSS")
    deed()
    return round(status("VmHWM") - before, 1)


def deeds(array: Any) -> dict[str, Callable[[], object]]:
    """Each on the whole shard of 192 MiB, whose values take no memory themselves."""
    noise = np.random.default_rng(1).integers(0, 256, MIB, "u1")
    one, out = np.empty((1, MIB), "u1"), np.ones((N_INNER, MIB), "u1")
    return {
        "write": lambda: array.__setitem__(..., noise),
        "overwrite": lambda: array.__setitem__(..., noise),
        "change one": lambda: array.__setitem__((3, slice(0, 10)), 5),
        "read one": lambda: array.get_basic_selection(slice(7, 8), out=one),
        "read an element of each": lambda: array[:, 5],
        "read all": lambda: array.get_basic_selection(..., out=out),
    }


def main(kind: str, folder: str) -> None:
    stores: dict[str, Any] = {
        "memory": zarrc.storage.MemoryStore,
        "python": CountingStore,
        "sent": KeepingStore,
    }
    inner = [BYTES] if kind == "local, raw" else [BYTES, ZSTD]
    zarrc.config.set({"threading.max_workers": 2})
    after = [ZSTD] if "around" in kind else []
    store = stores.get(kind, lambda: tempfile.mkdtemp(dir=folder))
    small = sharded_array(
        store(), (8, 1000), (8, 1000), (1, 1000), inner, dtype="u1", fill_value=0, after=after
    )
    for deed in deeds_of_small(small):
        deed()
    array = sharded_array(
        store(), (N_INNER, MIB), (N_INNER, MIB), (1, MIB), inner, dtype="u1", fill_value=0, after=after
    )
    chosen = deeds(array)
    if kind == "sent":
        chosen = {"write": chosen["write"]}
    chosen["read one"] = chosen.get("read one", lambda: None)
    print(json.dumps({name: growth(deed) for name, deed in chosen.items()}))


def deeds_of_small(array: Any) -> list[Callable[[], object]]:
    """What makes what any write and read needs once."""
    return [lambda: array.__setitem__(..., 1), lambda: array.__setitem__((0, 1), 2), lambda: array[...]]


if __name__ == "__main__":
    main(*sys.argv[1:])
