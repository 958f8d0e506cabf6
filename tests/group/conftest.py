"""Fixtures of the tests of consolidated metadata; other tests here have stores of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "s")
    return MemoryStore() if request.param == "memory" else MappingStore({})
