"""Hypothesis strategies for arrays: shapes, chunk shapes, data types, codec chains, selections, values."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

DTYPE_NAMES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)

BasicIndex = int | slice | EllipsisType | None


def shapes(max_ndim: int = 6, max_size: int = 3000) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes from 0-d to `max_ndim` dimensions, some without elements, none of more than `max_size`."""
    return _any_shapes(max_ndim).filter(lambda shape: math.prod(shape) <= max_size)


@functools.cache
def _any_shapes(max_ndim: int) -> st.SearchStrategy[tuple[int, ...]]:
    wide = st.lists(st.integers(0, 70), max_size=min(2, max_ndim))
    deep = st.lists(st.integers(1, 4), min_size=min(3, max_ndim), max_size=max_ndim)
    return (wide | deep | st.lists(st.integers(0, 9), max_size=min(4, max_ndim))).map(tuple)


@st.composite
def chunk_shapes(draw: st.DrawFn, shape: Sequence[int], max_chunks: int = 400) -> tuple[int, ...]:
    """A chunk shape for an array: dividing or not, larger than the array too."""
    chunks = [draw(_chunk_extents(extent)) for extent in shape]
    # Widened until the array has few enough chunks for a quick test.
    for axis, extent in enumerate(shape):
        if math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True)) > max_chunks:
            chunks[axis] = max(1, extent)
    return tuple(chunks)


@functools.cache
def _chunk_extents(extent: int) -> st.SearchStrategy[int]:
    return st.integers(1, extent + 2) | st.just(max(1, extent))


def dtype_names() -> st.SearchStrategy[str]:
    """Names of the numeric data types."""
    return st.sampled_from(DTYPE_NAMES)


@functools.cache  # to make a strategy takes far longer than to draw from it
def slices(extent: int) -> st.SearchStrategy[slice]:
    """Slices of an axis: any sign, out of bounds, huge steps, and the plain ones that select something."""
    near = st.none() | st.integers(-extent - 3, extent + 3)
    steps = st.sampled_from((None, None, 1, 2, 3, 4, -1, -2, -3, -4, extent + 1, -extent - 1))
    huge = st.sampled_from((2**31, -(2**31), 2**63 - 1, -(2**63), 10**30, -(10**30)))
    anything = st.builds(slice, near | huge, near | huge, steps | huge)
    return st.builds(slice, near, near, steps) | st.just(slice(None)) | anything


@functools.cache
def _indices(extent: int) -> st.SearchStrategy[BasicIndex]:
    """What may stand for one axis in a selection."""
    if extent == 0:
        return slices(extent)
    integers = st.integers(-extent, extent - 1)
    return integers | integers.map(np.int64) | slices(extent) | slices(extent)


@st.composite
def basic_selections(draw: st.DrawFn, shape: Sequence[int]) -> Any:
    """A valid basic selection: integers, slices, an Ellipsis for none or several axes, new axes."""
    ndim = len(shape)
    n_first = draw(st.integers(0, ndim))
    n_last = draw(st.integers(0, ndim - n_first))
    items: list[BasicIndex] = [draw(_indices(extent)) for extent in shape[:n_first]]
    if n_last or draw(st.booleans()):
        items.append(Ellipsis)
        items += [draw(_indices(extent)) for extent in shape[ndim - n_last :]]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def wrong_selections(draw: st.DrawFn, shape: Sequence[int]) -> Any:
    """A selection that NumPy refuses as an index of this shape."""
    ndim = len(shape)
    kinds = ["too many", "two ellipses", "float", "zero step"]
    kind = draw(st.sampled_from(kinds + ["out of bounds"] * 3)) if ndim else draw(st.sampled_from(kinds[:3]))
    if kind == "too many":
        return (slice(None),) * (ndim + draw(st.integers(1, 3)))
    if kind == "two ellipses":
        return (Ellipsis, Ellipsis)
    if kind == "float":
        return (1.0,)
    axis = draw(st.integers(0, ndim - 1))
    extent = shape[axis]
    if kind == "zero step":
        return (slice(None),) * axis + (slice(None, None, 0),)
    beyond = draw(st.integers(0, 3) | st.sampled_from((2**31, 2**63 - 1 - extent, 2**64)))
    return (slice(None),) * axis + (draw(st.sampled_from((extent + beyond, -extent - 1 - beyond))),)


@st.composite
def broadcastable_shapes(draw: st.DrawFn, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that broadcasts to `shape`: axes left out, axes of length 1, ones too many in front."""
    kept = list(shape[draw(st.integers(0, len(shape))) :]) if draw(st.booleans()) else list(shape)
    shrunk = [1 if draw(st.sampled_from((False, False, True))) else extent for extent in kept]
    extra = draw(st.sampled_from((0, 0, 0, 1, 2))) if len(kept) == len(shape) else 0
    return (1,) * extra + tuple(shrunk)


def random_values(shape: Sequence[int], dtype: npt.DTypeLike, seed: int) -> npt.NDArray[Any]:
    """Any bits that the type allows; all zero bits (a common fill value) for seed 0."""
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    data = np.frombuffer(np.random.default_rng(seed).bytes(n_bytes) if seed else bytes(n_bytes), np.uint8)
    return (data & 1 if dtype.kind == "b" else data).copy().view(dtype).reshape(shape)


def seeds() -> st.SearchStrategy[int]:
    """Seeds for `random_values`."""
    return st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Layout:
    """An array to create: everything but its store."""

    zarr_format: Literal[2, 3]
    dtype_name: str
    endian: Literal["little", "big"]
    chain: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `zarrc.create_array`."""
        common = {"shape": self.shape, "chunks": self.chunks, "zarr_format": self.zarr_format}
        return common | (self._v2() if self.zarr_format == 2 else self._v3())

    def _v3(self) -> dict[str, Any]:
        transpose = {"name": "transpose", "configuration": {"order": list(range(len(self.shape)))[::-1]}}
        serializer = {"name": "bytes", "configuration": {"endian": self.endian}}
        compressors = {
            "raw": [],
            "zstd": [{"name": "zstd", "configuration": {"level": 1}}],
            "transposed": [],
            "transposed zstd": [{"name": "zstd", "configuration": {"level": -1}}, {"name": "crc32c"}],
            "blosc": [{"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "shuffle"}}],
        }[self.chain]
        before = [transpose] if "transposed" in self.chain else []
        return {"dtype": self.dtype_name, "codecs": [*before, serializer, *compressors]}

    def _v2(self) -> dict[str, Any]:
        compressor = {
            "raw": None,
            "zstd": {"id": "zstd", "level": 1},
            "transposed": None,
            "transposed zstd": {"id": "zstd", "level": 1},
            "blosc": {"id": "blosc", "cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0},
        }[self.chain]
        dtype = np.dtype(self.dtype_name).newbyteorder("<" if self.endian == "little" else ">")
        return {
            "dtype": dtype,
            "compressors": compressor,
            "filters": None,
            "order": "F" if "transposed" in self.chain else "C",
        }


@st.composite
def layouts(draw: st.DrawFn, max_ndim: int = 6) -> Layout:
    """Arrays of both formats, all numeric types, byte orders, raw, compressed and transposed."""
    shape = draw(shapes(max_ndim))
    return Layout(
        zarr_format=draw(st.sampled_from((3, 2))),
        dtype_name=draw(dtype_names()),
        endian=draw(st.sampled_from(("little", "big"))),
        chain=draw(st.sampled_from(("raw", "zstd", "transposed", "transposed zstd", "blosc"))),
        shape=shape,
        chunks=draw(chunk_shapes(shape)),
    )
