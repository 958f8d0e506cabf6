"""Calls of the system that fail while an archive is written: no change is lost, and none is half made."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zarrc.errors import StoreError
from zarrc.storage.zip import ZipStore

CALLS = ("pwrite", "ftruncate", "fsync", "rename", "unlink", "open", "copy_file_range", "fchmod")


class Failing:
    """Calls of the system that change something, of which one fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.at = at
        self.n = 0
        for name in CALLS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            self.n += 1
            if self.n == self.at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return call(*args, **named)

        return counted


def contents(store: ZipStore) -> dict[str, bytes]:
    return {key: bytes(store.get(key) or b"") for key in store.list_prefix("")}


@pytest.mark.parametrize("big_nbytes", [10, 1_500_000], ids=["replaced", "appended"])
def test_a_flush_that_failed_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big_nbytes: int
) -> None:
    after = {"a": b"A2", "big": b"B" * big_nbytes, "c": b"c"}
    n_failed = 0
    for at in range(1, 100):
        path = tmp_path / f"{at}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {"a": b"A1", "b": b"b1", "big": b"B" * big_nbytes}.items():
                archive.writestr(name, data)
        store = ZipStore(path)
        store.set_many([("a", b"A2"), ("c", b"c")])
        store.delete("b")
        with monkeypatch.context() as patch:
            failing = Failing(patch, at)
            try:
                store.flush()
            except StoreError:
                n_failed += 1
        assert contents(store) == after
        store.flush()
        store.close()
        assert contents(ZipStore(path, read_only=True)) == after
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        if failing.n < at:
            break
    # What cannot be replaced is appended.
    assert n_failed > 3 or big_nbytes == 10
    assert at > 5


def test_a_lock_that_was_removed_is_not_taken_from_others(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    store = ZipStore(path)
    store.set("a", b"1")
    lock = tmp_path / ".zc-lock-x.zip"
    lock.unlink()
    lock.write_text("somebody else's")
    store.flush()
    assert lock.read_text() == "somebody else's"
    assert contents(ZipStore(path)) == {"a": b"1"}
