"""Locks of objects: several are taken in one order, and each is released whatever happens."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.soak import count
from zarrc.errors import StoreError

N_CHUNKS = 70


class FailingDict(dict[str, bytes]):
    fail = False

    def __setitem__(self, key: str, value: bytes) -> None:
        if self.fail and key.startswith("c/"):
            raise OSError(28, "No space left on device")
        super().__setitem__(key, value)


def _array(mapping: dict[str, bytes]) -> Any:
    return zarrc.create_array(
        mapping, shape=(N_CHUNKS * 2,), chunks=(2,), dtype="i4", codecs=[{"name": "bytes"}]
    )


def _in_time(*targets: Any) -> None:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a lock was never released"


def test_writers_of_the_same_chunks_in_opposite_orders_do_not_wait_for_each_other_for_ever() -> None:
    array = _array({})

    def write(step: int, value: int) -> None:
        for _ in range(count(200)):
            array[::step] = value

    _in_time(lambda: write(1, 1), lambda: write(-1, 2), lambda: write(3, 3), lambda: write(-3, 4))
    assert set(np.unique(array[...])) <= {1, 2, 3, 4}


@pytest.mark.parametrize("key", [slice(None), slice(1, None, 2)], ids=["whole chunks", "parts of chunks"])
def test_a_failed_write_releases_its_locks(key: slice) -> None:
    mapping = FailingDict()
    array = _array(mapping)
    array[...] = 1
    mapping.fail = True
    with pytest.raises(StoreError):
        array[key] = 2
    mapping.fail = False

    def write() -> None:
        array[key] = 3

    _in_time(write)
    assert (array[key] == 3).all()


def test_an_interrupted_write_releases_its_locks() -> None:
    class InterruptedDict(FailingDict):
        def __setitem__(self, key: str, value: bytes) -> None:
            if self.fail:
                raise KeyboardInterrupt
            super().__setitem__(key, value)

    mapping = InterruptedDict()
    array = _array(mapping)
    mapping.fail = True
    for key in (..., slice(1, 2)):
        with pytest.raises(KeyboardInterrupt):
            array[key] = 2
    mapping.fail = False

    def write() -> None:
        array[1:] = 4

    _in_time(write)
    assert (array[1:] == 4).all()
