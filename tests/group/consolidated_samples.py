"""What tests of consolidated metadata share."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

import zarrc
from zarrc.errors import (
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import Store


def filled(store: Store, zarr_format: Any, path: str = "") -> Group:
    root = zarrc.create_group(store, path=path, zarr_format=zarr_format, attributes={"root": 1})
    root.create_array("x", data=np.arange(3), attributes={"unit": "m"})
    root.create_array("a/b/y", shape=(4, 4), chunks=(2, 2), dtype="f4")
    root.create_group("a/empty", attributes={"e": [1, {"f": 2}]})
    return root


def consolidated(store: Store, zarr_format: Any, path: str = "") -> Group:
    filled(store, zarr_format, path)
    return zarrc.consolidate_metadata(store, path or None)


def document(store: Store, zarr_format: int, path: str = "") -> Any:
    """The members as the document has them, without our stamps."""
    start = f"{path}/" if path else ""
    blob = store.get(start + ("zarr.json" if zarr_format == 3 else ".zmetadata"))
    assert blob is not None
    fields = json.loads(bytes(blob))
    return fields["consolidated_metadata"]["metadata"] if zarr_format == 3 else fields["metadata"]


def is_right(store: Store, path: str = "") -> bool:
    """Whether the consolidated metadata are what is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            zarrc.open_consolidated(store, path=path or None, use_consolidated="check")
        except ZarrcWarning:
            return False
    return True


PATHS = ["a", "a/b", "a/b/y", "a/empty", "x"]


def seen(group: Group) -> list[str]:
    return [path for path, _ in group.members(None)]
