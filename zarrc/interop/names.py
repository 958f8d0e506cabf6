"""Names of a file that a Zarr hierarchy cannot have."""

from __future__ import annotations

from dataclasses import replace

from zarrc.engine.node_names import check_new_path, normalize_path
from zarrc.interop.hierarchy import LeftOut, SourceFile

__all__ = ["with_legal_names"]


def with_legal_names(file: SourceFile) -> SourceFile:
    """Return the file as a hierarchy that Zarr can hold.

    Parameters
    ----------
    file : SourceFile
        What was read.

    Returns
    -------
    SourceFile
        Nodes with a name that no Zarr node may have (``__x``, ``zarr.json``) are among the ones left out. A
        dimension that an array has twice, as a covariance matrix does, is called ``x_2`` the second time:
        xarray tells axes apart by their names.
    """
    arrays = [
        replace(array, dimensions=_distinct(array.dimensions))
        for array in file.arrays
        if _is_legal(array.path)
    ]
    groups = [group for group in file.groups if _is_legal(group.path)]
    paths = [group.path for group in file.groups] + [array.path for array in file.arrays]
    illegal = [LeftOut(path, "name") for path in paths if not _is_legal(path)]
    return replace(file, arrays=arrays, groups=groups, left_out=[*file.left_out, *illegal])


def _is_legal(path: str) -> bool:
    try:
        check_new_path(path)
        return normalize_path(path) == path
    except ValueError:
        return False


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    distinct: list[str] = []
    for name in names:
        fresh, n = name, 2
        while fresh in distinct:
            fresh, n = f"{name}_{n}", n + 1
        distinct.append(fresh)
    return tuple(distinct)
