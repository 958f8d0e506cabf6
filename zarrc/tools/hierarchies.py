"""Copy groups, and arrays with their places in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from zarrc.array import Array
from zarrc.config import config
from zarrc.creation.opening import open as open_node_at
from zarrc.creation.opening import open_group
from zarrc.engine.node_changes import check_parents, contains_error, delete_node, present_kinds, put_new
from zarrc.engine.node_names import ancestors, check_new_path, join, normalize_path
from zarrc.engine.nodes import MARKERS, place
from zarrc.errors import StoreError, ZarrcError
from zarrc.group import Group
from zarrc.metadata.model import GroupMetadata
from zarrc.new_array import array_from_data, refuse_self
from zarrc.node import without_nan
from zarrc.storage.memory import MemoryStore
from zarrc.tools.copying import copy_data, metadata_of_copy, same_objects
from zarrc.tools.renaming import is_renamable, put_in_place, staging_path

if TYPE_CHECKING:
    from zarrc.storage.base import Store

    Log = Callable[[str], object]

__all__ = ["Copied", "copied_to_memory", "copy", "copy_all"]

_CHOICES: Final = ("raise", "replace", "skip", "skip_initialized")


class Copied(NamedTuple):
    """What a copy did."""

    n_copied: int
    """Arrays and groups that were copied."""
    n_skipped: int
    """Arrays and groups that were there already."""
    n_bytes_copied: int
    """Bytes of the elements of the copied arrays, uncompressed."""


class _Job(NamedTuple):
    """How to copy."""

    shallow: bool
    without_attrs: bool
    verify: bool
    keywords: Mapping[str, Any]
    log: Log | None
    dry_run: bool


def copy(
    source: Any,
    dest: Any,
    name: str | None = None,
    *,
    shallow: bool = False,
    without_attrs: bool = False,
    if_exists: Literal["raise", "replace", "skip", "skip_initialized"] = "raise",
    dry_run: bool = False,
    verify: bool = False,
    log: Log | None = None,
    **create_kws: Any,
) -> Copied:
    """Copy an array or a group, with everything in it, into a group.

    Stored chunks pass through as they are; see `copy_array`. The copy has the group's Zarr format.

    Parameters
    ----------
    source : Array, Group or store-like
        What to copy.
    dest : Group or store-like
        The group to copy into; a place where there is none becomes one.
    name : str, optional
        The copy's name, or path, in it; by default the source's name.
    shallow : bool, default False
        Of a group, only what is right in it: groups in it are copied without what they hold.
    without_attrs : bool, default False
        Leave out the user's attributes.
    if_exists : {"raise", "replace", "skip", "skip_initialized"}, default "raise"
        What to do if there is a node of that name: an error; delete it, with all below it; nothing; nothing
        if it is an array of which all chunks are stored, else replace it.
    dry_run : bool, default False
        Change nothing; tell what would be done.
    verify : bool, default False
        Decode each chunk, to find a damaged one.
    log : callable, optional
        Called with a line of text for each array and group.
    **create_kws
        For the new arrays, as for `create_array`: other ``chunks``, ``compressors`` and so on. The data are
        decoded and encoded then.

    Returns
    -------
    Copied
        ``(n_copied, n_skipped, n_bytes_copied)``.

    Raises
    ------
    ContainsNodeError
        If there is a node of that name.
    ValueError
        If the source would be copied into itself.
    StoreError
        If a store fails; the text says what is at the destination then.

    Notes
    -----
    The copy is there when it is whole: on a local store it is made under a hidden name and renamed; elsewhere
    its own metadata are stored last. After a failure it is not there. With ``if_exists="replace"`` the old
    node goes before the copy is made, except on local stores, where they change places.

    Examples
    --------
    >>> import zarrc
    >>> g = zarrc.group()
    >>> g["a/x"] = [1, 2]
    >>> zarrc.copy(g["a"], g, "b")
    Copied(n_copied=2, n_skipped=0, n_bytes_copied=16)
    >>> g["b/x"][:]
    array([1, 2])
    """
    if if_exists not in _CHOICES:
        raise ValueError(f"if_exists must be one of {', '.join(map(repr, _CHOICES))}, got {if_exists!r}")
    origin = source if isinstance(source, (Array, Group)) else open_node_at(source, mode="r")
    inner = normalize_path(origin.basename if name is None else name)
    if not inner:
        raise ValueError("copy() needs name= for a source that has none; copy_all() copies what is in a root")
    check_new_path(inner)
    job = _Job(shallow, without_attrs, verify, create_kws, log, dry_run)
    if dry_run and not isinstance(dest, Group):
        return _dry_copy(origin, dest, inner, if_exists, job)
    into = dest if isinstance(dest, Group) else open_group(dest, mode="a")
    return _copy_into(origin, into, inner, if_exists, job)


def copy_all(
    source: Any,
    dest: Any,
    *,
    shallow: bool = False,
    without_attrs: bool = False,
    if_exists: Literal["raise", "replace", "skip", "skip_initialized"] = "raise",
    dry_run: bool = False,
    verify: bool = False,
    log: Log | None = None,
    **create_kws: Any,
) -> Copied:
    """Copy all members of a group into another group; the group's own attributes stay behind.

    Parameters
    ----------
    source : Group or store-like
        The group whose members to copy.
    dest : Group or store-like
        The group to copy into; a place where there is none becomes one.
    shallow, without_attrs, if_exists, dry_run, verify, log, **create_kws
        As for `copy`, for each member.

    Returns
    -------
    Copied
        ``(n_copied, n_skipped, n_bytes_copied)``.

    Notes
    -----
    Each member is there when it is whole. After a failure those that were copied before stay.
    """
    if if_exists not in _CHOICES:
        raise ValueError(f"if_exists must be one of {', '.join(map(repr, _CHOICES))}, got {if_exists!r}")
    origin = source if isinstance(source, Group) else open_group(source, mode="r")
    job = _Job(shallow, without_attrs, verify, create_kws, log, dry_run)
    totals = [0, 0, 0]
    into = dest if dry_run or isinstance(dest, Group) else open_group(dest, mode="a")
    with into._once() if isinstance(into, Group) else nullcontext():
        for name, member in origin.items():
            if isinstance(into, Group):
                done = _copy_into(member, into, name, if_exists, job)
            else:
                done = _dry_copy(member, into, name, if_exists, job)
            totals = [one + more for one, more in zip(totals, done, strict=True)]
    return Copied(*totals)


def copied_to_memory(source: Array | Group) -> Array | Group:
    """Return a copy of a node in a memory store of its own, of the same Zarr format."""
    store = MemoryStore()
    path = source.basename or "copy"
    _write(source, store, path, source.metadata.zarr_format, _Job(False, False, False, {}, None, False))
    made = open_node_at(store, path=path)
    assert isinstance(made, (Array, Group))
    return made


# --- one node


def _dry_copy(origin: Array | Group, dest: Any, inner: str, if_exists: str, job: _Job) -> Copied:
    """Tell what would be copied to a place that may not be there."""
    from zarrc.errors import GroupNotFoundError

    try:
        into = open_group(dest, mode="r")
    except GroupNotFoundError:
        return _counted(origin, inner, job)
    return _copy_into(origin, into, inner, if_exists, job)


def _copy_into(origin: Array | Group, into: Group, inner: str, if_exists: str, job: _Job) -> Copied:
    if not job.dry_run:
        into._check_writable(f"copy to {inner!r}")
    path = join(into.path, inner)
    kinds = present_kinds(into.store, [path])[path]
    if kinds:
        if if_exists == "raise":
            raise contains_error(into.store, path, next(iter(kinds.values())))
        if if_exists == "skip" or (if_exists == "skip_initialized" and _is_initialized(into, inner)):
            _say(job, f"skip {place(into.store, path)}: it is there")
            return Copied(0, 1, 0)
    refuse_self(into.store, path, origin)
    _refuse_inside(into, path, origin)
    if job.dry_run:
        return _counted(origin, inner, job)
    with into._changing(path, deep=True):
        return _place(origin, into, path, bool(kinds), job)


def _is_initialized(into: Group, inner: str) -> bool:
    found = into._unlinked().get(inner)
    return isinstance(found, Array) and found.nshards_initialized == found.nshards


def _refuse_inside(into: Group, path: str, origin: Array | Group) -> None:
    if not isinstance(origin, Group):
        return
    wanted = origin.store.identity_of(origin.path)
    if any(into.store.identity_of(one) == wanted for one in ancestors(path)):
        raise ValueError(f"{place(into.store, path)} lies in {place(origin.store, origin.path)}, its source")


def _counted(origin: Array | Group, inner: str, job: _Job) -> Copied:
    """What copying would copy."""
    depth = 0 if job.shallow else None
    members = [] if isinstance(origin, Array) else [*origin._walk(depth)]
    nodes = [(inner, origin), *((join(inner, path), member) for path, member in members)]
    for path, node in nodes:
        _say(job, f"copy {place(node.store, node.path)} to {path}")
    return Copied(len(nodes), 0, sum(node.nbytes for _, node in nodes if isinstance(node, Array)))


def _place(origin: Array | Group, into: Group, path: str, replaces: bool, job: _Job) -> Copied:
    """Make a copy where nobody takes it for a whole one, and then put it in its place."""
    store, zarr_format = into.store, into.metadata.zarr_format
    present = present_kinds(store, ancestors(path))
    missing = check_parents(store, ancestors(path), present, zarr_format)
    if is_renamable(store):
        staged = staging_path(path)
        with _cleaned(store, staged, path, "it is as it was"):
            done = _write(origin, store, staged, zarr_format, job)
            _make_parents(store, missing, zarr_format)
            put_in_place(store, staged, path, replaces=replaces)
        return done
    said = "it is not there, since it was to be replaced" if replaces else "it is not there"
    _make_parents(store, missing, zarr_format)
    if replaces:
        delete_node(store, path)
    with _cleaned(store, path, path, said):
        return _write(origin, store, path, zarr_format, job)


def _make_parents(store: Store, missing: list[str], zarr_format: Literal[2, 3]) -> None:
    for parent in missing:
        put_new(store, parent, GroupMetadata(zarr_format=zarr_format, attributes={}), may_exist=True)


@contextmanager
def _cleaned(store: Store, written: str, path: str, said: str) -> Iterator[None]:
    """After a failure delete what was written, and say what is at the destination."""
    try:
        yield
    except BaseException as error:
        try:
            delete_node(store, written)
            left = ""
        except (ZarrcError, OSError):
            left = "; objects below it could not be deleted"
        if isinstance(error, StoreError):
            error.message = f"nothing was copied to {place(store, path)}, {said}{left}: {error.message}"
        else:
            error.add_note(f"nothing was copied to {place(store, path)}, {said}{left}")
        raise


def _write(origin: Array | Group, store: Store, path: str, zarr_format: Literal[2, 3], job: _Job) -> Copied:
    """Write a copy, the metadata of each node after what it holds."""
    _say(job, f"copy {place(origin.store, origin.path)}")
    if isinstance(origin, Array):
        _write_array(origin, store, path, zarr_format, job)
        return Copied(1, 0, origin.nbytes)
    n_copied, n_bytes = 1, 0
    for name, metadata in origin._entries():
        if isinstance(metadata, ZarrcError):
            raise metadata  # without it, it would be no copy
        member = origin._member(name, metadata)
        if job.shallow and isinstance(member, Group):
            put_documents(store, join(path, name), _group_metadata(member, zarr_format, job))
            n_copied += 1
            continue
        done = _write(member, store, join(path, name), zarr_format, job)
        n_copied += done.n_copied
        n_bytes += done.n_bytes_copied
    put_documents(store, path, _group_metadata(origin, zarr_format, job))
    return Copied(n_copied, 0, n_bytes)


def _write_array(origin: Array, store: Store, path: str, zarr_format: Literal[2, 3], job: _Job) -> None:
    if job.keywords:
        wanted = {"attributes": {} if job.without_attrs else origin.attrs.asdict()}
        array_from_data(
            store, path, origin, {**wanted, **job.keywords, "zarr_format": zarr_format}, overwrite=False
        )
        return
    metadata = metadata_of_copy(origin, zarr_format)
    if job.without_attrs:
        metadata = metadata.evolve(attributes={})
    made = Array(store, path, metadata)
    # What is not passed on as it is needs an array to be written to; so do files, which nobody sees yet.
    is_first = is_renamable(store) or not same_objects(origin.metadata, metadata)
    if is_first:
        put_documents(store, path, metadata)
    copy_data(origin, made, is_new=True, verify=job.verify, progress=None)
    if not is_first:
        put_documents(store, path, metadata)


def _group_metadata(origin: Group, zarr_format: Literal[2, 3], job: _Job) -> GroupMetadata:
    attributes = (
        {} if job.without_attrs else without_nan(origin.attrs.asdict(), place(origin.store, origin.path))
    )
    extra = origin.metadata.extra_fields if origin.metadata.zarr_format == zarr_format else {}
    return GroupMetadata(zarr_format=zarr_format, attributes=attributes, extra_fields=dict(extra))


def put_documents(store: Store, path: str, metadata: Any) -> None:
    """Store a node's documents, the one that makes it a node last."""
    documents = metadata.to_documents(indent=config.get("json_indent"))
    marker = next(name for name in documents if name in MARKERS)
    for name in documents.keys() - {marker}:
        store.set(join(path, name), documents[name])
    store.set(join(path, marker), documents[marker])


def _say(job: _Job, text: str) -> None:
    if job.log is not None:
        job.log(text)
