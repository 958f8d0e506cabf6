"""Functions that are given the path of an archive: what they say is done is in it when they return."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.cli.command import invoke
from zarrc.errors import StoreError
from zarrc.storage import CacheStore, MemoryStore, ZipStore
from zarrc.storage.zip_home import LocalHome

WRITERS: dict[str, Callable[[Path], Any]] = {
    "save": lambda at: zarrc.save(at / "new.zip", np.arange(3)),
    "save_two": lambda at: zarrc.save(at / "new.zip", np.arange(3), np.arange(4)),
    "save_again": lambda at: zarrc.save_group(at / "old.zip", mode="w", x=np.arange(3)),
    "copy_array": lambda at: zarrc.copy_array(at / "source.zarr/x", at / "new.zip"),
    "copy": lambda at: zarrc.copy(at / "source.zarr/x", at / "new.zip", "x"),
    "copy_all": lambda at: zarrc.copy_all(at / "source.zarr", at / "new.zip"),
    "copy_store": lambda at: zarrc.copy_store(at / "source.zarr", at / "new.zip"),
    "move": lambda at: zarrc.move(at / "source.zarr/x", at / "new.zip", "x"),
    "delete": lambda at: zarrc.delete(at / "old.zip", "x"),
}


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a directory and an archive, on a disk that is full when an archive is to be written."""
    zarrc.save(tmp_path / "source.zarr", x=np.arange(5), y=np.ones(2))
    zarrc.save(tmp_path / "old.zip", x=np.arange(5), y=np.ones(2))

    def commit(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalHome, "commit", commit)
    return tmp_path


# What was not stored is tried once more when the archive is given up, and Python can only print that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_that_cannot_be_written_is_an_error(name: str, full_disk: Path) -> None:
    with pytest.raises(StoreError, match=r"No space left on device.*errno 28"):
        WRITERS[name](full_disk)
    assert not (full_disk / "new.zip").exists()
    assert sorted(zarrc.load(full_disk / "source.zarr")) == ["x", "y"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_command_fails_if_the_archive_cannot_be_written(full_disk: Path) -> None:
    result = invoke("copy", full_disk / "source.zarr/x", full_disk / "new.zip")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr


def test_all_stores_can_be_flushed(tmp_path: Path) -> None:
    MemoryStore().flush()
    array = zarrc.create_array(CacheStore(ZipStore(tmp_path / "new.zip")), data=[1, 2])
    assert not (tmp_path / "new.zip").exists()
    array.store.flush()
    assert (tmp_path / "new.zip").exists()
