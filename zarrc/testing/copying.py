"""What every store promises of copies, of looking at many objects, and of its end."""

from __future__ import annotations

import pickle

import pytest

from zarrc.errors import ReadOnlyError, StoreError
from zarrc.storage import Stat, Store
from zarrc.testing.samples import BODY
from zarrc.testing.store_facts import StoreFacts

__all__ = ["CopyTests"]


class CopyTests(StoreFacts):
    """Tests of copies, of `Store.stat_many` and of `Store.close`; a part of `StoreTests`."""

    # Copies.

    def test_a_copy_has_the_bytes_of_its_source(self, store: Store) -> None:
        store.set("a/x", BODY)
        store.set("empty", b"")
        store.copy("a/x", "b/c/y")
        store.copy("empty", "b/empty")
        for key, wanted in (("a/x", BODY), ("b/c/y", BODY), ("empty", b""), ("b/empty", b"")):
            blob = store.get(key)
            assert blob is not None
            assert bytes(blob) == wanted
        assert sorted(store.list_prefix("")) == ["a/x", "b/c/y", "b/empty", "empty"]

    def test_a_copy_replaces_what_was_there_and_lives_alone(self, store: Store) -> None:
        store.set_many([("x", BODY), ("y", b"before")])
        store.copy("x", "y")
        store.set("x", b"after")
        blob = store.get("y")
        assert blob is not None
        assert bytes(blob) == BODY
        store.delete("x")
        assert store.get("y", (0, 3)) is not None

    def test_a_copy_onto_itself_changes_no_bytes(self, store: Store) -> None:
        store.set("x", BODY)
        store.copy("x", "x")
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == BODY

    def test_a_copy_of_an_absent_object_is_an_error(self, store: Store) -> None:
        store.set("y", b"stays")
        for source in ("x", "x/y", "y/z"):
            with pytest.raises(StoreError) as caught:
                store.copy(source, "y")
            assert caught.value.key == source
            with pytest.raises(StoreError):
                store.copy_many([(source, "y")])
        blob = store.get("y")
        assert blob is not None
        assert bytes(blob) == b"stays"

    def test_copy_many_copies_all(self, store: Store) -> None:
        store.set_many((f"from/{number}", bytes([number])) for number in range(40))
        store.copy_many((f"from/{number}", f"to/{number}") for number in range(40))
        store.copy_many([])
        for number in range(40):
            blob = store.get(f"to/{number}")
            assert blob is not None
            assert bytes(blob) == bytes([number])

    def test_a_read_only_store_refuses_to_copy(self, store: Store) -> None:
        store.set("x", BODY)
        reader = store.with_read_only()
        with pytest.raises(ReadOnlyError, match="opened for reading only"):
            reader.copy("x", "y")
        with pytest.raises(ReadOnlyError, match="opened for reading only"):
            reader.copy_many([("x", "y")])
        assert store.get("y") is None

    # Looking at many.

    def test_stat_many_answers_each_key_once(self, store: Store) -> None:
        store.set_many((f"n/{number}", bytes(number)) for number in range(30))
        keys = [f"n/{number % 40}" for number in range(80)] + ["n", "n/3/x"]
        answers = dict(store.stat_many(keys))
        assert sorted(answers) == list(range(82))
        for number, key in enumerate(keys):
            assert answers[number] == store.stat(key), key
        assert {number: _nbytes(answers[number]) for number in (29, 30, 80, 81)} == {
            29: 29,
            30: None,
            80: None,
            81: None,
        }

    def test_stat_many_of_nothing_is_nothing(self, store: Store) -> None:
        assert list(store.stat_many([])) == []

    # The end.

    def test_what_was_written_is_there_after_close(self, store: Store) -> None:
        pickled = pickle.dumps(store) if self.pickles_by_place else None
        with store as same:
            assert same is store
            same.set("a/x", BODY)
        store.close()
        if pickled is not None:
            blob = pickle.loads(pickled).get("a/x")
            assert blob is not None
            assert bytes(blob) == BODY


def _nbytes(stat: Stat | None) -> int | None:
    return None if stat is None else stat.nbytes
