"""Prints the requests that reads and writes of shards make: `python -m tests.engine.show_shard_requests`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.test_shard_requests import APART, INNER, N_SHARDS, SHARD, TRUST, _array

DEEDS: dict[str, Callable[[Any], object]] = {
    "read 1 inner chunk": lambda a: a[5 * INNER : 6 * INNER],
    "read 4 inner chunks that are neighbours": lambda a: a[5 * INNER : 9 * INNER],
    "read 4 inner chunks apart": lambda a: a[: 52 * INNER : 16 * INNER + INNER // 2],
    "read a whole shard": lambda a: a[:SHARD],
    "read 1 inner chunk of each of 4 shards": lambda a: a[::SHARD],
    "read all 4 shards": lambda a: a[...],
    "write a whole shard": lambda a: a.__setitem__(slice(0, SHARD), 5),
    "write all 4 shards": lambda a: a.__setitem__(..., 6),
    "change 1 element": lambda a: a.__setitem__(7, 7),
    "change 1 inner chunk": lambda a: a.__setitem__(slice(0, INNER), 8),
    "change 1 element in each of 4 shards": lambda a: a.__setitem__(slice(None, None, SHARD), 8),
    "write nothing but fill to a shard": lambda a: a.__setitem__(slice(0, SHARD), -1),
    "read an absent shard": lambda a: a[5],
}


def main() -> None:
    columns = [(True, APART), (False, APART), (True, TRUST)]
    print(f"{N_SHARDS} shards of {SHARD // INNER} inner chunks of {4 * INNER} bytes\n")
    head = ("versions", "no versions", "versions, trusted index (2nd call)")
    print(f"| {'':40} | " + " | ".join(head) + " |")
    arrays = [_array(versions=versions, config=config) for versions, config in columns]
    for name, deed in DEEDS.items():
        cells = []
        for array, (_, config) in zip(arrays, columns, strict=True):
            if config is TRUST and name.startswith("read"):
                deed(array)
                array.store.taken()
            deed(array)
            cells.append(_counted(array.store))
        print(f"| {name:40} | " + " | ".join(cells) + " |")


def _counted(store: Any) -> str:
    groups = len(store.groups)
    taken = store.taken()
    kinds = {
        "index": sum(wanted is not None and wanted[0] < 0 for _, _, wanted in taken),
        "range": sum(wanted is not None and wanted[0] >= 0 for _, _, wanted in taken),
        "get": sum(deed == "get" and wanted is None for deed, _, wanted in taken),
        "set": sum(deed == "set" for deed, _, _ in taken),
        "delete": sum(deed == "delete" for deed, _, _ in taken),
    }
    counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
    return counted + (f" (in {groups})" if 0 < groups < len(taken) else "")


if __name__ == "__main__":
    main()
