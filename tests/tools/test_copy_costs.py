"""What a copy costs: requests to the stores, and memory."""

from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path
from typing import Any

import zarrc
from tests.storage.four_methods import FourMethods


def test_memory_to_memory_takes_no_memory() -> None:
    source: Any = zarrc.create_array(shape=(64 << 20,), chunks=(8 << 20,), dtype="u1", codecs=["bytes"])
    source[...] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    copies = [zarrc.copy_array(source) for _ in range(20)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
    assert copies[-1].nchunks_initialized == 8


def test_streaming_and_groups_of_objects_are_bounded_in_memory() -> None:
    class Forgetful(FourMethods):
        """Keeps metadata only."""

        def set(self, key: str, data: Any) -> None:
            super().set(key, data if key.endswith("json") else b"")

    source: Any = zarrc.create_array(
        FourMethods({}), shape=(400 << 20,), chunks=(1 << 20,), dtype="u1", codecs=["bytes"]
    )
    one = bytes(1 << 20)
    source.store.objects.update({f"c/{i}": one for i in range(400)})
    for keywords in ({}, {"verify": True}):
        tracemalloc.start()
        zarrc.copy_array(source, Forgetful({}), **keywords)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 140 << 20


def test_one_listing_and_one_read_of_each_object(tmp_path: Path) -> None:
    calls: dict[str, int] = {}

    class Counting(FourMethods):
        def get(self, key: str, range: Any = None) -> Any:
            calls["get"] = calls.get("get", 0) + 1
            return super().get(key, range)

        def set(self, key: str, data: Any) -> None:
            calls["set"] = calls.get("set", 0) + 1
            super().set(key, data)

        def list_prefix(self, prefix: str) -> Any:
            calls["list"] = calls.get("list", 0) + 1
            return super().list_prefix(prefix)

        def delete(self, key: str) -> None:
            calls["delete"] = calls.get("delete", 0) + 1
            super().delete(key)

    source: Any = zarrc.create_array(Counting({}), shape=(1000,), chunks=(1,), dtype="i4")
    source[:100] = 1
    calls.clear()
    zarrc.copy_array(source, tmp_path / "t")
    assert calls == {"list": 1, "get": 101}  # and the metadata, to see that it is still so
    target = zarrc.storage.MemoryStore()
    zarrc.copy_array(source, target, name="x")
    calls.clear()
    made = zarrc.copy_array(zarrc.open_array(target, path="x"), Counting({}))
    assert calls["set"] == 101
    assert "delete" not in calls
    assert made.nchunks_initialized == 100
