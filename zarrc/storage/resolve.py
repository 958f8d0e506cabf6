"""What a user passes as a store -> a store and a path in it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, get_args

from zarrc.errors import ReadOnlyError, StoreError
from zarrc.storage.base import Store

if TYPE_CHECKING:
    from zarrc.storage.store_path import StorePath

__all__ = ["AccessMode", "StoreLike", "make_store", "open_store"]

AccessMode: TypeAlias = Literal["r", "r+", "a", "w", "w-"]
"""Read; read and write; the same, or create; create in place of what is there; create where nothing is."""

StoreLike: TypeAlias = "Store | StorePath | str | os.PathLike[str] | MutableMapping[str, Any] | None"
"""What can be passed as a store; also a mapping of fsspec and a path of universal_pathlib."""

_MODES = get_args(AccessMode)

# A protocol, then "://" or "::" (a chain): at least two letters, so that it is no drive.
# Compiled on first use (`re` keeps them), which no path is.
_URL = r"[A-Za-z][A-Za-z0-9+.\-]+(://|::)"
_SCHEME = r"(?:^|(?<=::))[A-Za-z][A-Za-z0-9+.\-]+(?=://|::)"
_LOCAL_URL = r"(?:file|local)://(?!.*::)"
# What `pathlib.Path("s3://bucket/x")` makes of a URL.
_CUT_URL = r"(s3a?|gc?s|az|abfss?|https?|memory):/(?!/)"


def make_store(
    store: StoreLike,
    *,
    mode: AccessMode | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Store, str]:
    """The store that the user means, and the path in it.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping, fsspec.FSMap or None
        A path of a directory, a URL that fsspec knows, a store, a place in one, or a mapping from keys to
        bytes. None is a new `MemoryStore`.
    mode : {"r", "r+", "a", "w", "w-"}, optional
        With ``"r"`` the store comes back read-only; with another mode a read-only one is refused; by
        default it stays as it is. Whether a node must or must not be there is not looked at.
    storage_options : mapping, optional
        For a URL: what its file system is made with.

    Returns
    -------
    (Store, str)
        The path is ``""`` unless ``store`` is a `StorePath`.

    Raises
    ------
    ReadOnlyError
        If the store is read-only and ``mode`` is not ``"r"``.
    StoreError
        If the URL cannot be used.
    MissingExtraError
        If the URL needs a package that is not installed.
    TypeError
        If ``store`` is nothing that can be a store, or ``storage_options`` come without a URL.
    ValueError
        If ``mode`` is unknown.
    """
    if mode is not None and mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}")
    if storage_options is not None:
        storage_options = checked_options(storage_options)
    if storage_options and not (isinstance(store, str) and _is_url(store)):
        raise TypeError("storage_options are for URLs; this store is none")
    found, path = _place(store, storage_options, mode == "r")
    return _in_mode(found, mode), path


def open_store(
    store: StoreLike,
    *,
    mode: AccessMode | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> StorePath:
    """`make_store`, as a `StorePath`.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping, fsspec.FSMap or None
        As for `make_store`.
    mode : {"r", "r+", "a", "w", "w-"}, optional
        As for `make_store`.
    storage_options : mapping, optional
        As for `make_store`.
    """
    from zarrc.storage.store_path import StorePath

    return StorePath(*make_store(store, mode=mode, storage_options=storage_options))


def checked_options(options: Any) -> dict[str, Any]:
    """``storage_options=`` as a dict; what else it is may be a secret, and is not shown."""
    if not isinstance(options, Mapping):
        raise TypeError(
            f"storage_options are a mapping of what a file system takes, not a {type(options).__name__}"
        )
    return dict(options)


def _place(store: StoreLike, storage_options: Mapping[str, Any] | None, read_only: bool) -> tuple[Store, str]:
    if isinstance(store, str):
        archive, path = _in_zip(store)
        if archive is not None:
            return zip_store(archive, storage_options, read_only), path
        return _from_text(store, storage_options, read_only), ""
    if isinstance(store, Store):
        return store, ""
    if _is_store_path(store):
        return store.store, store.path
    return _new_store(store, read_only), ""


def _is_store_path(store: Any) -> TypeGuard[StorePath]:
    # Whoever made one has imported it.
    module = sys.modules.get("zarrc.storage.store_path")
    return module is not None and isinstance(store, module.StorePath)


def _new_store(store: Any, read_only: bool) -> Store:
    """Make a store; ``read_only`` spares a directory's the copy that `_in_mode` would make."""
    if store is None:
        from zarrc.storage.memory import MemoryStore

        return MemoryStore()
    if _is_of("fsspec.spec", "AbstractFileSystem", store):
        from zarrc.storage.fsspec_store import FsspecStore

        return FsspecStore.from_file_system(store, read_only=read_only)
    if _is_fsspec_mapper(store) or _is_universal_path(store):
        return _from_fsspec(store)
    if _is_of("zarr.abc.store", "Store", store):
        from zarrc.storage.zarr_python_store import from_zarr_python

        return from_zarr_python(store)
    if _is_obstore(store):
        from zarrc.storage.obstore_store import from_obstore

        return from_obstore(store, read_only=read_only)
    if isinstance(store, os.PathLike):
        return _from_path(os.fspath(store), read_only)
    # A group is a mapping too, of arrays.
    if isinstance(store, MutableMapping) and not hasattr(store, "store_path"):
        from zarrc.storage.mapping import MappingStore

        return MappingStore(store)
    raise TypeError(
        "a store is a path, a URL, a zarrc Store or StorePath, a mutable mapping, an fsspec mapper or None; "
        f"this is a {type(store).__module__}.{type(store).__qualname__}"
    )


