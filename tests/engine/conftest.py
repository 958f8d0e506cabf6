"""Fixtures that tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    return MemoryStore() if request.param == "memory" else MappingStore({})


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> int:
    return int(request.param)
