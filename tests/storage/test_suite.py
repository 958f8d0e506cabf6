"""Every store keeps the promises of the contract."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tests.storage.four_methods import FourMethods
from zarrc.storage import FsspecStore, LocalStore, MappingStore, MemoryStore, Store, make_store
from zarrc.testing import AtomicStoreTests, StoreTests

numbers = itertools.count()


class TestLocal(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "not" / "there yet")


class TestLocalThroughALink(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        (tmp_path / "real").mkdir()
        os.symlink("real", tmp_path / "link")
        return LocalStore(tmp_path / "link")


class TestLocalMapper(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store, path = make_store(fsspec.get_mapper(f"file://{tmp_path}/x"))
        assert (type(store), path) == (LocalStore, "")
        return store


class TestMemory(AtomicStoreTests):
    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestNamedMemory(AtomicStoreTests):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        name = f"suite {next(numbers)}"
        yield MemoryStore(name=name)
        MemoryStore.forget(name)


class TestMapping(StoreTests):
    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        return MappingStore({})


class TestFsspecMemory(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self) -> Store:
        return make_store(f"memory://suite-{next(numbers)}")[0]


class TestFsspecMapper(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self) -> Store:
        store = make_store(fsspec.get_mapper(f"memory://suite-{next(numbers)}/x"))[0]
        assert type(store) is FsspecStore
        return store


class TestFsspecAsync(StoreTests):
    """The bulk requests of an asynchronous file system."""

    keys_nest = False

    @pytest.fixture
    def store(self) -> Store:
        return FsspecStore(AsyncFileSystemWrapper(MemoryFileSystem()), f"/suite-{next(numbers)}")


class TestFsspecDirectoryOfMemory(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self) -> Store:
        return FsspecStore(DirFileSystem(f"/suite-{next(numbers)}", MemoryFileSystem()), "x")


class TestFourMethods(StoreTests):
    """What a user's own store gets from the base class."""

    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        return FourMethods({})


def test_a_local_file_system_is_not_used_through_fsspec(tmp_path: Path) -> None:
    assert type(FsspecStore.from_file_system(LocalFileSystem(), str(tmp_path))) is LocalStore
