"""Mappings as stores."""

from __future__ import annotations

import collections
import gc
import pickle
import shelve
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import numpy as np
import pytest

from zarrc.errors import StoreDeniedError, StoreError
from zarrc.storage import MappingStore, Store
from zarrc.testing import StoreTests


class TestShelf(StoreTests):
    """A mapping with a file behind it; it is not made for threads, forks or pickling."""

    test_readers_see_whole_objects_while_writers_replace_them = None
    test_threads_set_delete_and_list_together = None
    test_a_forked_child_of_busy_threads_reads_right = None
    test_one_of_many_creators_wins = None
    test_conditional_counting_loses_nothing = None
    test_a_pickled_store_has_the_same_objects = None
    test_what_was_written_is_there_after_close = None
    test_a_read_only_store_refuses_to_write = None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with shelve.open(str(tmp_path / "shelf")) as shelf:
            yield MappingStore(shelf)


def test_the_mapping_itself_is_used() -> None:
    mapping = {"a/x": b"data"}
    store = MappingStore(mapping)
    store.set("a/y", bytearray(b"more"))
    assert mapping == {"a/x": b"data", "a/y": b"more"}
    assert type(mapping["a/y"]) is bytes
    del mapping["a/x"]
    assert store.get("a/x") is None


@pytest.mark.parametrize("value", [bytearray(b"abcd"), memoryview(b"abcd"), np.frombuffer(b"abcd", "<u2")])
def test_values_may_be_any_bytes(value: object) -> None:
    store = MappingStore({"x": value})
    assert bytes(store.get("x", (1, 2)) or b"") == b"bc"


@pytest.mark.parametrize("value", ["text", 7, None, np.arange(10)[::2]])
def test_a_value_that_is_no_bytes_is_an_error(value: object) -> None:
    with pytest.raises(StoreError, match="no bytes but a") as caught:
        MappingStore({"x": value}).get("x")
    assert caught.value.key == "x"


def test_keys_that_are_no_text_are_not_listed() -> None:
    store = MappingStore({1: b"", "x": b"", ("a",): b"", "../y": b""})  # type: ignore[dict-item]
    assert list(store.list_prefix("")) == ["x"]


class Failing(MutableMapping[str, bytes]):
    """A mapping whose server is away."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def _fail(self, *_: object) -> None:
        raise self.error

    __getitem__ = __setitem__ = __delitem__ = __iter__ = __len__ = _fail  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError("no route"), StoreError),
        (RuntimeError("broken"), StoreError),
        (IndexError("broken"), StoreError),
        (PermissionError("not yours"), StoreDeniedError),
    ],
)
def test_only_a_key_error_means_absent(error: Exception, kind: type[StoreError]) -> None:
    store = MappingStore(Failing(error))
    for action in (lambda: store.get("x"), lambda: store.set("x", b""), lambda: store.delete("x")):
        with pytest.raises(kind, match=str(error)) as caught:
            action()
        assert caught.value.key == "x"
        assert caught.value.__cause__ is error
    with pytest.raises(kind):
        list(store.list_prefix(""))
    assert MappingStore(Failing(KeyError("x"))).get("x") is None


def test_identity_is_that_of_the_mapping() -> None:
    one: dict[str, bytes] = {}
    other: dict[str, bytes] = {}
    assert MappingStore(one).identity != MappingStore(other).identity
    held = MappingStore(one)
    assert held.identity == MappingStore(one).identity
    assert held.identity != MappingStore(other).identity


def test_an_identity_is_not_used_again_for_another_mapping() -> None:
    seen = set()
    for _ in range(100):
        seen.add(MappingStore(collections.OrderedDict()).identity)
        gc.collect(0)
    assert len(seen) == 100


def test_a_pickled_mapping_is_a_copy() -> None:
    store = MappingStore({"x": b"data"}, read_only=True)
    again = pickle.loads(pickle.dumps(store))
    assert bytes(again.get("x")) == b"data"
    assert again.read_only
    assert again.identity != store.identity
