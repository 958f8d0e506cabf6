"""Read, compute and write chunk by chunk, with several workers.

Run it as ``python examples/parallel_processing.py [FOLDER]``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr


def celsius(kelvin: np.ndarray) -> np.ndarray:
    """What is computed of each chunk."""
    return kelvin - np.float32(273.15)


def chunk_level(folder: Path) -> None:
    """``map_chunks``: each worker reads a chunk, computes, and writes the result; none waits for another."""
    group = climate(folder)
    array = group["air_temperature"]
    result = group.create_array(
        "celsius", shape=array.shape, chunks=array.chunks, dtype=array.dtype, dimension_names=("t", "y", "x")
    )
    seen: list[tuple[int, int]] = []
    array.map_chunks(celsius, out=result, workers=2, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (array.nchunks, array.nchunks)
    assert np.array_equal(result[:], celsius(array[:]))
    assert result.nchunks_initialized == result.nchunks
    print(f"{result.nchunks} chunks, mean {result[:].mean():.2f} °C")


def task_based(folder: Path) -> None:
    """The same by hand: a task for each row of chunks, each of which reads, computes and writes."""
    array = climate(folder)["air_temperature"]
    result = zarr.create_array(
        folder / "celsius.zarr", shape=array.shape, chunks=array.chunks, dtype=array.dtype
    )

    def one_row(first: int) -> int:
        """Process the chunks that begin at ``first`` along the first dimension."""
        rows = slice(first, first + array.chunks[0])
        n = 0
        for region in array.iter_chunks((rows, slice(None), slice(None))):
            result[region] = celsius(array[region])
            n += 1
        return n

    with ThreadPoolExecutor(2) as pool:
        n_chunks = sum(pool.map(one_row, range(0, array.shape[0], array.chunks[0])))
    assert n_chunks == array.nchunks
    assert np.array_equal(result[:], celsius(array[:]))


if __name__ == "__main__":
    run(chunk_level, task_based)
