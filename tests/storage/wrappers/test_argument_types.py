"""Arguments of another type are told at once, with what is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zarrc
from zarrc.storage import LocalStore, MemoryStore, MeteredStore, SQLiteStore


def test_a_cost_wants_a_price_table() -> None:
    store = MeteredStore(MemoryStore())
    store.set("a", b"x")
    wrong: Any = "S3"
    with pytest.raises(TypeError, match=r"PriceTable \(S3_STANDARD, GCS_STANDARD and AZURE_HOT .*not 'S3'"):
        store.stats().cost(wrong)


@pytest.mark.parametrize("kind", [LocalStore, SQLiteStore])
def test_durable_is_yes_or_no(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="durable must be True, False or None, not 'yes'"):
        kind(tmp_path / "x", durable="yes")


def test_create_array_tells_who_takes_storage() -> None:
    create: Any = zarrc.create_array
    with pytest.raises(TypeError, match=r"'storage'; zarrc\.create\(\) and zarrc\.open_group\(\) take it"):
        create(storage="memory", shape=(3,))
