"""Stores beside each other: what is above a store, and what holds several."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zarrc.engine.node_names import join
from zarrc.errors import StoreError
from zarrc.storage.local import LocalStore

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["above", "common"]


def above(store: Store, levels: int) -> tuple[Store, str] | None:
    """The store that is so many levels above another, and the other's path in it; None if none is known."""
    for kind in (_local, _fsspec, _prefix):
        found = kind(store, levels)
        if found is not None:
            return found
    return None


def _local(store: Store, levels: int) -> tuple[Store, str] | None:
    if type(store) is not LocalStore:
        return None
    names = store.root.strip("/").split("/")
    if levels > len(names):
        return None
    return _again(store, "/" + "/".join(names[: len(names) - levels])), "/".join(names[len(names) - levels :])


def _again(store: LocalStore, root: str) -> LocalStore:
    """A store like another one on another directory."""
    made = LocalStore(root)
    for name, value in vars(store).items():
        if name not in ("_root", "_start", "_identity"):
            setattr(made, name, value)
    return made


def _fsspec(store: Any, levels: int) -> tuple[Store, str] | None:
    # Whoever made one has imported it.
    module = sys.modules.get("zarrc.storage.fsspec_store")
    if module is None or type(store) is not module.FsspecStore:
        return None
    names = store.path.split("/")
    # Not above the bucket.
    if levels >= len(names):
        return None
    root = "/".join(names[: len(names) - levels])
    return module.FsspecStore(store.fs, root), "/".join(names[len(names) - levels :])


def _prefix(store: Any, levels: int) -> tuple[Store, str] | None:
    module = sys.modules.get("zarrc.storage.wrappers.prefix")
    if module is None or type(store) is not module.PrefixStore:
        return None
    names = store.prefix.split("/") if store.prefix else []
    if levels <= len(names):
        root = "/".join(names[: len(names) - levels])
        inner = module.PrefixStore(store.store, root) if root else store.store
        return inner, "/".join(names[len(names) - levels :])
    found = above(store.store, levels - len(names))
    return None if found is None else (found[0], join(found[1], store.prefix))


def common(stores: Sequence[Any]) -> tuple[Store, list[str]]:
    """The one store that holds several, and their paths in it.

    Raises
    ------
    StoreError
        If they are not known to be in one.
    """
    first = stores[0]
    if all(one is first or one.identity == first.identity for one in stores[1:]):
        return first, [""] * len(stores)
    if all(type(one) is LocalStore for one in stores):
        roots = [os.path.realpath(one.local_root or "") for one in stores]
        top = os.path.commonpath(roots)
        if top != "/":
            return _again(first, top), [_relative(root, top) for root in roots]
    module = sys.modules.get("zarrc.storage.fsspec_store")
    if module is not None and all(type(one) is module.FsspecStore and one.fs is first.fs for one in stores):
        paths = [one.path for one in stores]
        top = _common_path(paths)
        if top:
            return module.FsspecStore(first.fs, top), [path[len(top) + 1 :] for path in paths]
    raise StoreError(
        "a transaction is of one store: of arrays and groups below one directory or in one bucket; these are "
        f"in {', '.join(sorted({str(one) for one in stores}))}"
    )


def _relative(root: str, top: str) -> str:
    return root[len(top) + 1 :]


def _common_path(paths: Sequence[str]) -> str:
    split = [path.split("/") for path in paths]
    shared = []
    for names in zip(*split, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared)
