"""Hypothesis strategies for keys of every kind: those of NumPy, of `oindex` and of `vindex`."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from tests.strategies import slices

Values = npt.NDArray[Any]
_INTEGER_TYPES = ("i8", "i8", "i4", "u8", "u1", "i1", ">i2")


def small_shapes(max_ndim: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes for many selections of a small array, extents of 0 included."""
    return st.lists(st.sampled_from((0, 1, 1, 2, 3, 4, 5, 7, 9)), max_size=max_ndim).map(tuple)


@st.composite
def fancy_keys(draw: st.DrawFn, shape: Sequence[int]) -> Any:
    """What NumPy takes as an index of an array of ``shape``."""
    point_shape = tuple(draw(st.lists(st.sampled_from((0, 1, 2, 3, 3, 5)), max_size=2)))
    if math.prod(shape) == 0 and draw(st.booleans()):
        point_shape = (0,)
    takes_nothing = not point_shape or point_shape[-1] < 2  # broadcasts with a list without elements
    items: list[Any] = []
    dim = 0
    n_named = draw(st.integers(0, len(shape)))
    while dim < n_named:
        kind = draw(st.sampled_from(("slice", "list", "list", "integer", "mask")))
        n_dims = 1
        item: Any
        if kind == "mask":
            n_dims = draw(st.integers(1, min(3, n_named - dim)))
            if math.prod(shape[dim : dim + n_dims]) == 0 and not takes_nothing:
                item, n_dims = slice(None), 1
            else:
                item = _mask(draw, shape[dim : dim + n_dims], point_shape)
        elif kind == "list" and (shape[dim] or takes_nothing):
            item = _list(draw, shape[dim], point_shape)
        elif kind == "integer" and shape[dim]:
            item = draw(st.integers(-shape[dim], shape[dim] - 1))
        else:
            item = draw(slices(shape[dim]))
        items.append(item)
        dim += n_dims
    _decorate(draw, items, is_whole=dim == len(shape))
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def orthogonal_keys(draw: st.DrawFn, shape: Sequence[int]) -> Any:
    """What `oindex` takes: lists, masks and ranges of one dimension, slices, integers, None and Ellipsis."""
    items: list[Any] = []
    n_named = draw(st.integers(0, len(shape)))
    for extent in shape[:n_named]:
        kind = draw(st.sampled_from(("slice", "list", "list", "mask", "integer")))
        if kind == "mask":
            item: Any = _random_mask(draw, (extent,))
        elif kind == "list":
            item = _list(draw, extent, (draw(st.integers(0, 6)),), whole=True)
        elif kind == "integer" and extent:
            item = draw(st.integers(-extent, extent - 1))
        else:
            item = draw(slices(extent))
        items.append(item)
    _decorate(draw, items, is_whole=n_named == len(shape), bools=False)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def masks(draw: st.DrawFn, shape: Sequence[int]) -> Values:
    """Masks of a whole array: any density, contiguous or not."""
    mask = _random_mask(draw, tuple(shape))
    return np.asarray(mask, order="F") if draw(st.booleans()) else mask


@st.composite
def wrong_fancy_keys(draw: st.DrawFn, shape: Sequence[int]) -> Any:
    """Keys that NumPy refuses, with lists in them."""
    kinds = ["float", "text", "dict", "too many"]
    if len(shape):
        kinds += ["out of bounds"] * 4 + ["mask"] * 2
    if len(shape) > 1 and 0 not in shape[:2]:
        kinds.append("mismatch")
    kind = draw(st.sampled_from(kinds))
    if kind == "too many":
        return ([0],) * (len(shape) + 1) if 0 not in shape else (slice(None),) * (len(shape) + 1)
    if kind in ("float", "text", "dict"):
        return {"float": [0.5], "text": "x", "dict": {1: 2}}[kind]
    if kind == "mismatch":
        return ([0, 0], [0, 0, 0])
    dim = draw(st.integers(0, len(shape) - 1))
    before: tuple[Any, ...] = (slice(None),) * dim
    if kind == "mask":
        return (*before, np.ones(shape[dim] + draw(st.sampled_from((1, 2))), bool))
    wrong = draw(st.sampled_from((shape[dim], -shape[dim] - 1, shape[dim] + 5, 2**62, -(2**62))))
    good = [0] * draw(st.integers(0, 3)) if shape[dim] else []
    listed = [*good, wrong]
    return (*before, draw(st.sampled_from((listed, np.array(listed), range(wrong, wrong + 1)))))


