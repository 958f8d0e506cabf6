"""Zip archives as stores: everything that a store promises."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from zarrc.storage import Blob, ByteRange, DirListing, MemoryStore, Stat, Store
from zarrc.storage.zip import ZipStore
from zarrc.testing import AtomicStoreTests, StoreTests


class TestZipStore(AtomicStoreTests):
    forks = False  # a child cannot write while its parent does

    @pytest.fixture(params=["stored", "deflate"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
        with ZipStore(tmp_path / "x.zip", compression=request.param) as store:
            yield store


class TestZipInAnotherStore(AtomicStoreTests):
    forks = False

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with ZipStore.from_store(MemoryStore(name="zip-tests"), "deep/x.zip") as store:
            yield store
        MemoryStore.forget("zip-tests")


class TestZipInMemory(StoreTests):
    forks = False
    pickles_by_place = False

    test_a_pickled_store_has_the_same_objects = None  # type: ignore[assignment]
    test_a_read_only_store_refuses_to_write = None  # type: ignore[assignment]

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with ZipStore(io.BytesIO()) as store:
            yield store


class FlushedStore(ZipStore):
    """Everything is read from the archive, not from what was written beside it."""

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        self.flush()
        return super().get(key, range)

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        self.flush()
        return super().get_many(requests)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        self.flush()
        return super().list_prefix(prefix)

    def list_dir(self, prefix: str) -> DirListing:
        self.flush()
        return super().list_dir(prefix)

    def stat(self, key: str) -> Stat | None:
        self.flush()
        return super().stat(key)


class TestFlushedZipStore(AtomicStoreTests):
    forks = False
    effort = 0.02

    @pytest.fixture(params=["anew", "appended"])
    def store(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Store]:
        if request.param == "appended":
            monkeypatch.setattr("zarrc.storage.zip_home._SMALL", 0)
        with FlushedStore(tmp_path / "x.zip") as store:
            yield store
