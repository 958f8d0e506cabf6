"""Every wrapper keeps the promises of the contract, over memory and over a directory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.four_methods import FourMethods
from zarrc.storage import (
    CacheStore,
    FaultyStore,
    LocalStore,
    LoggingStore,
    MemoryStore,
    MeteredStore,
    PrefixStore,
    ReadOnlyStore,
    Store,
    WrapperStore,
)
from zarrc.testing import AtomicStoreTests, StoreTests


class OverMemory(AtomicStoreTests):
    pickles_by_place = False

    @pytest.fixture
    def inner(self) -> Store:
        return MemoryStore()


class OverLocal(StoreTests):
    keys_nest = False

    @pytest.fixture
    def inner(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "store")


class Plain:
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return WrapperStore(inner)


class TestPlainOverMemory(Plain, OverMemory):
    pass


class TestPlainOverLocal(Plain, OverLocal):
    pass


class Prefix:
    @pytest.fixture
    def store(self, inner: Store) -> Iterator[Store]:
        inner.set("ab", b"around")
        inner.set("a/bc", b"around")
        inner.set("a/b2/x", b"around")
        yield PrefixStore(inner, "a/b")
        # Whatever is done below the prefix leaves what is around it.
        assert {key for key in inner.list_prefix("") if not key.startswith("a/b/")} == {
            "ab",
            "a/bc",
            "a/b2/x",
        }


class TestPrefixOverMemory(Prefix, OverMemory):
    pass


class TestPrefixOverLocal(Prefix, OverLocal):
    pass


class TestPrefixOverFourMethods(Prefix, StoreTests):
    pickles_by_place = False

    @pytest.fixture
    def inner(self) -> Store:
        return FourMethods({})


class Metered:
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return MeteredStore(inner)


class TestMeteredOverMemory(Metered, OverMemory):
    pass


class TestMeteredOverLocal(Metered, OverLocal):
    pass


class Logging:
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        logger = logging.getLogger("tests.store_suite")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(logging.NullHandler())
        return LoggingStore(inner, logger=logger)


class TestLoggingOverMemory(Logging, OverMemory):
    pass


class TestLoggingOverLocal(Logging, OverLocal):
    pass


class Faulty:
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return FaultyStore(inner, rates={"delay": 0.0})


class TestFaultyOverMemory(Faulty, OverMemory):
    pass


class TestFaultyOverLocal(Faulty, OverLocal):
    pass


class TestAllInOne(OverLocal):
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return MeteredStore(PrefixStore(FaultyStore(LoggingStore(PrefixStore(inner, "a"))), "b/c"))


class WrittenBelow(WrapperStore):
    """Writes past a `ReadOnlyStore`, and reads through it."""

    def __init__(self, store: Store, reader: Store | None = None) -> None:
        super().__init__(store)
        self.reader = ReadOnlyStore(self._store)


def _reading(name: str) -> Any:
    def method(self: WrittenBelow, *args: Any) -> Any:
        return getattr(self.reader, name)(*args)

    return method


for _name in ("get", "get_many", "get_into", "list_prefix", "list_dir", "list_sizes", "stat", "stat_many"):
    setattr(WrittenBelow, _name, _reading(_name))


class TestReadOnlyOverMemory(OverMemory):
    # A copy's reader would read the old table.
    test_a_pickled_store_has_the_same_objects = None  # type: ignore[assignment]

    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return WrittenBelow(inner)


class TestReadOnlyOverLocal(OverLocal):
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return WrittenBelow(inner)


class TestCachedInMemoryOverMemory(OverMemory):
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return CacheStore(inner)


class TestCachedInMemoryOverLocal(OverLocal):
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return CacheStore(inner)


class TestCachedOnDiskOverMemory(OverMemory):
    @pytest.fixture
    def store(self, inner: Store, tmp_path: Path) -> Store:
        return CacheStore(inner, tmp_path / "cache")


class TestCachedOnDiskOverLocal(OverLocal):
    @pytest.fixture
    def store(self, inner: Store, tmp_path: Path) -> Store:
        return CacheStore(inner, tmp_path / "cache")


class TestCachedAndRevalidated(OverLocal):
    @pytest.fixture
    def store(self, inner: Store, tmp_path: Path) -> Store:
        return CacheStore(inner, tmp_path / "cache", revalidate="always")


class TestCachedForATime(OverMemory):
    @pytest.fixture
    def store(self, inner: Store) -> Store:
        return CacheStore(PrefixStore(inner, "a"), ttl=0.001, revalidate="never", max_nbytes=8000)


class TestCachedOverFourMethods(StoreTests):
    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        return CacheStore(FourMethods({}))
