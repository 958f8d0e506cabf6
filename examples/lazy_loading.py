"""Views that read when they are asked to, and a cache of the chunks that were read.

Run it as ``python examples/lazy_loading.py [FOLDER]``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr


def chunks_on_first_access(folder: Path) -> None:
    """A cache: a chunk is read and decoded when an element of it is first asked for, and kept."""
    array = climate(folder)["air_temperature"].with_cache(nbytes=1 << 20)
    assert array[0, 5, 5] == array[0, 5, 5]
    first = array.cache.stats()
    assert (first.misses, first.hits) == (1, 1)

    # Other handles' writes are seen: what is kept is never older than what is stored.
    zarr.open_array(folder / "climate.zarr", path="air_temperature")[0, 5, 5] = np.float32(0)
    assert array[0, 5, 5] == 0
    print(array.cache)


def views(folder: Path) -> None:
    """A view of a view of a view: nothing is read before ``np.asarray`` or ``.read()``."""
    array = climate(folder)["air_temperature"]
    summer = array.lazy[100:200][::10].transpose(2, 1, 0)[:, 3]
    assert summer.shape == (49, 10)
    assert np.array_equal(np.asarray(summer), array[:][100:200:10].transpose(2, 1, 0)[:, 3])

    # Writing goes through to the array.
    summer[0] = np.float32(1)
    assert (array[100:200:10, 3, 0] == 1).all()
    print(summer)


if __name__ == "__main__":
    run(chunks_on_first_access, views)
