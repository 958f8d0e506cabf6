"""Stores written in Python: what they answer is checked, and what they raise reaches the caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.soak import count
from zarrc.errors import ChunkNotFoundError, CodecError, StoreError
from zarrc.storage import Store
from zarrc.storage.base import Blob, ByteRange

CHUNK = 3
VALUES = np.arange(9, dtype="i4")


class OddStore(Store):
    """A dict whose `get_many` answers as ``oddity`` says, chunks only."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.oddity = ""
        self.fail_at_set = -1
        self.asked = 0

    def get(self, key: str, range: ByteRange | None = None) -> Any:
        data = self.objects.get(key)
        if data is None or self.oddity != "str" or key == "zarr.json":
            return None if data is None else Blob(data)
        return "abc"

    def set(self, key: str, data: Any) -> None:
        self.fail_at_set -= 1
        if self.fail_at_set == 0:
            raise StoreError("full", key=key)
        self.objects[key] = bytes(data)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        yield from [key for key in self.objects if key.startswith(prefix)]

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[Any]:
        for index, (key, range) in enumerate(requests):
            self.asked += 1
            yield from self._odd(index, self.get(key, range))

    def _odd(self, index: int, blob: Any) -> Iterator[Any]:
        odd = self.oddity if index == 1 else ""
        if odd == "raise":
            raise KeyError("boo")
        if odd == "interrupt":
            raise KeyboardInterrupt
        if odd == "twice":
            yield index, blob
        if odd == "short":
            blob = bytes(blob)[:-1]
        if odd == "long":
            blob = bytes(blob) + b"\0"
        if odd == "empty":
            blob = b""
        if odd == "items":
            blob = np.frombuffer(bytes(blob), "i4")
        if odd == "strided":
            blob = np.zeros(40, "u1")[::2]
        if odd != "skip":
            yield {"beyond": 77, "negative": -1, "huge": 2**70}.get(odd, index), blob


def _array(store: Store, **changes: Any) -> Any:
    array = zarrc.create_array(
        store, shape=VALUES.shape, chunks=(CHUNK,), dtype="i4", codecs=[{"name": "bytes"}], **changes
    )
    array[...] = VALUES
    return array


@pytest.mark.parametrize(
    ("oddity", "error"),
    [
        ("raise", KeyError),
        ("interrupt", KeyboardInterrupt),
        ("twice", StoreError),
        ("skip", StoreError),
        ("beyond", StoreError),
        ("negative", StoreError),
        ("huge", StoreError),
        ("str", StoreError),
        ("strided", StoreError),
        ("short", CodecError),
        ("long", CodecError),
        ("empty", CodecError),
    ],
)
def test_an_answer_that_is_none_is_an_error(oddity: str, error: type[BaseException]) -> None:
    store = OddStore()
    array = _array(store)
    store.oddity = oddity
    with pytest.raises(error) as caught:
        array[...]
    if isinstance(caught.value, zarrc.errors.ZarrcError):
        assert caught.value.array == array.path
    store.oddity = ""
    np.testing.assert_array_equal(array[...], VALUES)


def test_any_contiguous_buffer_is_an_answer() -> None:
    store = OddStore()
    array = _array(store)
    store.oddity = "items"
    np.testing.assert_array_equal(array[...], VALUES)


def test_a_chunk_to_change_that_is_no_bytes_is_an_error() -> None:
    store = OddStore()
    array = _array(store)
    store.oddity = "str"
    with pytest.raises(StoreError, match="str") as caught:
        array[0] = 5
    assert caught.value.key == "c/0"


def test_after_a_bad_chunk_no_more_are_fetched_than_are_decoded_together() -> None:
    store = OddStore()
    array = zarrc.create_array(store, shape=(3000,), chunks=(1,), dtype="i4", codecs=[{"name": "bytes"}])
    array[...] = np.arange(1, 3001)
    store.asked = 0
    store.oddity = "short"
    with pytest.raises(CodecError):
        array[...]
    assert store.asked <= 64


def test_a_missing_chunk_is_an_error_where_the_array_says_so() -> None:
    store = OddStore()
    array = _array(store, config={"read_missing_chunks": False})
    np.testing.assert_array_equal(array[...], VALUES)
    store.delete("c/1")
    np.testing.assert_array_equal(array[:3], VALUES[:3])
    with pytest.raises(ChunkNotFoundError) as caught:
        array[...]
    assert caught.value.key == "c/1"


def test_a_group_of_large_chunks_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    store = OddStore()
    nbytes = 24 << 20
    array = zarrc.create_array(
        store, shape=(12 * nbytes,), chunks=(nbytes,), dtype="u1", codecs=[{"name": "bytes"}]
    )
    groups: list[int] = []
    monkeypatch.setattr(store, "set_many", lambda items: groups.append(len(list(items))), raising=False)
    with zarrc.config.set({"threading.max_workers": 2}):
        array[...] = 1
    assert sum(groups) == 12
    assert max(groups) <= 2


def test_a_write_that_fails_midway_leaves_old_or_new_chunks() -> None:
    store = OddStore()
    array = _array(store)
    store.fail_at_set = 2
    with pytest.raises(StoreError, match="full"):
        array[...] = 50
    found = array[...].reshape(-1, CHUNK)
    assert all(
        (chunk == 50).all() or (chunk == old).all()
        for chunk, old in zip(found, VALUES.reshape(-1, CHUNK), strict=True)
    )
    array[...] = 51  # the locks are free again
    np.testing.assert_array_equal(array[...], 51)


class CountingStore(zarrc.storage.MemoryStore):
    """Comes between the engine and the objects of a store that the engine could reach without Python."""

    gets = 0
    sets = 0

    def get(self, key: str, range: ByteRange | None = None) -> Any:
        self.gets += key.startswith("c/")
        return super().get(key, range)

    def set(self, key: str, data: Any) -> None:
        self.sets += key.startswith("c/")
        super().set(key, data)


def test_what_a_subclass_of_a_store_puts_in_between_is_not_passed_by(tmp_path: Path) -> None:
    class Local(zarrc.storage.LocalStore):
        gets = 0

        def get(self, key: str, range: ByteRange | None = None) -> Any:
            self.gets += key.startswith("c/")
            return super().get(key, range)

    memory, local = CountingStore(), Local(tmp_path / "array")
    for store in (memory, local):
        array = _array(store)
        np.testing.assert_array_equal(array[...], VALUES)
        assert store.gets == 3
    assert memory.sets == 3


def test_a_subclass_shares_the_locks_of_its_store(tmp_path: Path) -> None:
    class Local(zarrc.storage.LocalStore):
        def get(self, key: str, range: ByteRange | None = None) -> Any:
            return super().get(key, range)

    path = tmp_path / "array"
    plain = _array(zarrc.storage.LocalStore(path))
    between = zarrc.open_array(Local(path), mode="r+")
    rounds = count(500)

    def work(array: Any, index: int) -> None:
        for number in range(rounds):
            array[index] = number
            assert array[index] == number

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work, plain, 0), threads.submit(work, between, 1)]:
            done.result(timeout=60)
