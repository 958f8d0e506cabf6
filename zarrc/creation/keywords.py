"""Keywords of the module's functions: zarr-python's older ones, and those of a store among an array's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from zarrc.config import config as settings

__all__ = ["ZarrFormat", "default_format", "parse_format", "split_storage", "without_legacy"]

ZarrFormat = Literal[2, 3]

# Of zarr-python's `create` and `open`: what they meant is done always, or was never done.
_IGNORED: Final = ("synchronizer", "cache_metadata", "cache_attrs")
_REFUSED: Final = ("chunk_store", "meta_array", "object_codec")


def parse_format(zarr_format: Any, zarr_version: Any) -> ZarrFormat | None:
    """Return the Zarr format that was asked for, under its name of today or of yesterday."""
    if zarr_format is not None and zarr_version is not None and zarr_format != zarr_version:
        raise ValueError(
            f"zarr_format={zarr_format!r} and zarr_version={zarr_version!r} differ; pass one of them"
        )
    wanted = zarr_version if zarr_format is None else zarr_format
    if wanted is not None and (wanted not in (2, 3) or isinstance(wanted, bool)):
        raise ValueError(f"zarr_format must be 2 or 3, got {wanted!r}")
    return None if wanted is None else (2 if wanted == 2 else 3)


def default_format(wanted: ZarrFormat | None) -> ZarrFormat:
    """Return the format of a new node: the one that was asked for, or that of `zarrc.config`."""
    chosen: ZarrFormat = settings.get("default_zarr_format") if wanted is None else wanted
    return chosen


def without_legacy(caller: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return keywords without zarr-python's that mean nothing here; refuse those that would be missed."""
    kept = {**keywords}
    for name in _REFUSED:
        if kept.pop(name, None) not in (None, False):
            raise NotImplementedError(f"{caller}() does not support {name}=")
    for name in _IGNORED:
        if kept.pop(name, None) is not None:
            from zarrc.warning import warn

            warn(f"{caller}() ignores {name}=")
    chunk_shape = kept.pop("chunk_shape", None)
    if chunk_shape is not None:
        if kept.get("chunks") is not None:
            raise TypeError("pass either chunks= or chunk_shape=, not both")
        kept["chunks"] = chunk_shape
    return kept


def _refuse_of_store(caller: str, unknown: list[str]) -> None:
    """Refuse keywords of the stores that ``storage=`` names, which is not there."""
    from zarrc.storage.registry import stores_with

    for name in unknown:
        if stores := stores_with(name):
            shown = " or ".join(f"storage={store!r}" for store in stores)
            raise TypeError(f"{caller}() takes {name}= together with {shown} only")


def split_storage(
    caller: str, storage: str | None, keywords: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Split keywords into those of the array and, with ``storage=``, those of the store."""
    from zarrc.new_array import ARRAY_KEYWORDS, check_keywords

    kept = without_legacy(caller, dict(keywords))
    if storage is None:
        unknown = [name for name in kept if name not in ARRAY_KEYWORDS]
        if unknown:
            _refuse_of_store(caller, unknown)
            check_keywords(caller, unknown, (*ARRAY_KEYWORDS, "storage"))
        return kept, None
    mine = {name: value for name, value in kept.items() if name in ARRAY_KEYWORDS}
    theirs = {name: value for name, value in kept.items() if name not in ARRAY_KEYWORDS}
    return mine, {"storage": storage, **theirs}
