"""Around a store that changes much in one step, wrappers do so too."""

from __future__ import annotations

from pathlib import Path

import pytest

from zarrc.storage import CacheStore, FaultyStore, MeteredStore, PrefixStore, SQLiteStore, Store
from zarrc.testing import AtomicStoreTests


class TestNest(AtomicStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        inner = SQLiteStore(tmp_path / "x.sqlite")
        return CacheStore(MeteredStore(PrefixStore(FaultyStore(inner), "a/b")))
