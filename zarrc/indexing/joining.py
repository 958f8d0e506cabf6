"""Which lists of indices are tied together: those that run along a common dimension of the result."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from zarrc.indexing.terms import Indices

__all__ = ["Axis", "Group", "Loose", "expanded", "joined"]

Axis = tuple[int, int, int, int]
"""A range of an axis of the array: start, step, count, and the result's dimension along it (-1: none)."""

Group = tuple[tuple[int, ...], tuple[Indices, ...], tuple[int, ...]]
"""Axes of the array, for each the indices, and the result's dimensions (ascending) that these run along.

The indices have as many dimensions as the group; of extent 1 where they stay the same.
"""

Loose = tuple[int, "Indices | range", tuple[int, ...]]
"""An axis of the array, its indices, and the result's dimensions (ascending) that these run along."""


def joined(axes: list[Axis | None], loose: Iterable[Loose]) -> tuple[Group, ...]:
    """Tie lists into groups, as few together as possible.

    A list that runs along no dimension, or is a range by itself, goes into ``axes`` instead.
    """
    bundles: list[tuple[set[int], list[Loose]]] = []
    for axis, indices, dims in loose:
        if type(indices) is range:
            if len(indices) == 1:
                axes[axis] = (indices[0], 1, 1, -1)
                continue
        elif 1 in indices.shape:
            dims = tuple([dim for dim, extent in zip(dims, indices.shape, strict=True) if extent != 1])
            indices = indices.reshape([extent for extent in indices.shape if extent != 1])
            if not dims:
                axes[axis] = (indices.item(), 1, 1, -1)
                continue
        elif not dims:
            axes[axis] = (indices.item(), 1, 1, -1)
            continue
        along, members = set(dims), [(axis, indices, dims)]
        apart = []
        for bundle in bundles:
            if along.isdisjoint(bundle[0]):
                apart.append(bundle)
            else:
                along |= bundle[0]
                members = bundle[1] + members
        bundles = [*apart, (along, members)]
    groups: list[Group] = []
    for along, members in bundles:
        if len(members) == 1:
            axis, indices, dims = members[0]
            found = _as_range(indices)
            if found is not None:
                axes[axis] = (*found, dims[0])
                continue
            assert type(indices) is not range
            groups.append(((axis,), (indices,), dims))
        else:
            groups.append(_group(members, tuple(sorted(along))))
    return tuple(groups)


def _group(members: list[Loose], along: tuple[int, ...]) -> Group:
    members.sort(key=lambda member: member[0])
    arrays = []
    for _, indices, dims in members:
        if type(indices) is range:
            indices = np.arange(indices.start, indices.stop, indices.step, dtype=np.int64)
        arrays.append(expanded(indices, dims, along))
    return tuple([member[0] for member in members]), tuple(arrays), along


def expanded(indices: Indices, dims: tuple[int, ...], along: tuple[int, ...]) -> Indices:
    """View indices that run along some of the dimensions ``along`` (both ascending) as running along all."""
    if dims == along:
        return indices
    extents = dict(zip(dims, indices.shape, strict=True))
    return indices.reshape([extents.get(dim, 1) for dim in along])


def _as_range(indices: Indices | range) -> tuple[int, int, int] | None:
    """(start, step, count) if indices are evenly spaced, so that `numpy.arange` costs what a slice does."""
    if type(indices) is range:
        return (indices.start, indices.step, len(indices)) if indices else (0, 1, 0)
    if indices.ndim != 1:
        return None
    count = indices.size
    if count == 0:
        return 0, 1, 0
    start = indices.item(0)
    step = indices.item(1) - start
    if step == 0 or indices.item(-1) - start != step * (count - 1):
        return None
    if count > 2 and not (indices[1:] - indices[:-1] == step).all():
        return None
    return start, step, count
