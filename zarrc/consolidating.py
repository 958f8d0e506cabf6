"""Consolidated metadata of a group: written anew, and attached to its handle."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from zarrc.consolidated import Consolidated
from zarrc.engine.node_names import join
from zarrc.engine.nodes import NodeMetadata, get_documents, place
from zarrc.errors import MetadataError, StoreConflictError
from zarrc.metadata.consolidated import check_v2_key, read_block, read_v2
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.reading import Reading
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["UseConsolidated", "attached", "consolidate"]

UseConsolidated = bool | str | None
"""None: where there are some; True: there must be; False: no; "check"; or the key of a ``.zmetadata``."""

_ATTEMPTS = 10


def consolidate(store: Store, path: str, zarr_format: Literal[2, 3], key: str) -> Consolidated:
    """Write the consolidated metadata of a group anew.

    What changes meanwhile is noticed: on local stores what was read is looked at again after it is written.
    """
    made = Consolidated(store, path, zarr_format, key)
    with made.lock():
        for attempt in range(_ATTEMPTS):
            strangers: list[str] = []
            members = made.collected(strangers=strangers)
            try:
                state = made.replace(members)
            except StoreConflictError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(0.001 * 2**attempt)
                continue
            if not made.checks:
                break
            if all(made.is_current(one, members.documents[one], state) for one in members.documents if one):
                break
    _tell_of_others(store, strangers, zarr_format)
    return made


def _tell_of_others(store: Store, paths: list[str], zarr_format: Literal[2, 3]) -> None:
    """Warn of nodes of the other format: the document has none of them, so that they will not be seen."""
    names = (".zarray", ".zgroup") if zarr_format == 3 else ("zarr.json",)
    documents = get_documents(store, [join(path, name) for path in paths for name in names])
    n = len(names)
    left = [path for i, path in enumerate(paths) if any(documents[n * i : n * i + n])]
    if left:
        some = ", ".join(map(repr, left[:5])) + (", ..." if len(left) > 5 else "")
        where = f"the consolidated metadata of a v{zarr_format} group"
        warn(f"{some} of Zarr v{5 - zarr_format}: left out of {where}")


def attached(
    store: Store, path: str, metadata: NodeMetadata, use: UseConsolidated, *, writes: bool = True
) -> Consolidated | None:
    """The consolidated metadata that a group is opened with; None for none.

    Parameters
    ----------
    store, path
        Where the group is.
    metadata : GroupMetadata
        What was read of it; in format 3 they are in there.
    use : None, bool or str
        As for `zarrc.open_group`.
    writes : bool, default True
        As for `Consolidated`.

    Raises
    ------
    MetadataError
        With True or a key, if there are none, or none that can be read.
    TypeError
        If ``use`` is none of these.
    """
    if use is not None and not isinstance(use, (bool, str)):
        raise TypeError(f"use_consolidated must be None, True, False, 'check' or a key, got {use!r}")
    if use is False or isinstance(metadata, ArrayMetadata):
        return None
    must = use is True or (isinstance(use, str) and use != "check")
    try:
        made = _attached(store, path, metadata, use, writes)
    except MetadataError as error:
        if must:
            raise
        warn(f"the consolidated metadata of {place(store, path)} are not used: {error}")
        return None
    if made is None and must:
        raise MetadataError(
            f"{place(store, path)} has no consolidated metadata; zarrc.consolidate_metadata writes them, "
            "use_consolidated=None does without"
        )
    if made is not None and use == "check":
        made.compare()
    return made


def _attached(
    store: Store, path: str, metadata: GroupMetadata, use: UseConsolidated, writes: bool
) -> Consolidated | None:
    if metadata.zarr_format == 3:
        if isinstance(use, str) and use != "check":
            raise TypeError(
                f"use_consolidated={use!r} names a document of format 2; this group is of format 3"
            )
        if metadata.consolidated is None:
            return None
        made = Consolidated(store, path, 3, "zarr.json", writes=writes)
        reading = Reading(key=join(path, "zarr.json"), path="consolidated_metadata")
        made.take(read_block(metadata.consolidated, reading))
        made.tell(reading.notes)
        return made
    key = check_v2_key(use) if isinstance(use, str) and use != "check" else ".zmetadata"
    (document,) = get_documents(store, [join(path, key)])
    if document is None:
        return None
    made = Consolidated(store, path, 2, key, writes=writes)
    reading = Reading(key=join(path, key))
    made.take(read_v2(document, reading))
    made.tell(reading.notes)
    return made
