"""The stores of ``storage="filesystem"`` and its like, made from the keywords of the same call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc.config import close_names
from zarrc.new_array import ARRAY_KEYWORDS

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["open_by_name"]


def open_by_name(store: Any, path: str | None, named: Mapping[str, Any]) -> Store:
    """Make the store of ``storage=`` from its own keywords."""
    from zarrc.storage.registry import open_named

    if store is not None:
        raise TypeError("pass either store= or storage=, not both")
    options = {**named} if path is None else {**named, "path": path}
    storage = options.pop("storage")
    try:
        return open_named(storage, **options)
    except TypeError as error:
        raise _about_keyword(error, storage) from error


def _about_keyword(error: TypeError, storage: str) -> TypeError:
    """Say a store's complaint about its keywords in terms of what the user called."""
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    missing = re.search(r"missing \d+ required .* arguments?: (.*)", str(error))
    if unexpected:
        name = unexpected[1]
        return TypeError(
            f"{name}= is no keyword of an array or of storage={storage!r}{close_names(name, ARRAY_KEYWORDS)}"
        )
    if missing:
        return TypeError(f"storage={storage!r} needs {missing[1]}")
    return error
