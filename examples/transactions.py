"""Several updates of an array as one: all of them are stored, or none.

Run it as ``python examples/transactions.py [FOLDER]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from climate import run

import zarrc as zarr


def write_with_transaction(array: zarr.Array, updates: Iterable[tuple[Any, Any]]) -> Exception | None:
    """Apply all updates, or none and return the error."""
    try:
        with zarr.transaction(array) as tx:
            for indices, data in updates:
                tx[indices] = data
    except Exception as error:
        return error
    return None


def transactional_writes(folder: Path) -> None:
    """The guide's `TransactionalArray`."""
    array = zarr.create_array(folder / "ledger.zarr", shape=(100, 100), chunks=(10, 100), dtype="i4")
    rows = [((slice(i, i + 1), slice(None)), np.full((1, 100), i)) for i in range(1, 40)]
    assert write_with_transaction(array, rows) is None
    assert array[39, 0] == 39

    bad = [((0, slice(None)), -1), ((100, 0), -1)]
    print("rolled back:", write_with_transaction(array, bad))
    assert array[0, 0] == 0


def again_after_a_conflict(folder: Path) -> None:
    """What others change meanwhile is not lost: the second one does its block again."""
    array = zarr.create_array(folder / "count.zarr", data=[0])
    meanwhile = iter([1])
    while True:
        try:
            with zarr.transaction(array) as tx:
                tx[0] += 10
                for value in meanwhile:
                    array[0] = value
            break
        except zarr.errors.TransactionConflictError as conflict:
            print(conflict)
    assert array[0] == 11


if __name__ == "__main__":
    run(transactional_writes, again_after_a_conflict)
