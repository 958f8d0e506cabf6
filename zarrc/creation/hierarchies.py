"""Create many nodes at once, from their metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zarrc.array import Array
from zarrc.creation.places import Place
from zarrc.engine.node_names import join, normalize_path
from zarrc.group import Group
from zarrc.metadata.model import ArrayMetadata
from zarrc.new_nodes import create_nodes

if TYPE_CHECKING:
    from zarrc.engine.nodes import NodeMetadata

__all__ = ["create_hierarchy"]


def create_hierarchy(
    store: Any,
    nodes: Mapping[str, Any],
    *,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, Array | Group]]:
    """Create many arrays and groups at once, without data.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    nodes : Mapping
        Path -> metadata: an `ArrayMetadata` or `GroupMetadata` (of a handle: ``a.metadata``), or a v3
        ``zarr.json`` as a dict. Groups on the way that are not named are created too. All of one Zarr format.
    path : str, optional
        Path inside the store that the paths start from.
    overwrite : bool, default False
        Delete first what is at these paths, with everything below it. Without it a node that is there is an
        error, except that a group stays where only the groups on the way to others are.
    storage_options : Mapping, optional
        For the file system of a URL.

    Yields
    ------
    (str, Array or Group)
        Path and node, parents first. All are created before the first is given.

    Raises
    ------
    ContainsNodeError
        If there is a node at one of the paths already; then nothing was created.
    MetadataError
        If a name or metadata are not valid, an array has nodes below it, or formats are mixed; then nothing
        was created.

    Examples
    --------
    >>> import zarrc
    >>> a = zarrc.zeros((3,), dtype="i4")
    >>> made = dict(zarrc.create_hierarchy({}, {"x": a.metadata, "g/y": a.metadata}))
    >>> list(made)
    ['', 'g', 'x', 'g/y']
    """
    where = Place(store, path, "w" if overwrite else "a", storage_options)
    inside = {normalize_path(one): metadata for one, metadata in nodes.items()}
    wanted = {_at(where.path, one): metadata for one, metadata in inside.items()}
    made = create_nodes(where.store, wanted, None, overwrite=overwrite, root=where.path)
    start = len(where.path) + 1 if where.path else 0

    def node(path: str, metadata: NodeMetadata) -> Array | Group:
        kind: Any = Array if isinstance(metadata, ArrayMetadata) else Group
        handle: Array | Group = kind(where.store, path, metadata)
        return handle

    return iter([(path[start:], node(path, metadata)) for path, metadata in made])


def _at(path: str, inner: str) -> str:
    return join(path, inner) if inner else path
