"""What must hold for an array's metadata, wherever it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.pipeline import check_chain, check_order, sharding_level
from zarrc.errors import MetadataError
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from zarrc.grids.base import ChunkGrid
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["MAX_NBYTES", "MAX_NDIM", "check_array", "check_every_shape", "check_shapes", "check_zarr_format"]

MAX_NDIM = 32
MAX_NBYTES = 2**63 - 1
"""The largest extent of an array in elements, and size of a chunk in bytes: offsets are signed 64-bit."""


def check_array(metadata: ArrayMetadata) -> None:
    """Raise MetadataError if the parts of an array's metadata are wrong or do not fit together."""
    root = Reading()
    check_zarr_format(metadata.zarr_format)
    if (metadata.zarr_format == 2) != (metadata.v2 is not None):
        raise MetadataError("v2: must be given for zarr_format 2, and only there")
    check_shapes(metadata.shape, metadata.chunk_grid, metadata.data_type.itemsize)
    _check_fill(metadata)
    with root.at("codecs").locate():
        check_order(metadata.codecs)
        check_chain(metadata.codecs, metadata.chunk_spec)
        check_every_shape(metadata.codecs, metadata.chunk_grid, metadata.chunk_spec)
    if metadata.v2 is not None and metadata.chunk_grid.name != "regular":
        raise root.at("chunk_grid").error(
            f"zarr_format 2 has chunks of one shape, no {metadata.chunk_grid.name!r} grid; use zarr_format=3"
        )
    _check_names(metadata, root)


def check_zarr_format(zarr_format: object) -> None:
    """Raise MetadataError unless it is 2 or 3."""
    if type(zarr_format) is not int or zarr_format not in (2, 3):
        raise MetadataError(f"zarr_format: must be 2 or 3, got {show(zarr_format)}")


def check_shapes(shape: tuple[int, ...], grid: ChunkGrid, itemsize: int) -> None:
    """Raise MetadataError if a shape is absurd, or the shapes of array and chunks do not fit together."""
    at = Reading(path="shape")
    if len(shape) > MAX_NDIM:
        raise at.error(f"has {len(shape)} dimensions; up to {MAX_NDIM} are supported")
    at.integers(shape, 0, MAX_NBYTES)
    at = Reading(path="chunk_grid")
    with at.locate():
        grid.check(shape)
    largest = grid.largest_shape
    nbytes = itemsize
    for extent in largest:
        nbytes *= extent
    if nbytes > MAX_NBYTES:
        raise at.error(f"a chunk of shape {show(largest)} has more than 2**63 - 1 bytes")


def check_every_shape(codecs: Sequence[Codec], grid: ChunkGrid, spec: ChunkSpec) -> None:
    """Raise MetadataError unless the codecs can encode chunks of every shape that the grid has.

    Parameters
    ----------
    codecs : sequence of Codec
        The chain, checked for the largest chunk already.
    grid : ChunkGrid
    spec : ChunkSpec
        Of the largest chunk.
    """
    if grid.is_regular:
        return
    level = sharding_level(codecs, spec.shape)
    if level:
        # What a shape decides is whether whole inner chunks fit, which each axis decides by itself. There may
        # be as many extents as the document is long, and as many shapes as their product.
        for d, inner in enumerate(level[1]):
            wrong = next((extent for extent in grid.axes[d].distinct() if extent % inner), None)
            if wrong is not None:
                raise MetadataError(
                    f"sharding_indexed: along axis {d} the inner chunks have the extent {inner}, which does "
                    f"not divide that of a shard, {wrong}",
                    codec=level[0].name,
                )
    smallest = tuple(min(axis.distinct()) for axis in grid.axes)
    if smallest != spec.shape:
        check_chain(codecs, ChunkSpec(smallest, spec.dtype, spec.fill))


def _check_fill(metadata: ArrayMetadata) -> None:
    fill = metadata.fill_value
    if fill is None:
        if metadata.zarr_format == 3:
            raise MetadataError("fill_value: is missing; only zarr_format 2 allows that")
    elif fill.shape != () or fill.dtype != metadata.data_type.numpy:
        raise MetadataError(f"fill_value: must be a 0-d array of {metadata.data_type}, got {show(fill)}")


def _check_names(metadata: ArrayMetadata, root: Reading) -> None:
    names = metadata.dimension_names
    if names is None:
        return
    if len(names) != len(metadata.shape):
        raise root.at("dimension_names").error(
            f"there are {len(names)} names for {len(metadata.shape)} dimensions"
        )
    for axis, name in enumerate(names):
        if name is not None:
            root.at("dimension_names").at(axis).string(name)
