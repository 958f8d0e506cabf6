"""Open arrays and groups; with a mode or keywords that say so, create them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from zarrc.array import Array
from zarrc.creation.places import Place
from zarrc.dtypes import DEFAULT_FILL
from zarrc.errors import ContainsNodeError

# What creates something is imported where something is created: an open is not to pay for it.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zarrc.config import ArrayConfigLike
    from zarrc.consolidating import UseConsolidated
    from zarrc.creation.keywords import ZarrFormat
    from zarrc.creation.places import Mode
    from zarrc.group import Group

__all__ = ["GROUP_KEYWORDS", "open", "open_array", "open_group"]

GROUP_KEYWORDS: Final = (
    "store",
    "mode",
    "path",
    "zarr_format",
    "attributes",
    "overwrite",
    "storage_options",
    "use_consolidated",
    "consolidate",
)


def open(
    store: Any = None,
    *,
    mode: Mode | None = None,
    zarr_format: ZarrFormat | None = None,
    zarr_version: ZarrFormat | None = None,
    path: str | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    strict: bool = False,
    repair_fill: Any = DEFAULT_FILL,
    use_consolidated: UseConsolidated = None,
    **keywords: Any,
) -> Array | Group:
    """Open the array or group that is there, of either format.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; by default ``path`` is the place.
    mode : {"r", "r+", "a", "w", "w-"}, optional
        "r": read only. "r+": read and write. "a": read and write; create a group, or with ``shape`` or
        ``data`` an array, if nothing is there. "w": delete what is there and create. "w-": create, fail if
        something is there. By default read and write where the store allows it, and create only with
        ``shape`` or ``data``.
    zarr_format, zarr_version : {2, 3}, optional
        Look for this format only; by default v3 first.
    path : str, optional
        Path inside ``store``; without ``store``, where the data are: a directory or URL.
    storage : str, optional
        Name of a registered kind of store, as for `create`.
    storage_options : Mapping, optional
        For the file system of a URL.
    config : ArrayConfig or Mapping, optional
        How an array's handle reads and writes.
    strict : bool, default False
        Refuse metadata that bend the specification; otherwise ``metadata.assumed`` (and `Array.info`) say how
        they were read.
    repair_fill : scalar, optional
        Fill value of a v3 array whose document has none; without it, such a document is an error.
    use_consolidated : bool or str, optional
        Of a group, as for `open_group`.
    **keywords
        For a new array, as for `create_array`.

    Returns
    -------
    Array or Group

    Raises
    ------
    NodeNotFoundError
        If nothing is there; the text names what is near.
    ContainsNodeError
        With "w-", if something is there.
    MetadataError
        If something is there that cannot be read.
    """
    mine, named, wanted = _parsed("open", storage, keywords, zarr_format, zarr_version)
    makes_array = "shape" in mine or "data" in mine
    makes = makes_array or mode == "a"
    _check_named("open", store, path, named, makes)
    where = Place(store, path, mode, storage_options, named)

    def find() -> Array | Group | None:
        found = where.find(wanted, strict, config, repair_fill)
        if isinstance(found, Array):
            _warn_of_difference(found, mine)
        elif found is not None:
            found._attach(use_consolidated)
        return found

    def create() -> Array | Group:
        if makes_array:
            return _create_at(where, mine, wanted, config, caller="open")
        attributes = mine.pop("attributes", None)
        if mine:
            raise TypeError(f"open() takes {', '.join(mine)} together with shape= or data= only")
        return _create_group_at(where, wanted, attributes)

    if mode in ("w", "w-"):
        return create()
    found = find()
    if found is None and (mode in ("r", "r+") or not makes):
        raise where.missing(None, wanted, "mode='a' to create a group, shape= to create an array")
    return _create_or_find(create, find) if found is None else found


def open_array(
    store: Any = None,
    *,
    mode: Mode | None = None,
    zarr_format: ZarrFormat | None = None,
    zarr_version: ZarrFormat | None = None,
    path: str | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    strict: bool = False,
    repair_fill: Any = DEFAULT_FILL,
    **keywords: Any,
) -> Array:
    """Open an array, or create it; arguments as for `open`.

    Raises
    ------
    ArrayNotFoundError
        If no array is there, and mode and keywords do not ask for a new one.
    ContainsNodeError
        With "w-", if something is there; with "a", if a group is there.
    """
    mine, named, wanted = _parsed("open_array", storage, keywords, zarr_format, zarr_version)
    makes = "shape" in mine or "data" in mine
    _check_named("open_array", store, path, named, makes)
    where = Place(store, path, mode, storage_options, named)

    def find() -> Array | None:
        found = where.find(wanted, strict, config, repair_fill)
        if found is None:
            return None
        if not isinstance(found, Array):
            raise where.wrong_kind(found)
        _warn_of_difference(found, mine)
        return found

    def create() -> Array:
        return _create_at(where, mine, wanted, config, caller="open_array")

    if mode in ("w", "w-"):
        return create()
    found = find()
    if found is None and (mode in ("r", "r+") or not makes):
        raise where.missing("array", wanted, "shape= to create it")
    return _create_or_find(create, find) if found is None else found


def open_group(
    store: Any = None,
    *,
    mode: Mode = "a",
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    strict: bool = False,
    use_consolidated: UseConsolidated = None,
    consolidate: bool = True,
    **legacy: Any,
) -> Group:
    """Open a group; with mode "a", the default, create it if it is not there.

    Parameters
    ----------
    store, mode, path, zarr_format, storage, storage_options, strict
        As for `open`.
    attributes : Mapping, optional
        The user's attributes, if the group is created.
    use_consolidated : bool or str, optional
        Whether members are known from consolidated metadata. None: where there are some. True: there must be.
        False: no. ``"check"``: they are compared with the metadata of all members, in one listing and one
        batch of reads for each group; a warning names what differs, and what is stored is used. Another text
        is the key of a ``.zmetadata`` (format 2) that is called otherwise.
    consolidate : bool, default True
        Whether a change through this handle, or through those that it gives, is written to the consolidated
        metadata at once. False is for loops, after which `consolidate_metadata` does it.

    Raises
    ------
    GroupNotFoundError
        If no group is there, with "r" or "r+".
    ContainsArrayError
        With "a" or "w-", if an array is there.
    MetadataError
        With ``use_consolidated=True``, if there are no consolidated metadata.

    Notes
    -----
    Elsewhere than on local stores consolidated metadata are a snapshot, and cost no request a member. On
    local stores a member's entry is trusted only if the member's documents are the files that it was taken
    from, by size, inode and modification time, which zarrc notes beside the entries. So no entry is out of
    date there; of metadata that another library consolidated (or in a copied directory) every member's own
    are read.
    """
    named: dict[str, Any] | None = None
    wanted = zarr_format
    if legacy or storage is not None or zarr_format is not None:
        named, wanted = _parsed_for_group(storage, legacy, zarr_format)
    where = Place(store, path, mode, storage_options, named)

    def find() -> Group | None:
        found = where.find(wanted, strict)
        if isinstance(found, Array):
            raise where.wrong_kind(found)
        return None if found is None else found._attach(use_consolidated, writes=consolidate)

    def create() -> Group:
        return _create_group_at(where, wanted, attributes)

    if mode in ("w", "w-"):
        return create()
    found = find()
    if found is None and mode in ("r", "r+"):
        raise where.missing("group", wanted, "mode='a' to create it")
    return _create_or_find(create, find) if found is None else found


_Node = TypeVar("_Node", bound="Array | Group")


def _parsed(
    caller: str, storage: str | None, keywords: dict[str, Any], zarr_format: Any, zarr_version: Any
) -> tuple[dict[str, Any], dict[str, Any] | None, ZarrFormat | None]:
    """Return the keywords of an array, those of the store that ``storage=`` names, and the format."""
    if not keywords and storage is None and zarr_format is None and zarr_version is None:
        return {}, None, None
    from zarrc.creation.keywords import parse_format, split_storage

    mine, named = split_storage(caller, storage, keywords)
    return mine, named, parse_format(zarr_format, zarr_version)


def _parsed_for_group(
    storage: str | None, keywords: dict[str, Any], zarr_format: Any
) -> tuple[dict[str, Any] | None, ZarrFormat | None]:
    """Return the keywords of the store of ``storage=``, without which there are none, and the format."""
    from zarrc.creation.keywords import parse_format, without_legacy
    from zarrc.new_array import check_keywords

    kept = without_legacy("open_group", keywords)
    wanted = parse_format(zarr_format, None)
    if storage is not None:
        return {"storage": storage, **kept}, wanted
    check_keywords("open_group", kept, GROUP_KEYWORDS)
    return None, wanted


def _create_or_find(create: Callable[[], _Node], find: Callable[[], _Node | None]) -> _Node:
    """Create a node that was not there; if another thread or process has created it meanwhile, open that."""
    try:
        return create()
    except ContainsNodeError:
        found = find()
        if found is None:
            raise
        return found


def _check_named(
    caller: str, store: Any, path: str | None, named: Mapping[str, Any] | None, makes: bool
) -> None:
    """Refuse to open nothing: a new memory store, which is what no store means elsewhere, is empty."""
    if store is None and not path and named is None and not makes:
        raise TypeError(f"{caller}() needs to know what to open: a store, path or URL")


def _warn_of_difference(found: Array, keywords: Mapping[str, Any]) -> None:
    """Warn if the array that is there is not what the user described for a new one."""
    if "shape" not in keywords and "dtype" not in keywords:
        return
    from zarrc import new_array
    from zarrc.warning import warn

    shape = keywords.get("shape")
    try:
        new_array.check_same(
            found, found.shape if shape is None else shape, keywords.get("dtype"), exact=True
        )
    except TypeError as difference:
        warn(f"opened as it is: {difference}")


def _create_at(
    where: Place,
    keywords: dict[str, Any],
    wanted: ZarrFormat | None,
    config: ArrayConfigLike,
    *,
    caller: str,
) -> Array:
    from zarrc.new_array import create_array_at

    keywords["zarr_format"] = wanted
    keywords["config"] = config
    return create_array_at(where.store, where.path, keywords, overwrite=where.mode == "w", caller=caller)


def _create_group_at(where: Place, wanted: ZarrFormat | None, attributes: Mapping[str, Any] | None) -> Group:
    from zarrc.creation.keywords import default_format
    from zarrc.engine.node_changes import create_node
    from zarrc.group import Group
    from zarrc.metadata.build import build_group

    metadata = build_group(zarr_format=default_format(wanted), attributes=attributes)
    create_node(where.store, where.path, metadata, overwrite=where.mode == "w")
    return Group(where.store, where.path, metadata)
