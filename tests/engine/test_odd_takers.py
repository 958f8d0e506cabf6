"""Stores in Python that take what they are to set in odd ways: nothing is lost, or read after the call."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import CodecError, StoreError
from zarrc.storage import ByteRange, Store
from zarrc.storage.base import Blob
from zarrc.tools.copying import copy_data

SHAPE = (32, 32)
VALUES = np.arange(1, 1025, dtype="i4").reshape(SHAPE)
LAYOUTS = pytest.mark.parametrize(
    "layout",
    [{"chunks": (4, 4)}, {"chunks": (4, 4), "shards": (8, 8)}, {"chunks": ([2, 4, 26], [1, 3, 5, 23])}],
    ids=["chunks", "shards", "all different"],
)


class OddTaker(Store):
    """A dict; how it takes and gives many objects can be changed."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.take: Any = None
        self.give: Any = None

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        data = self.objects.get(key)
        return None if data is None else self._part(key, data, range)

    def set(self, key: str, data: Any) -> None:
        self.objects[key] = bytes(data)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        yield from [key for key in self.objects if key.startswith(prefix)]

    def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        (self.take or super().set_many)(items)

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Any]]:
        answers = super().get_many(requests)
        return answers if self.give is None else self.give(requests, answers)


def _array(layout: dict[str, Any]) -> Any:
    array = zarrc.create_array(OddTaker(), shape=SHAPE, dtype="i4", **layout)
    array[...] = VALUES
    return array


@LAYOUTS
def test_an_iterator_that_a_store_keeps_is_at_its_end_after_the_call(layout: dict[str, Any]) -> None:
    array = _array(layout)
    kept: list[Iterator[Any]] = []
    array.store.take = kept.append
    with pytest.raises(StoreError, match="did not take all"):
        array[...] = VALUES + 1
    assert list(kept[0]) == []
    np.testing.assert_array_equal(array[...], VALUES)


@LAYOUTS
@pytest.mark.parametrize("n_rows", [32, 31])
def test_threads_of_a_store_may_take_from_one_iterator(layout: dict[str, Any], n_rows: int) -> None:
    array = _array(layout)

    def take(items: Iterator[tuple[str, Any]]) -> None:
        def work(_: int) -> None:
            for key, data in items:
                array.store.set(key, data)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))

    array.store.take = take
    expected = VALUES.copy()
    for i in range(20):
        values = VALUES[:n_rows, 1:] * (i + 2)
        array[:n_rows, 1:] = values
        expected[:n_rows, 1:] = values
        np.testing.assert_array_equal(array[...], expected)


def test_a_thread_that_takes_on_after_the_call_is_waited_for() -> None:
    array = _array({"chunks": (4, 4)})
    done = threading.Event()

    def take(items: Iterator[tuple[str, Any]]) -> None:
        def work() -> None:
            for key, data in items:
                array.store.set(key, data)
            done.set()

        threading.Thread(target=work).start()

    array.store.take = take
    for i in range(20):
        done.clear()
        try:
            array[...] = VALUES + i
        except StoreError as error:
            assert "did not take all" in str(error)  # noqa: PT017
        assert done.wait(10)
    array.store.take = None
    array[...] = VALUES
    np.testing.assert_array_equal(array[...], VALUES)


@LAYOUTS
def test_a_store_that_goes_on_after_an_error_of_the_iterator_loses_nothing(layout: dict[str, Any]) -> None:
    array = _array(layout)
    before = dict(array.store.objects)

    def give(requests: Any, answers: Any) -> Iterator[tuple[int, Any]]:
        for number, blob in answers:
            yield number, "no bytes" if number == 2 else blob

    def take(items: Iterator[tuple[str, Any]]) -> None:
        for _ in range(100):
            try:
                key, data = next(items)
                array.store.set(key, data)
            except StoreError:
                pass
            except StopIteration:
                break

    array.store.give, array.store.take = give, take
    with pytest.raises(StoreError, match="did not take all"):
        array[1:, 1:] = -1
    assert array.store.objects.keys() == before.keys()
    array.store.give = array.store.take = None
    expected = VALUES.copy()
    expected[1:, 1:] = -1
    found = array[...]
    assert ((found == VALUES) | (found == expected)).all()
    array[1:, 1:] = -1
    np.testing.assert_array_equal(array[...], expected)


def test_what_failed_first_is_told_if_the_store_then_fails_too() -> None:
    array = _array({"chunks": (4, 4)})
    key = next(key for key in array.store.objects if key.endswith("c/0/3"))
    array.store.objects[key] = b"damage"

    def take(items: Iterator[tuple[str, Any]]) -> None:
        for key, data in items:
            array.store.set(key, data)
        raise StoreError("too few")

    array.store.take = take
    with pytest.raises(CodecError, match="c/0/3"):
        array[1:, 1:] = -1


def test_a_copy_from_a_store_that_does_not_answer_removes_nothing() -> None:
    source, target = _array({"chunks": (4, 4)}), _array({"chunks": (4, 4)})

    def give(requests: Any, answers: Any) -> Iterator[tuple[int, Any]]:
        yield from (answer for answer in answers if answer[0] != 2)

    source.store.give = give
    with pytest.raises(StoreError, match="did not answer"):
        copy_data(source, target, is_new=False, verify=False, progress=None)
    np.testing.assert_array_equal(target[...], VALUES)
