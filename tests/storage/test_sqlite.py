"""SQLite files as stores: the suite, and what is theirs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from zarrc.storage import SQLiteStore
from zarrc.testing import StoreTests


class TestDeleteJournal(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        return SQLiteStore(tmp_path / "x.sqlite")


class TestWal(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        return SQLiteStore(tmp_path / "x.sqlite", journal="wal")
