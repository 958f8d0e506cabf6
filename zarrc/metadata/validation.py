"""What must hold for an array's metadata, wherever it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarrc.codecs.pipeline import check_chain, check_order
from zarrc.errors import MetadataError
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["MAX_NBYTES", "MAX_NDIM", "check_array", "check_shapes", "check_zarr_format"]

MAX_NDIM = 32
MAX_NBYTES = 2**63 - 1
"""The largest extent of an array in elements, and size of a chunk in bytes: offsets are signed 64-bit."""


def check_array(metadata: ArrayMetadata) -> None:
    """Raise MetadataError if the parts of an array's metadata are wrong or do not fit together."""
    root = Reading()
    check_zarr_format(metadata.zarr_format)
    if (metadata.zarr_format == 2) != (metadata.v2 is not None):
        raise MetadataError("v2: must be given for zarr_format 2, and only there")
    check_shapes(metadata.shape, metadata.chunk_grid.chunk_shape, metadata.data_type.itemsize)
    _check_fill(metadata)
    with root.at("codecs").locate():
        check_order(metadata.codecs)
        check_chain(metadata.codecs, metadata.chunk_spec)
    _check_names(metadata, root)


def check_zarr_format(zarr_format: object) -> None:
    """Raise MetadataError unless it is 2 or 3."""
    if type(zarr_format) is not int or zarr_format not in (2, 3):
        raise MetadataError(f"zarr_format: must be 2 or 3, got {show(zarr_format)}")


def check_shapes(shape: tuple[int, ...], chunk_shape: tuple[int, ...], itemsize: int) -> None:
    """Raise MetadataError if a shape is absurd, or the shapes of array and chunk do not fit together."""
    at = Reading(path="shape")
    if len(shape) > MAX_NDIM:
        raise at.error(f"has {len(shape)} dimensions; up to {MAX_NDIM} are supported")
    at.integers(shape, 0, MAX_NBYTES)
    at = Reading(path="chunk_grid")
    if len(chunk_shape) != len(shape):
        raise at.error(
            f"the chunk shape {show(chunk_shape)} has {len(chunk_shape)} dimensions, the array {len(shape)}"
        )
    nbytes = itemsize
    for extent in chunk_shape:
        nbytes *= extent
    if nbytes > MAX_NBYTES:
        raise at.error(f"a chunk of shape {show(chunk_shape)} has more than 2**63 - 1 bytes")


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
