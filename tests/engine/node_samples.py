"""Nodes for tests, and a store that tells what it was asked for."""

from __future__ import annotations

from typing import Any

from zarrc.metadata.build import build_array, build_group
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.storage import MappingStore


def array(zarr_format: int = 3, **more: Any) -> ArrayMetadata:
    return build_array(shape=(4,), dtype="i4", chunks=(2,), zarr_format=zarr_format, **more)  # type: ignore[arg-type]


def group(zarr_format: int = 3, **more: Any) -> GroupMetadata:
    return build_group(zarr_format=zarr_format, **more)  # type: ignore[arg-type]


class CountingStore(MappingStore):
    """A mapping that counts the objects asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[str] = []

    def get(self, key: str, range: Any = None) -> Any:
        self.asked.append(key)
        return super().get(key, range)

    def stat(self, key: str) -> Any:
        self.asked.append(f"stat {key}")
        return super().stat(key)