def _decorate(draw: st.DrawFn, items: list[Any], *, is_whole: bool, bools: bool = True) -> None:
    """Put in new axes, an Ellipsis, now and then a bool."""
    if draw(st.booleans()):
        # It stands for the dimensions left out, or for none: then it may be anywhere.
        items.insert(draw(st.integers(0, len(items))) if is_whole else len(items), ...)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        items.insert(draw(st.integers(0, len(items))), None)
    if bools and draw(st.sampled_from((False,) * 9 + (True,))):
        items.insert(
            draw(st.integers(0, len(items))), draw(st.sampled_from((True, np.True_, np.array(True))))
        )


def _list(draw: st.DrawFn, extent: int, point_shape: tuple[int, ...], *, whole: bool = False) -> Any:
    """Indices of an axis that broadcast to the points' shape, in one of the forms that are taken."""
    shape = point_shape
    if not whole:
        shape = point_shape[draw(st.integers(0, len(point_shape))) :]
        shape = tuple(1 if draw(st.sampled_from((False, False, True))) else n for n in shape)
    if extent == 0:
        # Only where nothing is left are there indices of an axis without elements.
        shape = (0,)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    form = draw(st.sampled_from(("array", "array", "list", "range", "repeated", "sorted")))
    if form == "range" and len(shape) == 1 and (n := shape[0]) <= extent:
        first = int(rng.integers(0, extent - n + 1)) - extent * int(rng.integers(0, 2))
        return range(first, first + n) if draw(st.booleans()) else range(first + n - 1, first - 1, -1)
    low = 0 if draw(st.booleans()) else -extent
    dtype = draw(st.sampled_from(_INTEGER_TYPES)) if extent < 100 else "i8"
    indices = rng.integers(0 if np.dtype(dtype).kind == "u" else low, max(1, extent), shape).astype(dtype)
    if form == "repeated" and 1 in shape and len(shape) == len(point_shape) and extent:
        return np.broadcast_to(indices, point_shape)
    if form == "sorted":
        indices.sort(axis=None if indices.ndim == 0 else -1) if indices.ndim else None
    if form == "list" and (indices.size or indices.ndim == 1):  # a list of no lists has one dimension
        return indices.tolist()
    return indices if draw(st.booleans()) else np.asarray(indices, order="F")


def _random_mask(draw: st.DrawFn, shape: tuple[int, ...]) -> Values:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)))


def _mask(draw: st.DrawFn, shape: Sequence[int], point_shape: tuple[int, ...]) -> Any:
    """A mask with as many true elements as broadcast to the points' shape."""
    size = math.prod(shape)
    n_true = draw(st.sampled_from((1, point_shape[-1]))) if point_shape else 1
    n_true = n_true if n_true <= size else 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.zeros(size, bool)
    mask[rng.permutation(size)[:n_true]] = True
    shaped = mask.reshape(shape)
    return shaped.tolist() if size and draw(st.booleans()) else shaped


@functools.cache
def view_steps(max_steps: int = 3) -> st.SearchStrategy[list[str]]:
    """Kinds of the selections that are put one on another."""
    kinds = ("index", "index", "oindex", "vindex", "transpose", "basic", "mask")
    return st.lists(st.sampled_from(kinds), min_size=1, max_size=max_steps)


def orthogonal(values: Any, key: Any) -> Any:
    """What `oindex` means, in NumPy's words: one axis after another."""
    items = list(key) if isinstance(key, tuple) else [key]
    n_axes = sum(item is not None and item is not ... for item in items)
    dtype = values.dtype  # whose byte order a scalar forgets
    has_ellipsis = any(item is ... for item in items)
    if not has_ellipsis:
        items.append(...)
    at = next(i for i, item in enumerate(items) if item is ...)
    items[at : at + 1] = [slice(None)] * (values.ndim - n_axes)
    dim = 0
    for item in items:
        if item is None:
            values = np.expand_dims(values, dim)
        else:
            values = values[(slice(None),) * dim + (item,)]
        dim += not isinstance(item, int | np.integer)
    return np.asarray(values, dtype) if has_ellipsis or values.ndim else values[()]


def vectorized(values: Values, key: Any) -> Any:
    """What `vindex` means, in NumPy's words: a slice between lists makes NumPy put their dimensions first."""
    items = list(key) if isinstance(key, tuple) else [key]
    n_axes = sum(
        np.ndim(item) if _is_mask(item) else 1 for item in items if item is not None and item is not ...
    )
    if not any(item is ... for item in items):
        items.append(...)
    at = next(i for i, item in enumerate(items) if item is ...)
    items[at : at + 1] = [slice(None)] * (values.ndim - n_axes)
    if not any(_is_list(item) for item in items):
        return values[key]
    # Two more axes of one element, taken by lists that a new axis keeps apart from the others.
    return values[..., None][(*items, None, [0])][..., 0]


def _is_mask(item: Any) -> bool:
    return not isinstance(item, slice | range) and np.asarray(item).dtype.kind == "b"


def _is_list(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim > 0 or item.dtype.kind == "b"
    return isinstance(item, list | range | np.bool_ | bool)
