"""What a store promises that makes many changes in one step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zarrc.errors import ReadOnlyError, TransactionConflictError
from zarrc.storage import Changes, Store
from zarrc.testing.samples import BODY
from zarrc.testing.store_facts import StoreFacts
from zarrc.testing.together import at_once

__all__ = ["StepTests"]


class StepTests(StoreFacts):
    """Tests of `Store.apply`; a part of `AtomicStoreTests`."""

    @pytest.fixture
    def staged(self, store: Store) -> Iterator[Store]:
        """Where new contents wait."""
        assert store.is_atomic
        with store.staging() as place:
            yield place

    def test_changes_are_applied_together(self, store: Store, staged: Store) -> None:
        store.set_many([("a/x", b"old"), ("a/y", b"goes"), ("a/z", b"stays")])
        staged.set_many([("1", BODY), ("2", b"")])
        store.apply(Changes({}, staged, {"a/x": "1", "b/new": "2"}, ["a/y", "a/never"]))
        assert _contents(store) == {"a/x": BODY, "a/z": b"stays", "b/new": b""}

    def test_changes_of_nothing_are_fine(self, store: Store, staged: Store) -> None:
        store.set("x", BODY)
        store.apply(Changes({}, staged, {}, []))
        assert _contents(store) == {"x": BODY}

    def test_expected_versions_are_those_of_stat(self, store: Store, staged: Store) -> None:
        store.set_many([("x", b"first"), ("y", b"watched")])
        expected = {key: found.version for key in ("x", "y") if (found := store.stat(key)) is not None}
        staged.set("1", b"second")
        store.apply(Changes({**expected, "absent": None}, staged, {"x": "1"}, []))
        assert _contents(store) == {"x": b"second", "y": b"watched"}

    @pytest.mark.parametrize("what", ["changed", "gone", "there already"])
    def test_a_change_by_another_stops_all_of_them(self, store: Store, staged: Store, what: str) -> None:
        store.set_many([("x", b"first"), ("y", b"first")])
        expected: dict[str, str | None] = {"new": None}
        for key in ("x", "y"):
            found = store.stat(key)
            assert found is not None
            expected[key] = found.version
        {"changed": lambda: store.set("y", b"other's"), "gone": lambda: store.delete("y")}.get(
            what, lambda: store.set("new", b"other's")
        )()
        before = _contents(store)
        staged.set_many([("1", b"mine"), ("2", b"mine")])
        with pytest.raises(TransactionConflictError) as caught:
            store.apply(Changes(expected, staged, {"x": "1", "new": "2"}, ["y"]))
        assert caught.value.key == ("new" if what == "there already" else "y")
        assert _contents(store) == before

    def test_a_read_only_store_refuses_changes(self, store: Store, staged: Store) -> None:
        store.set("x", b"first")
        staged.set("1", b"second")
        with pytest.raises(ReadOnlyError):
            store.with_read_only().apply(Changes({}, staged, {"x": "1"}, []))
        assert _contents(store) == {"x": b"first"}

    def test_readers_see_all_changes_or_none(self, store: Store, staged: Store) -> None:
        keys = [f"k/{number}" for number in range(5)]
        store.set_many((key, b"%06d" % 0) for key in keys)
        rounds = self.times(100)

        def write() -> None:
            for number in range(1, rounds + 1):
                with store.staging() as place:
                    place.set_many((f"s{n}", b"%06d" % number) for n in range(5))
                    store.apply(Changes({}, place, {key: f"s{n}" for n, key in enumerate(keys)}, []))

        def read() -> None:
            seen = 0
            while seen < rounds:
                # The first one written is the first one read: whoever sees it new sees the others so.
                numbers = []
                for key in keys:
                    blob = store.get(key)
                    assert blob is not None
                    numbers.append(int(bytes(blob)))
                assert numbers == sorted(numbers)
                seen = numbers[0]

        at_once(write, read, read)

    def test_of_changes_at_once_each_expecting_the_last_none_is_lost(
        self, store: Store, staged: Store
    ) -> None:
        store.set("counter", b"%08d" % 0)
        rounds = self.times(100)

        def add() -> None:
            done = 0
            while done < rounds:
                blob = store.get("counter")
                assert blob is not None
                with store.staging() as place:
                    place.set("1", b"%08d" % (int(bytes(blob)) + 1))
                    try:
                        store.apply(Changes({"counter": blob.version}, place, {"counter": "1"}, []))
                    except TransactionConflictError:
                        continue
                done += 1

        at_once(add, add, add)
        blob = store.get("counter")
        assert blob is not None
        assert int(bytes(blob)) == 3 * rounds


def _contents(store: Store) -> dict[str, bytes]:
    keys = list(store.list_prefix(""))
    return {
        keys[number]: bytes(blob or b"") for number, blob in store.get_many([(key, None) for key in keys])
    }
