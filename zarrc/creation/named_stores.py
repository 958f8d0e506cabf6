"""The stores of ``storage="filesystem"`` and its like, made from the keywords of the same call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc.config import close_names
from zarrc.errors import ReadOnlyError
from zarrc.new_array import ARRAY_KEYWORDS

if TYPE_CHECKING:
    from zarrc.creation.places import Mode
    from zarrc.storage.base import Store

__all__ = ["open_by_name"]


def open_by_name(
    store: Any,
    path: str | None,
    mode: Mode | None,
    storage_options: Mapping[str, Any] | None,
    named: Mapping[str, Any],
) -> Store:
    """Make the store of ``storage=`` from its own keywords."""
    from zarrc.storage.registry import info, open_named

    if store is not None:
        raise TypeError("pass either store= or storage=, not both")
    options = dict(named)
    storage = options.pop("storage")
    if path is not None:
        options["path"] = path
    if storage_options is not None:
        options["storage_options"] = storage_options
    _check_options(storage, options, info(storage).keywords)
    made = open_named(storage, **options)
    if mode == "r":
        return made.with_read_only()
    if mode is not None and made.read_only:
        raise ReadOnlyError(f"{made} is read-only, which mode {mode!r} does not allow")
    return made


def _check_options(storage: str, options: Mapping[str, Any], keywords: tuple[str, ...] | None) -> None:
    """Refuse what neither an array nor the store knows, with what may be meant."""
    if keywords is None:
        return
    for name in options:
        if name not in keywords:
            takes = ", ".join(f"{one}=" for one in keywords) or "no keywords"
            hint = close_names(name, (*keywords, *ARRAY_KEYWORDS))
            raise TypeError(
                f"{name}= is no keyword of an array or of storage={storage!r}, which takes {takes}{hint}"
            )
