"""Save NumPy arrays, and load them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from zarrc import new_array
from zarrc.array import Array
from zarrc.creation.creating import create
from zarrc.creation.keywords import ZarrFormat, parse_format
from zarrc.creation.opening import open_group
from zarrc.creation.places import Place, flush_named
from zarrc.errors import ContainsNodeError
from zarrc.group import Group
from zarrc.new_array import ARRAY_KEYWORDS
from zarrc.new_nodes import check_replaced, sources_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["load", "save", "save_array", "save_group"]


def save_array(
    store: Any,
    arr: npt.ArrayLike,
    *,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> None:
    """Save one array.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    arr : array_like
        The data.
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    path : str, optional
        Path inside the store.
    mode : {"w", "w-", "a"}, optional
        "w" (or ``overwrite=True``) deletes what is there first.
    storage_options : Mapping, optional
        For the file system of a URL.
    **keywords
        As for `create_array`.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already.
    """
    made = create(
        store=store,
        data=new_array.as_source(arr),
        zarr_format=zarr_format,
        path=path,
        mode=mode,
        storage_options=storage_options,
        **keywords,
    )
    flush_named(store, made.store)


def save_group(
    store: Any,
    *args: npt.ArrayLike,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] = "a",
    storage_options: Mapping[str, Any] | None = None,
    **arrays: Any,
) -> None:
    """Save several arrays into a group, which is created if it is not there.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    *args : array_like
        Data, saved under the names ``arr_0``, ``arr_1``, ...
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    path : str, optional
        Path inside the store.
    mode : {"a", "w", "w-"}, default "a"
        "w" deletes the group and everything in it first.
    storage_options : Mapping, optional
        For the file system of a URL.
    **arrays : array_like, Group or Mapping
        Data, by name; a mapping, such as `load` gives of a group, is saved as a group in the group, and a
        group is copied.

    Raises
    ------
    ContainsNodeError
        If the group has a member of one of these names already.
    TypeError
        For a keyword of `create_array` (``chunks=2``); an array may have such a name.
    """
    if not args and not arrays:
        raise ValueError("save_group() needs at least one array")
    _check_names("save_group", arrays)
    named = {f"arr_{i}": data for i, data in enumerate(args)}
    if clash := named.keys() & arrays.keys():
        raise ValueError(f"the names {', '.join(sorted(clash))} are those of unnamed arrays")
    named_by = store
    # All are looked at before one is stored, and before an old group is deleted.
    sources = sources_of({**named, **arrays}, "save_group", parse_format(zarr_format, None))
    if mode == "w":
        where = Place(store, path, mode, storage_options)
        store, path, storage_options = where.store, where.path, None
        check_replaced(where.store, where.path, sources)
    into = open_group(store, mode=mode, path=path, zarr_format=zarr_format, storage_options=storage_options)
    if taken := [name for name in sources if name in into]:
        raise ContainsNodeError(
            f"{into.store_path} has {', '.join(taken)} already; mode='w' replaces the group"
        )
    into._store_all(sources)
    flush_named(named_by, into.store)


# Described with them, arrays are saved by `save_array`.
_NOT_NAMES = (*ARRAY_KEYWORDS, "overwrite", "name")


def _check_names(caller: str, arrays: Mapping[str, Any]) -> None:
    """Refuse what was meant to describe an array, and would be saved as one of that name."""
    for name, data in arrays.items():
        if name in _NOT_NAMES and not (hasattr(data, "shape") and hasattr(data, "dtype")):
            raise TypeError(
                f"{caller}() takes no {name}=, only arrays by name; save_array() and create_array() take it "
                f"(to save an array called {name!r}, pass a NumPy array)"
            )


def save(
    store: Any,
    *args: npt.ArrayLike,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **arrays: Any,
) -> None:
    """Save one array with `save_array`, several or named ones with `save_group`.

    Keywords are names of arrays: ``chunks=2`` and the like, which describe one, are refused with a TypeError.
    """
    common: dict[str, Any] = {"zarr_format": zarr_format, "path": path, "storage_options": storage_options}
    if not args and not arrays:
        raise ValueError("save() needs at least one array")
    _check_names("save", arrays)
    if len(args) == 1 and not arrays:
        save_array(store, args[0], mode=mode, **common)
    else:
        save_group(store, *args, mode=mode or "a", **common, **arrays)


def load(
    store: Any,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Read everything into memory.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    path : str, optional
        Path inside the store.
    zarr_format : {2, 3}, optional
        Look for this format only.
    storage_options : Mapping, optional
        For the file system of a URL.

    Returns
    -------
    numpy.ndarray, NumPy scalar or dict
        An array's data; of a group a dict from the names of its arrays to their data, and of its groups to
        dicts.

    Raises
    ------
    NodeNotFoundError
        If nothing is there.
    """
    where = Place(store, path, "r", storage_options)
    wanted = parse_format(zarr_format, None)
    found = where.find(wanted)
    if found is None:
        raise where.missing(None, wanted)
    return found[...] if isinstance(found, Array) else _load_group(found._attach(None))


def _load_group(group: Group) -> dict[str, Any]:
    return {
        name: member[...] if isinstance(member, Array) else _load_group(member)
        for name, member in group.members()
    }
