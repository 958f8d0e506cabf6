"""Chunk grids: equal chunks, chunks of several sizes, and arrays of parts that do not line up in a grid.

Run it as ``python examples/chunk_grids.py [FOLDER]``.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr
from zarrc import mosaic


def regular(folder: Path) -> None:
    """All chunks have one shape."""
    array = zarr.create(
        shape=(1000, 1000),
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": [100, 100]}},
        zarr_version=3,
        path=str(folder / "array"),
    )
    assert array.chunks == (100, 100)
    assert array.nchunks == 100


def irregular(folder: Path) -> None:
    """The shape of each chunk is given; where they line up, it is a grid that other libraries read."""
    grid = {
        "name": "irregular",
        "configuration": {
            "chunk_shapes": {
                (0, 0): (500, 500),  # large chunks at the top
                (0, 1): (500, 500),
                (1, 0): (250, 500),  # smaller ones below
                (1, 1): (250, 500),
            }
        },
    }
    # These chunks have 750 rows, the array 1000: one more row of chunks has the rest, and a warning says so.
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        array = zarr.create(
            shape=(1000, 1000), dtype="float32", chunk_grid=grid, zarr_version=3, path=str(folder / "array")
        )
    print(*(one.message for one in warned))
    assert array.metadata.chunk_grid.name == "rectilinear"
    assert array.chunks == ((500, 250, 250), (500, 500))

    data = np.random.default_rng(0).normal(size=array.shape).astype("float32")
    array[:] = data
    assert np.array_equal(zarr.open(path=str(folder / "array"))[400:900, ::7], data[400:900, ::7])

    # The same by the sizes along each axis.
    sizes = {"name": "irregular", "configuration": {"chunk_sizes": [[500, 250, 250], [500, 500]]}}
    same = zarr.create(shape=(1000, 1000), dtype="float32", chunk_grid=sizes, path=str(folder / "sizes"))
    assert same.chunks == array.chunks


def adaptive_resolution(folder: Path) -> None:
    """Fine cells in the area of interest, coarse ones elsewhere: no grid, but a mosaic of arrays."""
    cells = {
        (0, 0): (50, 50),  # fine
        (0, 1): (100, 100),
        (0, 2): (200, 200),  # coarse
    }
    # As a grid it is refused: the cells beside each other have 50, 100 and 200 rows.
    try:
        grid = {"name": "irregular", "configuration": {"chunk_shapes": cells}}
        zarr.create(shape=(200, 350), chunk_grid=grid, path=str(folder / "grid"))
    except zarr.errors.MetadataError as error:
        print(error)
    else:
        raise AssertionError("cells that do not line up were taken for a grid")

    whole = mosaic.from_chunk_shapes(
        folder / "adaptive.zarr",
        shape=(200, 350),
        chunk_shapes=cells,
        dtype="float32",
        gaps="fill",
        fill_value=np.nan,
    )
    field = np.random.default_rng(0).normal(size=whole.shape).astype("float32")
    for tile in whole.tiles:
        whole[tile.region] = field[tile.region]
    assert np.array_equal(whole[:50], field[:50])
    assert np.array_equal(whole[20:40, 40:60], field[20:40, 40:60])  # across two cells
    assert np.isnan(whole[60:, :50]).all()  # no cell is there

    # The same with real data: each year's map, in detail around Denver only.
    air = climate(folder)["air_temperature"]
    maps = mosaic.create(
        folder / "air.zarr",
        shape=air.shape,
        tiles=[
            ((0, 0, 0), (240, 37, 10)),
            ((0, 0, 10), (240, 37, 12), {"path": "denver", "chunks": (240, 4, 4)}),
            ((0, 0, 22), (240, 37, 27)),
        ],
        dtype=air.dtype,
        dimension_names=air.metadata.dimension_names,
        tile_options={"chunks": (24, 37, 27)},
    )
    maps[:] = air[:]
    assert np.array_equal(mosaic.open(folder / "air.zarr")[:, 19, 5:30], air[:, 19, 5:30])


def sparse_and_dense_regions(folder: Path) -> None:
    """One large cell where there is little data, small ones where there is much."""
    cells = {(0, 0): (1000, 1000)}  # sparse
    cells |= {(1, column): (100, 100) for column in range(10)}  # dense
    whole = mosaic.from_chunk_shapes(
        folder / "regions.zarr", shape=(1100, 1000), chunk_shapes=cells, dtype="uint8"
    )
    whole[990:1010, 450:550] = 1
    assert whole[:, 500].sum() == 20
    # Reading one dense cell does not touch the sparse one.
    assert [tile.path for tile in whole.tiles_in((1050, slice(450, 550)))] == ["1_4", "1_5"]
    print(whole)


if __name__ == "__main__":
    run(regular, irregular, adaptive_resolution, sparse_and_dense_regions)
