"""Copy groups, and arrays with their places in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from zarrc.array import Array
from zarrc.config import config
from zarrc.creation.opening import open as open_node_at
from zarrc.creation.opening import open_group
from zarrc.creation.places import flush_named
from zarrc.engine.node_changes import (
    check_parents,
    contains_error,
    costs_no_request,
    delete_node,
    present_kinds,
    put_new,
)
from zarrc.engine.node_names import ancestors, check_new_path, join, normalize_path
from zarrc.engine.nodes import MARKERS, place
from zarrc.errors import StoreError, ZarrcError
from zarrc.group import Group
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.new_array import ARRAY_KEYWORDS, Plan, check_keywords, like_data, plan_array
from zarrc.node import without_nan
from zarrc.origins import refuse_inside, refuse_self
from zarrc.storage.memory import MemoryStore
from zarrc.streaming import copy_into
from zarrc.tools.copying import copy_data, metadata_of_copy, same_objects
from zarrc.tools.renaming import is_renamable, put_in_place, staging_path

if TYPE_CHECKING:
    from zarrc.storage.base import Store

    Log = Callable[[str], object]

__all__ = ["Copied", "check_copy", "copied_to_memory", "copy", "copy_all"]

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


class _Planned(NamedTuple):
    """A node that is to be copied, looked at before anything is stored or deleted."""

    origin: Array | Group
    metadata: ArrayMetadata | GroupMetadata
    members: tuple[tuple[str, _Planned], ...] = ()
    remade: Plan | None = None
    """With keywords, what they make of an array."""
    replaces: bool = False
    """Whether there is a node in its place, which is to go."""


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
    MetadataError
        If a member cannot be read, or an array not be made as the keywords say; then nothing is changed.
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
    _check_create_kws("copy", create_kws)
    job = _Job(shallow, without_attrs, verify, create_kws, log, dry_run)
    if dry_run and not isinstance(dest, Group):
        return _dry_copy(origin, dest, inner, if_exists, job)
    into = dest if isinstance(dest, Group) else open_group(dest, mode="a")
    done = _copy(_checked(origin, into, inner, if_exists, job), into, inner, job)
    flush_named(dest, into.store)
    return done


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

    Raises
    ------
    ContainsNodeError, ValueError, MetadataError
        As for `copy`, if one of the members cannot be copied; then none is.

    Notes
    -----
    Each member is there when it is whole. After a failure of a store those that were copied before stay.
    """
    if if_exists not in _CHOICES:
        raise ValueError(f"if_exists must be one of {', '.join(map(repr, _CHOICES))}, got {if_exists!r}")
    origin = source if isinstance(source, Group) else open_group(source, mode="r")
    _check_create_kws("copy_all", create_kws)
    job = _Job(shallow, without_attrs, verify, create_kws, log, dry_run)
    members = [(name, origin._member(name, metadata)) for name, metadata in _readable(origin)]
    if dry_run and not isinstance(dest, Group):
        each = [_dry_copy(member, dest, name, if_exists, job) for name, member in members]
        return _total(each)
    into = dest if isinstance(dest, Group) else open_group(dest, mode="a")
    # All are looked at before the first is copied.
    planned = [(name, _checked(member, into, name, if_exists, job)) for name, member in members]
    with into._once():
        done = _total([_copy(found, into, name, job) for name, found in planned])
    flush_named(dest, into.store)
    return done


def _total(each: Sequence[Copied]) -> Copied:
    return Copied(*(sum(numbers) for numbers in zip(Copied(0, 0, 0), *each, strict=True)))


def _check_create_kws(caller: str, keywords: Mapping[str, Any]) -> None:
    if "overwrite" in keywords:
        raise TypeError(f"{caller}() takes no overwrite=: if_exists='replace' replaces what is there")
    check_keywords(caller, keywords, ARRAY_KEYWORDS)


def check_copy(source: Group) -> None:
    """Raise what copying a group as it is would raise of its members."""
    _plan(source, source.metadata.zarr_format, _Job(False, False, False, {}, None, False))


def copied_to_memory(source: Array | Group) -> Array | Group:
    """Return a copy of a node in a memory store of its own, of the same Zarr format."""
    store = MemoryStore()
    path = source.basename or "copy"
    job = _Job(False, False, False, {}, None, False)
    _write(_plan(source, source.metadata.zarr_format, job), store, path, job)
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
        return _counted(_plan(origin, origin.metadata.zarr_format, job), inner, job)
    return _copy(_checked(origin, into, inner, if_exists, job), into, inner, job)


def _checked(origin: Array | Group, into: Group, inner: str, if_exists: str, job: _Job) -> _Planned | None:
    """Look at everything that a copy needs; None if it is not to be made, for what is there."""
    if not job.dry_run:
        into._check_writable(f"copy to {inner!r}")
    path = join(into.path, inner)
    kinds = present_kinds(into.store, [path])[path]
    if kinds:
        if if_exists == "raise":
            raise contains_error(
                into.store, path, next(iter(kinds.values())), "if_exists='replace' replaces it"
            )
        if if_exists == "skip" or (if_exists == "skip_initialized" and _is_initialized(into, inner)):
            return None
    refuse_self(into.store, path, origin)
    if isinstance(origin, Group):
        refuse_inside(into.store, path, origin)
    return _plan(origin, into.metadata.zarr_format, job)._replace(replaces=bool(kinds))


