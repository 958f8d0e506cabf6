"""Fill one array from several processes: each writes whole chunks, so that none needs to know of the others.

Run it as ``python examples/parallel_write.py [FOLDER]``.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np

import zarrc as zarr

N_ROWS, N_COLUMNS, ROWS_A_CHUNK = 4000, 1000, 500


def fill(where: str, first: int) -> float:
    """Compute and write one row of chunks; return its sum."""
    array = zarr.open_array(where, mode="r+")
    stop = min(first + array.chunks[0], array.shape[0])
    rows = np.sin(np.arange(first, stop)[:, None] * np.arange(array.shape[1]) / 1000)
    array[first:stop] = rows
    return float(rows.sum())


def main(folder: Path) -> None:
    """Create the array here, fill it there, read it back here."""
    where = str(folder / "sines.zarr")
    zarr.create_array(
        where, shape=(N_ROWS, N_COLUMNS), chunks=(ROWS_A_CHUNK, N_COLUMNS), dtype="float64", overwrite=True
    )
    tasks = [(where, first) for first in range(0, N_ROWS, ROWS_A_CHUNK)]
    # Any start method will do; "spawn" is the one that exists everywhere.
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.starmap(fill, tasks)

    array = zarr.open_array(where, mode="r")
    assert array.nchunks_initialized == array.nchunks
    assert np.isclose(array[...].sum(), sum(sums))
    print(array.info_complete())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
