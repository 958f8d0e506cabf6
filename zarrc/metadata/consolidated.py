"""Consolidated metadata: the documents of a hierarchy in one, of format 3 (inline) and 2 (``.zmetadata``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from zarrc.errors import MetadataError
from zarrc.metadata import v3
from zarrc.metadata.json import load_document
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.reading import Reading, show

__all__ = [
    "Members",
    "check_v2_key",
    "documents_of",
    "is_member_path",
    "member_metadata",
    "read_block",
    "read_v2",
    "to_block",
    "to_v2",
]

Fields = Mapping[str, Any]
Documents = Mapping[str, Fields]
"""The documents of one node by name: ``zarr.json``, or ``.zarray``/``.zgroup`` and ``.zattrs``."""

_V3 = "zarr.json"
_V2 = (".zarray", ".zgroup", ".zattrs")
_FORMAT = "zarr_consolidated_format"
# Ours, beside the members: what the stored documents were when they were taken. Other libraries pass over it.
_STAMPS = "stamps"
_NO_NAMES = frozenset(("", ".", ".."))
_MAX_DEPTH = 256
"""Levels of groups; every store's keys end far before that."""


class Members(NamedTuple):
    """The documents of all nodes below a group, as one document says them.

    Parameters
    ----------
    documents : dict
        Path relative to the group -> name of the document -> its fields. ``""`` is the group itself (v2).
    stamps : dict
        Path of a document relative to the group -> the version of the stored object that it was taken from.
    """

    documents: dict[str, Documents]
    stamps: dict[str, str]

    def children(self) -> dict[str, list[str]]:
        """The names right below each group, sorted."""
        found: dict[str, list[str]] = {}
        for path in self.documents:
            if path:
                parent, _, name = path.rpartition("/")
                found.setdefault(parent, []).append(name)
        for names in found.values():
            names.sort()
        return found


# --- format 3


def read_block(block: Any, reading: Reading) -> Members:
    """The members of a ``consolidated_metadata`` object of a ``zarr.json``.

    What is no path of a member, and no object, is left out with a note: one bad entry does not hide the
    others.

    Raises
    ------
    MetadataError
        If it is not of this form at all.
    """
    fields = reading.mapping(block)
    reading.at("kind").one_of(reading.required(fields, "kind"), ("inline",))
    members = reading.at("metadata")
    found: dict[str, Documents] = {}
    for path, document in members.mapping(reading.required(fields, "metadata")).items():
        if (problem := _problem(path) or _problem_of_document(document)) is not None:
            members.note(f"{show(path)} {problem}; left out")
        else:
            found[path] = {_V3: document}
    return Members(found, _stamps(fields))


def to_block(members: Members) -> dict[str, Any]:
    """The ``consolidated_metadata`` of these members, parents before children.

    Groups in it have an empty one of their own: it says to other libraries that what is below them is here.
    """
    nested: dict[str, Any] = {"kind": "inline", "must_understand": False, "metadata": {}}
    metadata: dict[str, Any] = {}
    for path in sorted(members.documents, key=_order):
        document = dict(members.documents[path][_V3])
        if document.get("node_type") == "group":
            document["consolidated_metadata"] = dict(nested)
        metadata[path] = document
    return {**nested, "metadata": metadata, **_stamps_field(members)}


# --- format 2


def read_v2(document: bytes, reading: Reading) -> Members:
    """The members of a ``.zmetadata``; as for `read_block`."""
    fields = load_document(document, reading)
    reading.at(_FORMAT).one_of(reading.required(fields, _FORMAT), (1,))
    members = reading.at("metadata")
    found: dict[str, dict[str, Fields]] = {}
    for key, value in members.mapping(reading.required(fields, "metadata")).items():
        path, _, name = key.rpartition("/")
        if name not in _V2:
            members.note(f"{show(key)} is no metadata document; left out")
        elif (problem := (_problem(path) if path else None) or _problem_of_document(value)) is not None:
            members.note(f"{show(key)} {problem}; left out")
        else:
            found.setdefault(path, {})[name] = value
    for path, documents in [*found.items()]:
        if ".zarray" not in documents and ".zgroup" not in documents:
            members.note(f"{show(path)} has attributes, and is neither an array nor a group; left out")
            del found[path]
    return Members({**found}, _stamps(fields))


def to_v2(members: Members) -> dict[str, Any]:
    """The ``.zmetadata`` of these members, the group's own documents first."""
    metadata: dict[str, Any] = {}
    for path in sorted(members.documents, key=_order):
        for name, document in members.documents[path].items():
            metadata[f"{path}/{name}" if path else name] = dict(document)
    return {_FORMAT: 1, "metadata": metadata, **_stamps_field(members)}


# --- members


def documents_of(zarr_format: Literal[2, 3]) -> tuple[str, ...]:
    """The names of the documents that a node of this format may have."""
    return (_V3,) if zarr_format == 3 else _V2


def member_metadata(documents: Documents, where: str) -> ArrayMetadata | GroupMetadata:
    """The metadata that a member's documents amount to; errors name ``where``.

    Raises
    ------
    MetadataError
        If they are not valid.
    """
    reading = Reading(key=where)
    try:
        if _V3 in documents:
            return v3.node_from_json(documents[_V3], reading)
        return _v2_metadata(documents, reading)
    except RecursionError:
        raise reading.error("is nested too deeply") from None


def _v2_metadata(documents: Documents, reading: Reading) -> ArrayMetadata | GroupMetadata:
    from zarrc.metadata import v2

    has_zattrs = ".zattrs" in documents
    attributes = dict(documents.get(".zattrs", {}))
    if ".zarray" in documents:
        return v2.array_from_json(documents[".zarray"], attributes, reading, has_zattrs=has_zattrs)
    fields = documents[".zgroup"]
    reading.at("zarr_format").one_of(reading.required(fields, "zarr_format"), (2,))
    extra = {name: value for name, value in fields.items() if name != "zarr_format"}
    return GroupMetadata(zarr_format=2, attributes=attributes, extra_fields=extra, has_zattrs=has_zattrs)


def _order(path: str) -> tuple[int, str]:
    return (path.count("/") + 1 if path else 0), path


def is_member_path(path: str) -> bool:
    """Whether names joined by slashes can lead to a member: as keys do, which never leave a store's root."""
    if not _NO_NAMES.isdisjoint(path.split("/")) or "\0" in path or "\\" in path:
        return False
    return path.isascii() or not any("\ud800" <= character <= "\udfff" for character in path)


def _problem(path: str) -> str | None:
    """What is wrong with a member's path; None if nothing is."""
    if not is_member_path(path):
        return "is no path of a member"
    return "is nested too deeply" if path.count("/") >= _MAX_DEPTH else None


def _problem_of_document(document: object) -> str | None:
    return None if isinstance(document, dict) else f"must be an object, got {show(document)}"


def _stamps(fields: Fields) -> dict[str, str]:
    """The stamps; what is no stamp is none, and makes nothing trusted."""
    found = fields.get(_STAMPS)
    if not isinstance(found, dict):
        return {}
    return {key: stamp for key, stamp in found.items() if isinstance(stamp, str)}


def _stamps_field(members: Members) -> dict[str, Any]:
    return {_STAMPS: dict(sorted(members.stamps.items()))} if members.stamps else {}


def check_v2_key(key: str) -> str:
    """The key of a ``.zmetadata`` that is called otherwise.

    Raises
    ------
    MetadataError
        If no such object can have it.
    """
    if not is_member_path(key) or "/" in key or key in (_V3, *_V2):
        raise MetadataError(f"consolidated metadata cannot have the key {show(key)}")
    return key