def _is_url(text: str) -> bool:
    # A path is told without a regular expression, which takes longer.
    return ("://" in text or "::" in text) and re.match(_URL, text) is not None


def _from_text(text: str, storage_options: Mapping[str, Any] | None, read_only: bool) -> Store:
    if not _is_url(text):
        return _from_path(text, read_only)
    # Upper and lower case are one in schemes (RFC 3986, 3.1), which fsspec does not know.
    text = re.sub(_SCHEME, lambda found: found[0].lower(), text)
    local = re.match(_LOCAL_URL, text)
    if local is not None:
        return _from_path(text[local.end() :], read_only)
    if "::" not in text:
        from zarrc.storage.registry import open_scheme

        found = open_scheme(text, storage_options=storage_options, read_only=read_only)
        if found is not None:
            return found
    path = text.partition("?")[0] if text.lower().startswith("http") else text
    if _names_zip(path) and "::" not in text:
        return zip_store(text, storage_options, read_only)
    from zarrc.storage.fsspec_store import FsspecStore

    return FsspecStore.from_url(text, storage_options=storage_options)


def zip_store(path: str, storage_options: Mapping[str, Any] | None, read_only: bool) -> Store:
    """The store of a zip archive, at a path or a URL."""
    from zarrc.storage.zip import ZipStore

    return ZipStore(path, storage_options=storage_options, read_only=read_only)


def _in_zip(text: str) -> tuple[str | None, str]:
    """The archive that a text names, and a path in it: ``zip::URL``, ``zip://path::URL``, ``x.zip/path``."""
    if text.startswith("zip::"):
        return text[5:], ""
    if text.startswith("zip://") and "::" in text:
        path, _, archive = text[6:].partition("::")
        return archive, path.strip("/")
    end = text.lower().find(".zip/") + 4
    if end > 3 and not _is_url(text) and os.path.isfile(text[:end]):
        return text[:end], text[end:].strip("/")
    return None, ""


def _names_zip(text: str) -> bool:
    return text[-4:].lower() == ".zip"


def _from_path(path: str, read_only: bool) -> Store:
    from zarrc.storage.local import LocalStore

    if _names_zip(path) and not os.path.isdir(path):
        return zip_store(path, None, read_only)
    if ":/" in path and (cut := re.match(_CUT_URL, path)) is not None and not os.path.isdir(f"{cut[1]}:"):
        raise StoreError(
            f"this is a URL that has lost a slash: '{cut[1]}:/...' (as in a pathlib.Path); "
            f"pass it as a str, '{cut[1]}://...'"
        )
    if path.endswith((".sqlite", ".sqlite3")) and not os.path.isdir(path):
        from zarrc.storage.sqlite import SQLiteStore

        return SQLiteStore(path, read_only=read_only)
    return LocalStore(path, read_only=read_only)


def _is_fsspec_mapper(store: Any) -> bool:
    # Whoever made one has imported fsspec.
    mapping = sys.modules.get("fsspec.mapping")
    return mapping is not None and isinstance(store, mapping.FSMap)


def _is_of(module: str, name: str, store: Any) -> bool:
    """Whether it is an object of a class of a package, which whoever made one has imported."""
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(store, found)


def _is_obstore(store: Any) -> bool:
    return any(kind.__module__ in ("obstore.store", "obstore._store") for kind in type(store).__mro__)


def _is_universal_path(store: Any) -> bool:
    return all(hasattr(store, name) for name in ("fs", "path", "storage_options"))


def _from_fsspec(place: Any) -> Store:
    from zarrc.storage.fsspec_store import FsspecStore

    if _is_fsspec_mapper(place):
        return FsspecStore.from_mapper(place)
    return FsspecStore.from_file_system(place.fs, place.path)


def _in_mode(store: Store, mode: AccessMode | None) -> Store:
    if mode == "r":
        return store.with_read_only()
    if mode is not None and store.read_only:
        raise ReadOnlyError(f"{store} is read-only, which mode {mode!r} does not allow")
    return store
