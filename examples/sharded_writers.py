"""Fill the shards of one array from several processes at once: ``locking="file"`` makes that safe.

Each process computes every second row of inner chunks, so that all of them write to all shards, again and
again. Where processes can be given whole shards (`Array.iter_shards`), no lock is needed, and that is faster.

Run it as ``python examples/sharded_writers.py [FOLDER]``.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np

import zarrc as zarr

N_PROCESSES = 2
SHAPE, CHUNKS, SHARDS = (600, 800), (50, 100), (200, 400)


def values(rows: slice, columns: slice) -> np.ndarray:
    """What belongs in a region."""
    return np.sin(np.arange(rows.start, rows.stop)[:, None] * np.arange(columns.start, columns.stop) / 1000)


def fill(where: str, first: int) -> int:
    """Compute and write the inner chunks of some rows; return how many."""
    array = zarr.open_array(where, mode="r+", config={"locking": "file"})
    n_written = 0
    for rows, columns in array.iter_chunks():
        if rows.start // array.chunks[0] % N_PROCESSES == first:
            array[rows, columns] = values(rows, columns)
            n_written += 1
    return n_written


def main(folder: Path) -> None:
    """Create the array here, fill it there, read it back here."""
    where = str(folder / "sines.zarr")
    zarr.create_array(where, shape=SHAPE, chunks=CHUNKS, shards=SHARDS, dtype="float64", overwrite=True)
    tasks = [(where, first) for first in range(N_PROCESSES)]
    # Any start method will do; "spawn" is the one that exists everywhere.
    with multiprocessing.get_context("spawn").Pool(N_PROCESSES) as pool:
        n_written = sum(pool.starmap(fill, tasks))

    array = zarr.open_array(where, mode="r")
    assert n_written == array.nchunks
    for region in array.iter_shards():
        assert np.array_equal(array[region], values(*region))
    print(array.info_complete())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
