"""Arrays of every kind for tests of resizing, and a store whose calls fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fsspec

import zarrc
from zarrc.errors import StoreError
from zarrc.storage import FsspecStore, MappingStore, MemoryStore, Store

STORES = ("memory", "local", "mapping", "fsspec")

# Keywords of `create_array`: all 2-d.
KINDS: dict[str, dict[str, Any]] = {
    "regular": {"chunks": (3, 4)},
    "uncompressed": {"chunks": (3, 4), "compressors": None},
    "sharded": {"chunks": (2, 2), "shards": (4, 6)},
    "nested": {
        "chunks": (4, 4),
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [2, 4],
                    "codecs": [
                        {
                            "name": "sharding_indexed",
                            "configuration": {
                                "chunk_shape": [1, 2],
                                "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                                "index_codecs": [
                                    {"name": "bytes", "configuration": {"endian": "little"}},
                                    {"name": "crc32c"},
                                ],
                            },
                        }
                    ],
                    "index_codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        {"name": "crc32c"},
                    ],
                },
            }
        ],
    },
    "appended shards": {
        "chunks": (2, 2),
        "shards": (4, 6),
        "config": {"shard_update": "append"},
    },
    "transposed": {"chunks": (3, 4), "filters": [{"name": "transpose", "configuration": {"order": [1, 0]}}]},
    "v2": {"chunks": (3, 4), "zarr_format": 2},
    "v2 nested keys": {
        "chunks": (3, 4),
        "zarr_format": 2,
        "dimension_separator": "/",
        "dtype": ">i4",
        "order": "F",
    },
    # They end where 14 elements do, or a little beyond, so that growing needs more chunks.
    "rectilinear": {"chunks": ((1, 3, 2, 5, 3), (4, 2, 10))},
    "rectilinear shards": {"chunks": (1, 2), "shards": ((2, 3, 5, 4), (4, 2, 8))},
    "wide chunks": {"chunks": (50, 50)},
    "empty chunks": {"chunks": (3, 4), "config": {"write_empty_chunks": True}},
}


def make_store(kind: str, folder: Any) -> Store:
    if kind == "memory":
        return MemoryStore()
    if kind == "mapping":
        return MappingStore({})
    if kind == "fsspec":
        return FsspecStore(fsspec.filesystem("memory"), f"/resize-{id(folder)}-{next(_numbers)}")
    return zarrc.storage.LocalStore(folder / f"store-{next(_numbers)}")


def _count() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1


_numbers = _count()


class FailingStore(MappingStore):
    """A mapping whose calls fail: the one of a number, or all from that on."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.objects = objects
        self.n_calls = 0
        self.fail_from: int | None = None
        self.fail_once = False

    def _called(self, what: str, key: str) -> None:
        number, self.n_calls = self.n_calls, self.n_calls + 1
        if self.fail_from is not None and (
            number == self.fail_from if self.fail_once else number >= self.fail_from
        ):
            raise StoreError(f"injected at call {number}, {what}", key=key)

    def get(self, key: str, range: Any = None) -> Any:
        self._called("get", key)
        return super().get(key, range)

    def set(self, key: str, data: Any) -> None:
        self._called("set", key)
        super().set(key, data)

    def set_if(self, key: str, data: Any, version: str | None) -> str | None:
        self._called("set_if", key)
        return super().set_if(key, data, version)

    def delete(self, key: str) -> None:
        self._called("delete", key)
        super().delete(key)

    def delete_many(self, keys: Any) -> None:
        for key in keys:
            self.delete(key)

    def list_prefix(self, prefix: str) -> Any:
        self._called("list_prefix", prefix)
        return super().list_prefix(prefix)


def every_failure(
    make: Callable[[FailingStore], Any], do: Callable[[Any], Any], *, once: bool
) -> Iterator[Any]:
    """Yield (store, error or None) for an array that is made anew, once for each call that ``do`` makes.

    The last one is without an error.
    """
    number = 0
    while True:
        store = FailingStore({})
        array = make(store)
        store.n_calls, store.fail_from, store.fail_once = 0, number, once
        error = None
        try:
            do(array)
        except StoreError as caught:
            error = caught
        store.fail_from = None
        yield store, error
        if store.n_calls <= number and error is None:
            return
        number += 1
        assert number < 2000
