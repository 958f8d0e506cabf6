"""Arrays that are larger than memory, and arrays that are nowhere else.

Run it as ``python examples/memory_management.py [FOLDER]``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr


def stream(folder: Path) -> None:
    """Go through an array block by block: a few blocks are in memory, the next ones are read meanwhile."""
    array = climate(folder)["air_temperature"]
    total, n_blocks = 0.0, 0
    for region, block in array.iter_blocks(prefetch=2):
        assert block.shape == tuple(part.stop - part.start for part in region)
        total += float(block.sum(dtype="float64"))
        n_blocks += 1
    assert n_blocks == array.nchunks
    assert np.isclose(total, array[:].sum(dtype="float64"))
    print(f"mean of {n_blocks} blocks: {total / array.size:.2f} K")


def array_in_memory(folder: Path) -> None:
    """An array in memory, by a name: whoever knows it sees the same array, from any thread."""
    source = climate(folder)["air_temperature"]
    array = zarr.create(
        shape=source.shape,
        chunks=source.chunks,
        dtype=source.dtype,
        storage="ets",  # or "memory": the guide's word and ours
        table_name="my_array_cache",
    )
    array[:] = source[:]
    other = zarr.open(storage="ets", table_name="my_array_cache")
    assert other == array
    assert np.array_equal(other[-1], source[-1])
    zarr.storage.MemoryStore.forget("my_array_cache")


if __name__ == "__main__":
    run(stream, array_in_memory)
