"""What every store promises to several users: versions, one identity, whole objects at all times."""

from __future__ import annotations

import copy
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable

import pytest

from zarrc.errors import ReadOnlyError, StoreConflictError
from zarrc.storage import Blob, Stat, Store
from zarrc.testing.samples import BODY
from zarrc.testing.store_facts import StoreFacts
from zarrc.testing.together import add_to, at_once, count_together, in_child

__all__ = ["SharingTests"]


class SharingTests(StoreFacts):
    """Tests of versions, copies, threads and processes; a part of `StoreTests`."""

    # Versions.

    def test_stat_gives_size_and_version(self, store: Store) -> None:
        store.set("a/x", BODY)
        stat = store.stat("a/x")
        assert stat is not None
        assert stat.nbytes == len(BODY)
        assert isinstance(stat.version, str)
        assert store.stat("a/x") == stat
        assert store.stat("a") is None

    def test_versions_change_with_each_conditional_write(self, store: Store) -> None:
        seen = []
        version = store.set_if("x", b"0000", None)
        for number in range(20):
            seen.append(version)
            version = store.set_if("x", b"%04d" % (number + 1), version)
        assert len(set(seen)) == 20
        blob = store.get("x")
        assert blob is not None
        assert blob.version == version

    def test_the_version_of_every_door_is_a_condition(self, store: Store) -> None:
        def of_many() -> str | None:
            return _version(dict(store.get_many([("x", None)]))[0])

        doors: list[Callable[[], str | None]] = [
            lambda: _version(store.get("x")),
            lambda: _version(store.stat("x")),
            lambda: _version(dict(store.stat_many(["x"]))[0]),
            # A store may not know the version of a range.
            lambda: _version(store.get("x", (1, 2))) or of_many(),
            of_many,
        ]
        written = store.set_if("x", b"0000", None)
        for number, door in enumerate(doors * 2, 1):
            version = door()
            assert isinstance(version, str)
            written = store.set_if("x", b"%04d" % number, version)
            with pytest.raises(StoreConflictError):
                store.set_if("x", b"late", version)
        store.set_if("x", b"last", written)

    def test_set_if_creates_what_is_not_there(self, store: Store) -> None:
        version = store.set_if("a/b/x", b"first", None)
        with pytest.raises(StoreConflictError, match="there already") as caught:
            store.set_if("a/b/x", b"second", None)
        assert caught.value.key == "a/b/x"
        blob = store.get("a/b/x")
        assert blob is not None
        assert bytes(blob) == b"first"
        assert blob.version == version
        assert list(store.list_prefix("")) == ["a/b/x"]

    def test_set_if_replaces_the_version_that_was_read(self, store: Store) -> None:
        store.set("x", b"first")
        blob, stat = store.get("x"), store.stat("x")
        assert blob is not None
        assert stat is not None
        store.set_if("x", b"second", blob.version)
        for old in (blob.version, stat.version, "no-such-version"):
            with pytest.raises(StoreConflictError, match="changed since"):
                store.set_if("x", b"third", old)
        now = store.stat("x")
        assert now is not None
        store.set_if("x", b"fourth", now.version)
        last = store.get("x")
        assert last is not None
        assert bytes(last) == b"fourth"

    def test_set_if_sees_that_the_object_is_gone(self, store: Store) -> None:
        version = store.set_if("x", b"first", None)
        store.delete("x")
        with pytest.raises(StoreConflictError):
            store.set_if("x", b"second", version)
        assert store.get("x") is None
        store.set_if("x", b"third", None)

    def test_one_of_many_creators_wins(self, store: Store) -> None:
        for number in range(self.times(100)):

            def create(mine: int, number: int = number) -> int:
                try:
                    store.set_if(f"k/{number}", bytes([mine]), None)
                except StoreConflictError:
                    return -1
                return mine

            winners = [
                mine for mine in at_once(*(lambda mine=mine: create(mine) for mine in range(6))) if mine != -1
            ]
            blob = store.get(f"k/{number}")
            assert blob is not None
            assert winners == list(bytes(blob))

    def test_conditional_counting_loses_nothing(self, store: Store) -> None:
        rounds = self.times(200)
        assert count_together(*((copy.copy(store), "counter") for _ in range(4)), rounds=rounds) == 4 * rounds

    def test_conditions_hold_among_all_writers_where_the_store_says_so(self, store: Store) -> None:
        assert store.is_conditional in (True, False)
        if not (store.is_conditional and self.pickles_by_place):
            return
        twin = pickle.loads(pickle.dumps(store))
        assert twin.is_conditional
        version = store.set_if("x", b"first", None)
        with pytest.raises(StoreConflictError):
            twin.set_if("x", b"second", None)
        twin.set_if("x", b"third", version)
        with pytest.raises(StoreConflictError):
            store.set_if("x", b"fourth", version)
        with pytest.raises(StoreConflictError):
            store.set_if("x", b"fourth", None)
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == b"third"

    @pytest.mark.skipif(sys.platform == "darwin", reason="fork without exec is not safe there")
    def test_processes_that_count_under_a_condition_lose_nothing(self, store: Store) -> None:
        if not (store.is_conditional and self.pickles_by_place and self.forks):
            return
        store.set("counter", b"%08d" % 0)
        rounds = self.times(100)

        def child() -> bytes:
            return b"%d" % add_to(pickle.loads(pickle.dumps(store)), "counter", rounds)

        def mark() -> bytes:
            store.set("of the child", b"")
            return b""

        in_child(mark)
        if store.get("of the child") is None:  # the objects are in this process's memory
            return
        assert at_once(*(lambda: in_child(child) for _ in range(3))) == [b"%d" % rounds] * 3
        blob = store.get("counter")
        assert blob is not None
        assert int(bytes(blob)) == 3 * rounds

    # Read-only, identity, copies.

    def test_a_read_only_store_refuses_to_write(self, store: Store) -> None:
        store.set("x", BODY)
        reader = store.with_read_only()
        assert reader.read_only
        assert not store.read_only
        actions: list[Callable[[], object]] = [
            lambda: reader.set("x", b""),
            lambda: reader.set_many([("x", b"")]),
            lambda: reader.set_if("y", b"", None),
            lambda: reader.set_if("x", b"", "v"),
            lambda: reader.delete("x"),
            lambda: reader.delete_many(["x"]),
            lambda: reader.delete_prefix(""),
        ]
        for action in actions:
            with pytest.raises(ReadOnlyError, match="opened for reading only"):
                action()
        blob = reader.get("x")
        assert blob is not None
        assert bytes(blob) == BODY
        assert reader.identity == store.identity
        assert reader.with_read_only(False).read_only is False
        assert pickle.loads(pickle.dumps(reader)).read_only

    def test_identity_is_of_the_place(self, store: Store) -> None:
        twin = copy.copy(store)
        assert twin.identity == store.identity
        assert hash(twin.identity) == hash(store.identity)
        assert store.identity_of("") == store.identity
        assert store.identity_of("a/b") == twin.identity_of("a/b/")
        assert (
            len({store.identity, store.identity_of("a"), store.identity_of("a/b"), store.identity_of("ab")})
            == 4
        )

    def test_a_copy_is_on_the_same_objects(self, store: Store) -> None:
        twin = copy.copy(store)
        twin.set("x", BODY)
        assert store.get("x") is not None

    def test_a_pickled_store_has_the_same_objects(self, store: Store) -> None:
        store.set("a/x", BODY)
        twin = pickle.loads(pickle.dumps(store))
        blob = twin.get("a/x")
        assert bytes(blob) == BODY
        twin.set("a/y", b"by the twin")
        assert (store.get("a/y") is not None) == self.pickles_by_place
        assert (twin.identity == store.identity) == self.pickles_by_place

    def test_it_says_what_it_is(self, store: Store) -> None:
        assert str(store)
        assert type(store).__name__ in repr(store)
        if store.local_root is not None:
            assert os.path.isabs(store.local_root)

    def test_a_store_with_objects_has_no_missing_hint(self, store: Store) -> None:
        store.set("x", b"")
        assert store.missing_hint() is None

    # Threads and processes.

    def test_readers_see_whole_objects_while_writers_replace_them(self, store: Store) -> None:
        keys = [f"k/{number}" for number in range(4)]
        store.set_many((key, bytes(5000)) for key in keys)
        rounds = self.times(2000)

        def write(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(rounds):
                store.set(chance.choice(keys), bytes([chance.randrange(256)]) * chance.randrange(1, 10000))

        def read(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(rounds):
                blob = store.get(chance.choice(keys))
                assert blob is not None
                assert len(set(bytes(blob))) == 1

        at_once(*(lambda n=n: write(n) for n in range(3)), *(lambda n=n: read(n) for n in range(3)))

    def test_threads_set_delete_and_list_together(self, store: Store) -> None:
        rounds = self.times(300)
        store.set_many((f"stays/{number}", b"x") for number in range(20))

        def churn(mine: int) -> None:
            chance = random.Random(mine)
            for _ in range(rounds):
                key = f"churn/{mine}/{chance.randrange(5)}/x"
                store.set(key, key.encode())
                blob = store.get(key)
                assert blob is not None
                assert bytes(blob) == key.encode()
                if chance.random() < 0.3:
                    store.delete_prefix(f"churn/{mine}")
                    assert list(store.list_prefix(f"churn/{mine}")) == []
                if chance.random() < 0.2:
                    assert len(list(store.list_prefix("stays"))) == 20
                    assert store.list_dir("stays").keys == sorted(f"{number}" for number in range(20))

        at_once(*(lambda mine=mine: churn(mine) for mine in range(5)))

    @pytest.mark.skipif(sys.platform == "darwin", reason="fork without exec is not safe there")
    def test_a_forked_child_of_busy_threads_reads_right(self, store: Store) -> None:
        if not self.forks:
            pytest.skip("the store does not fork while threads are at work in it")
        store.set("fixed", BODY)
        stop = threading.Event()

        def churn(mine: int) -> None:
            while not stop.is_set():
                store.set(f"churn/{mine}", bytes(100))
                store.get(f"churn/{mine}")
                store.set_if(f"churn/{mine}/v", bytes(10), None) if mine == 9 else None

        threads = [threading.Thread(target=churn, args=(mine,)) for mine in range(3)]
        for thread in threads:
            thread.start()

        def child() -> bytes:
            blob = store.get("fixed")
            assert blob is not None
            store.set("child", b"of the child")
            store.set_if("child/if" if self.keys_nest else "childs", b"x", None)
            mine = store.get("child")
            assert mine is not None
            assert "fixed" in list(store.list_prefix(""))
            store.delete_prefix("childs")
            store.delete("childs")
            store.delete_prefix("child")
            return bytes(blob) + bytes(mine)

        try:
            for _ in range(self.times(100)):
                assert in_child(child) == BODY + b"of the child"
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _version(found: Blob | Stat | None) -> str | None:
    assert found is not None
    return found.version