def _copy(planned: _Planned | None, into: Group, inner: str, job: _Job) -> Copied:
    path = join(into.path, inner)
    if planned is None:
        _say(job, f"skip {place(into.store, path)}: it is there")
        return Copied(0, 1, 0)
    if job.dry_run:
        return _counted(planned, inner, job)
    with into._changing(path, deep=True):
        return _place(planned, into, path, job)


def _is_initialized(into: Group, inner: str) -> bool:
    found = into._unlinked().get(inner)
    return isinstance(found, Array) and found.nshards_initialized == found.nshards


def _counted(planned: _Planned, inner: str, job: _Job) -> Copied:
    """What copying would copy."""
    origin = planned.origin
    _say(job, f"copy {place(origin.store, origin.path)} to {inner}")
    own = Copied(1, 0, origin.nbytes if isinstance(origin, Array) else 0)
    return _total([own, *(_counted(one, join(inner, name), job) for name, one in planned.members)])


def _place(planned: _Planned, into: Group, path: str, job: _Job) -> Copied:
    """Make a copy where nobody takes it for a whole one, and then put it in its place."""
    store, zarr_format = into.store, into.metadata.zarr_format
    present = present_kinds(store, ancestors(path))
    missing = check_parents(store, ancestors(path), present, zarr_format)
    replaces = planned.replaces
    if is_renamable(store):
        staged = staging_path(path)
        with _cleaned(store, staged, path, "it is as it was"):
            done = _write(planned, store, staged, job)
            _make_parents(store, missing, zarr_format)
            put_in_place(store, staged, path, replaces=replaces)
        return done
    said = "it is not there, since it was to be replaced" if replaces else "it is not there"
    _make_parents(store, missing, zarr_format)
    if replaces:
        delete_node(store, path)
    elif costs_no_request(store) and next(iter(store.list_prefix(f"{path}/")), None) is not None:
        # What an interrupted delete left would be part of the copy; on disk the rename fails.
        raise StoreError(f"{place(store, path)} is there and holds what is no node")
    with _cleaned(store, path, path, said):
        return _write(planned, store, path, job)


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


def _plan(origin: Array | Group, zarr_format: Literal[2, 3], job: _Job) -> _Planned:
    """Look at a node and all that is in it; errors are those that the copy would end with half-way."""
    if isinstance(origin, Array):
        return _plan_array(origin, zarr_format, job)
    members = []
    for name, metadata in _readable(origin):
        member = origin._member(name, metadata)
        if job.shallow and isinstance(member, Group):
            members.append((name, _Planned(member, _group_metadata(member, zarr_format, job))))
        else:
            members.append((name, _plan(member, zarr_format, job)))
    return _Planned(origin, _group_metadata(origin, zarr_format, job), tuple(members))


def _plan_array(origin: Array, zarr_format: Literal[2, 3], job: _Job) -> _Planned:
    if job.keywords:
        keywords = like_data(origin, {**job.keywords, "zarr_format": zarr_format})
        plan = plan_array(keywords, "copy", origin.path)
        if not job.without_attrs and job.keywords.get("attributes") is None:
            # As they are: they may hold what is refused in new ones.
            plan = plan._replace(metadata=plan.metadata.evolve(attributes=_attributes(origin)))
        return _Planned(origin, plan.metadata, remade=plan)
    metadata = metadata_of_copy(origin, zarr_format)
    return _Planned(origin, metadata.evolve(attributes={}) if job.without_attrs else metadata)


def _readable(group: Group) -> Iterator[tuple[str, ArrayMetadata | GroupMetadata]]:
    """The members of a group; a copy without one that cannot be read would be none."""
    for name, metadata in group._entries():
        if isinstance(metadata, ZarrcError):
            raise metadata
        yield name, metadata


def _write(planned: _Planned, store: Store, path: str, job: _Job) -> Copied:
    """Write a copy, the metadata of each node after what it holds."""
    origin, metadata = planned.origin, planned.metadata
    _say(job, f"copy {place(origin.store, origin.path)}")
    if isinstance(origin, Array):
        assert isinstance(metadata, ArrayMetadata)
        _write_array(origin, planned, Array(store, path, metadata), job)
        return Copied(1, 0, origin.nbytes)
    done = [_write(member, store, join(path, name), job) for name, member in planned.members]
    put_documents(store, path, metadata)
    return _total([Copied(1, 0, 0), *done])


def _write_array(origin: Array, planned: _Planned, made: Array, job: _Job) -> None:
    store, plan = made.store, planned.remade
    if plan is not None:
        made = made.with_config(plan.options)
    # What is not passed on as it is needs an array to be written to; so do files, which nobody sees yet.
    is_first = plan is not None or is_renamable(store) or not same_objects(origin.metadata, made.metadata)
    if is_first:
        put_documents(store, made.path, made.metadata)
    if plan is None:
        copy_data(origin, made, is_new=True, verify=job.verify, progress=None)
    elif plan.data is not None and plan.writes:
        copy_into(made, plan.data)
    if not is_first:
        put_documents(store, made.path, made.metadata)


def _group_metadata(origin: Group, zarr_format: Literal[2, 3], job: _Job) -> GroupMetadata:
    attributes = {} if job.without_attrs else _attributes(origin)
    extra = origin.metadata.extra_fields if origin.metadata.zarr_format == zarr_format else {}
    return GroupMetadata(zarr_format=zarr_format, attributes=attributes, extra_fields=dict(extra))


def _attributes(origin: Array | Group) -> dict[str, Any]:
    return without_nan(origin.attrs.asdict(), place(origin.store, origin.path))


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
