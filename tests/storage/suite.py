"""What every store promises, as tests: subclass `StoreTests` and give it a `store` fixture."""

from __future__ import annotations

import copy
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.soak import count
from zarrc.errors import ReadOnlyError, StoreConflictError, StoreError
from zarrc.storage import Blob, Store

BODY = bytes(range(256)) * 4

HOSTILE_KEYS = [
    "",
    "/",
    "/abs",
    "a/",
    "a//b",
    ".",
    "..",
    "../x",
    "a/..",
    "a/../b",
    "a/./b",
    "./a",
    "a\0b",
    "a\\b",
    "..\\x",
    "half \ud800 pair",
]

UNUSUAL_KEYS = [
    "räksmörgås/日本/🙂",
    "with space",
    "a?b=c&d",
    "per%20cent",
    "star*",
    "[x]",
    "{}",
    "~",
    "...",
    "a.b/.c/d..",
    "-",
    "'\"",
    "#x",
    "a:b",
    "new\nline",
]

WHOLE_RANGES = [(0, None), (0, 1024), (-1024, None), (-1024, 1024)]
PART_RANGES = [
    (0, 1),
    (0, 10),
    (1, 10),
    (1014, 10),
    (1023, 1),
    (1000, None),
    (1, None),
    (-1, None),
    (-16, None),
    (-16, 4),
    (-16, 16),
]
EMPTY_RANGES = [(0, 0), (10, 0), (1024, 0), (1024, None), (-5, 0)]
BAD_RANGES = [
    (1025, None),
    (1025, 0),
    (1024, 1),
    (1000, 25),
    (0, 1025),
    (-1025, None),
    (-1025, 3),
    (-2, 3),
    (5000, 5),
]


def in_child(action: Callable[[], bytes]) -> bytes:
    """What ``action`` gives in a forked child, or the text of its exception."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = action()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}".encode()
        os.write(writing, answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run each action in a thread of its own, started together; their results."""
    gate = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def count_together(*places: tuple[Store, str]) -> int:
    """The number that threads, each with a place of one and the same object, make of 0 by adding 1 each time.

    It should be their number times ``count(200)``.
    """
    rounds = count(200)
    places[0][0].set(places[0][1], b"%08d" % 0)

    def add(twin: Store, key: str) -> None:
        done = 0
        while done < rounds:
            blob = twin.get(key)
            assert blob is not None
            try:
                twin.set_if(key, b"%08d" % (int(bytes(blob)) + 1), blob.version)
            except StoreConflictError:
                continue
            done += 1

    at_once(*(lambda place=place: add(*place) for place in places))
    blob = places[0][0].get(places[0][1])
    assert blob is not None
    return int(bytes(blob))


class StoreTests:
    """The tests. A subclass has a fixture ``store`` that gives an empty, writable store."""

    # Whether a copy of the store, pickled, is on the same objects.
    pickles_by_place = True
    # Whether what is under "a" and what is under "a/b" may both be objects.
    keys_nest = True

    # Reading what was written.

    def test_what_was_set_is_got(self, store: Store) -> None:
        store.set("a/b", BODY)
        blob = store.get("a/b")
        assert blob is not None
        assert bytes(blob) == BODY
        assert blob.nbytes == len(blob) == len(BODY)
        assert blob.object_nbytes == len(BODY)

    def test_an_absent_object_is_none(self, store: Store) -> None:
        store.set("a/b", BODY)
        for key in ("a", "a/c", "a/b/c", "b", "zarr.json", "a/b.c"):
            assert store.get(key) is None
            assert store.get(key, (1, 2)) is None
            assert store.get(key, (-2, None)) is None
            assert store.get(key, (3, 0)) is None
            assert store.stat(key) is None
            assert store.get_into(key, bytearray(9)) is None

    def test_an_empty_object_is_not_absent(self, store: Store) -> None:
        store.set("empty", b"")
        blob = store.get("empty")
        assert blob is not None
        assert bytes(blob) == b""
        stat = store.stat("empty")
        assert stat is not None
        assert stat.nbytes == 0
        assert list(store.list_prefix("")) == ["empty"]
        whole = store.get("empty", (0, None))
        assert whole is not None
        assert bytes(whole) == b""

    @pytest.mark.parametrize("range", WHOLE_RANGES + PART_RANGES)
    def test_a_range_is_that_part(self, store: Store, range: tuple[int, int | None]) -> None:
        store.set("x", BODY)
        start, nbytes = range
        expected = BODY[start:] if nbytes is None else BODY[start:][:nbytes]
        blob = store.get("x", range)
        assert blob is not None
        assert bytes(blob) == expected
        assert blob.object_nbytes in (len(BODY), None)

    @pytest.mark.parametrize("range", EMPTY_RANGES)
    def test_a_range_of_no_bytes_is_empty(self, store: Store, range: tuple[int, int | None]) -> None:
        store.set("x", BODY)
        blob = store.get("x", range)
        assert blob is not None
        assert bytes(blob) == b""

    @pytest.mark.parametrize("range", BAD_RANGES)
    def test_a_range_that_leaves_the_object_is_an_error(
        self, store: Store, range: tuple[int, int | None]
    ) -> None:
        store.set("a/x", BODY)
        with pytest.raises(StoreError) as caught:
            store.get("a/x", range)
        assert caught.value.key == "a/x"
        with pytest.raises(StoreError):
            list(store.get_many([("a/x", range)]))

    def test_get_into_fills_the_start_of_the_buffer(self, store: Store) -> None:
        store.set("x", BODY)
        buffer = bytearray(b"\xee" * 2000)
        assert store.get_into("x", buffer) == len(BODY)
        assert buffer[: len(BODY)] == BODY
        assert buffer[len(BODY) :] == b"\xee" * (2000 - len(BODY))
        array = np.zeros(4, "<u4")
        assert store.get_into("x", array, (-16, None)) == 16
        assert array.tobytes() == BODY[-16:]

    def test_get_into_refuses_a_small_or_constant_buffer(self, store: Store) -> None:
        store.set("x", BODY)
        with pytest.raises(StoreError, match="1024 bytes do not fit a buffer of 1000"):
            store.get_into("x", bytearray(1000))
        with pytest.raises((TypeError, BufferError)):
            store.get_into("x", bytes(2000))

    def test_get_many_answers_each_request_once(self, store: Store) -> None:
        for number in range(30):
            store.set(f"n/{number}", bytes([number]) * (number + 1))
        requests = [(f"n/{number % 40}", (0, 1) if number % 3 else None) for number in range(80)]
        answers = list(store.get_many(requests))
        assert sorted(number for number, _ in answers) == list(range(80))
        for number, blob in answers:
            key, part = requests[number]
            n = number % 40
            if n >= 30:
                assert blob is None
            else:
                assert blob is not None
                assert bytes(blob) == bytes([n]) * (1 if part else n + 1), key

    def test_get_many_of_nothing_is_nothing(self, store: Store) -> None:
        assert list(store.get_many([])) == []

    # Writing.

    def test_overwriting_replaces_the_whole_object(self, store: Store) -> None:
        store.set("x", BODY)
        store.set("x", b"short")
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == b"short"

    @pytest.mark.parametrize(
        "data",
        [
            bytearray(b"12345678"),
            memoryview(b"12345678"),
            memoryview(bytearray(b"x12345678"))[1:],
            np.frombuffer(b"12345678", "<u2"),
            np.frombuffer(b"12345678", "u1").reshape(2, 2, 2),
            Blob(b"12345678"),
        ],
        ids=lambda data: type(data).__name__,
    )
    def test_any_contiguous_buffer_can_be_set(self, store: Store, data: bytes) -> None:
        store.set("x", data)
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == b"12345678"

    def test_what_is_no_contiguous_buffer_is_refused(self, store: Store) -> None:
        with pytest.raises(TypeError):
            store.set("x", "text")  # type: ignore[arg-type]
        with pytest.raises((BufferError, ValueError)):
            store.set("x", np.arange(10, dtype="u1")[::2])
        assert store.get("x") is None

    def test_data_is_borrowed_for_the_call_only(self, store: Store) -> None:
        data = bytearray(b"first")
        store.set("x", data)
        store.set_many([("y", data)])
        data[:] = b"other"
        for key in ("x", "y"):
            blob = store.get(key)
            assert blob is not None
            assert bytes(blob) == b"first"
        data.append(1)  # a buffer that is still lent out cannot grow

    def test_set_many_sets_all(self, store: Store) -> None:
        store.set_many((f"m/{number}", bytes([number])) for number in range(70))
        assert sorted(store.list_prefix("m")) == sorted(f"m/{number}" for number in range(70))
        blob = store.get("m/69")
        assert blob is not None
        assert bytes(blob) == bytes([69])

    def test_a_deleted_object_is_absent(self, store: Store) -> None:
        store.set("a/x", BODY)
        store.set("a/y", BODY)
        store.delete("a/x")
        assert store.get("a/x") is None
        assert list(store.list_prefix("")) == ["a/y"]

    def test_deleting_an_absent_object_is_fine(self, store: Store) -> None:
        store.delete("nothing")
        store.delete("nothing/at/all")
        store.set("a/x", BODY)
        store.delete("a")
        store.delete_many(["a/x", "a/x", "a/y"])
        assert list(store.list_prefix("")) == []

    # Blobs.

    def test_a_blob_cannot_be_changed(self, store: Store) -> None:
        store.set("x", BODY)
        blob = store.get("x")
        assert blob is not None
        view = memoryview(blob)
        assert view.readonly
        assert view.format == "B"
        with pytest.raises(TypeError):
            view[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            np.frombuffer(blob, "u1")[0] = 1

    def test_a_blob_survives_its_object(self, store: Store) -> None:
        store.set("x", BODY)
        whole, part = store.get("x"), store.get("x", (-4, None))
        assert whole is not None
        assert part is not None
        array = np.frombuffer(whole, "u1")
        store.set("x", b"\0" * len(BODY))
        store.delete("x")
        assert bytes(whole) == array.tobytes() == BODY
        assert bytes(part) == BODY[-4:]
        del whole
        assert array.tobytes() == BODY

    def test_a_blob_pickles(self, store: Store) -> None:
        store.set("x", BODY)
        blob = store.get("x")
        assert blob is not None
        again = pickle.loads(pickle.dumps(blob))
        assert (bytes(again), again.version, again.object_nbytes) == (BODY, blob.version, len(BODY))

    # Keys.

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_a_hostile_key_is_refused_by_every_method(self, store: Store, key: str) -> None:
        for action in (
            lambda: store.get(key),
            lambda: store.get(key, (0, 0)),
            lambda: list(store.get_many([(key, None)])),
            lambda: store.get_into(key, bytearray(10)),
            lambda: store.stat(key),
            lambda: store.set(key, b"data"),
            lambda: store.set_many([(key, b"data")]),
            lambda: store.set_if(key, b"data", None),
            lambda: store.delete(key),
            lambda: store.delete_many([key]),
        ):
            with pytest.raises(StoreError, match="not a legal key"):
                action()
        assert list(store.list_prefix("")) == []

    @pytest.mark.parametrize("prefix", [key for key in HOSTILE_KEYS if key not in ("", "a/")])
    def test_a_hostile_prefix_is_refused(self, store: Store, prefix: str) -> None:
        for action in (
            lambda: list(store.list_prefix(prefix)),
            lambda: store.list_dir(prefix),
            lambda: store.delete_prefix(prefix),
        ):
            with pytest.raises(StoreError, match="not a legal key"):
                action()

    def test_a_key_must_be_text(self, store: Store) -> None:
        for key in (None, 3, b"x", ("x",)):
            with pytest.raises(TypeError):
                store.get(key)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                store.set(key, b"")  # type: ignore[arg-type]

    @pytest.mark.parametrize("key", UNUSUAL_KEYS)
    def test_unusual_keys_work(self, store: Store, key: str) -> None:
        store.set(key, BODY)
        store.set("other/" + key, b"other")
        blob = store.get(key)
        assert blob is not None
        assert bytes(blob) == BODY
        assert sorted(store.list_prefix("")) == sorted([key, "other/" + key])
        assert list(store.list_prefix("other")) == ["other/" + key]
        store.delete(key)
        assert list(store.list_prefix("")) == ["other/" + key]
        store.delete_prefix("other")
        assert list(store.list_prefix("")) == []

    def test_stars_in_keys_are_letters(self, store: Store) -> None:
        store.set_many((key, b"") for key in ("d*/x", "dog/x", "star*", "starfish"))
        store.delete("star*")
        store.delete_many(["sta?fish", "[s]tarfish"])
        store.delete_prefix("d*")
        assert sorted(store.list_prefix("")) == ["dog/x", "starfish"]
        assert list(store.list_prefix("do*")) == []

    def test_long_keys_work(self, store: Store) -> None:
        deep = "/".join(["c"] * 40)
        wide = "/".join(["n" * 200] * 5)
        store.set_many([(deep, b"deep"), (wide, b"wide")])
        assert sorted(store.list_prefix("")) == sorted([deep, wide])
        blob = store.get(wide)
        assert blob is not None
        assert bytes(blob) == b"wide"

    # Listing.

    TREE = (
        "zarr.json",
        "a/zarr.json",
        "a/c/0/0",
        "a/c/0/1",
        "a/c/10/0",
        "ab/zarr.json",
        "b.c/d",
        "b/.zarray",
    )

    @pytest.fixture
    def tree(self, store: Store) -> Store:
        store.set_many((key, key.encode()) for key in self.TREE)
        return store

    @pytest.mark.parametrize(
        "prefix", ["", "a", "a/", "a/c", "a/c/0", "a/c/1", "ab", "b", "b.c", "zarr.json", "none"]
    )
    def test_list_prefix_gives_the_keys_below_it(self, tree: Store, prefix: str) -> None:
        start = prefix if prefix in ("", "a/") else prefix + "/"
        assert sorted(tree.list_prefix(prefix)) == sorted(key for key in self.TREE if key.startswith(start))

    def test_list_dir_gives_names(self, tree: Store) -> None:
        assert tree.list_dir("") == (["zarr.json"], ["a", "ab", "b", "b.c"])
        assert tree.list_dir("a") == tree.list_dir("a/") == (["zarr.json"], ["c"])
        assert tree.list_dir("a/c/0") == (["0", "1"], [])
        assert tree.list_dir("none") == tree.list_dir("zarr.json") == ([], [])
        assert tree.list_dir("b").keys == [".zarray"]

    def test_delete_prefix_deletes_what_is_below_it(self, tree: Store) -> None:
        tree.delete_prefix("a")
        assert sorted(tree.list_prefix("")) == sorted(key for key in self.TREE if not key.startswith("a/"))
        tree.delete_prefix("none")
        tree.delete_prefix("zarr.json")
        assert tree.get("zarr.json") is not None
        tree.delete_prefix("")
        assert list(tree.list_prefix("")) == []
        tree.set("a/again", b"")
        assert list(tree.list_prefix("")) == ["a/again"]

    def test_reserved_names_are_hidden(self, store: Store) -> None:
        keys = [".zc-1-2-3", "a/.zc-x", "a/.zc/journal/1", "a/.zarray", "a/x.zc"]
        store.set_many((key, b"x") for key in keys)
        assert sorted(store.list_prefix("")) == ["a/.zarray", "a/x.zc"]
        assert sorted(store.list_prefix("a")) == ["a/.zarray", "a/x.zc"]
        assert store.list_dir("") == ([], ["a"])
        assert store.list_dir("a") == ([".zarray", "x.zc"], [])
        assert list(store.list_prefix("a/.zc")) == ["a/.zc/journal/1"]

    def test_an_object_below_another_is_right_or_refused(self, store: Store) -> None:
        store.set("a", b"upper")
        if not self.keys_nest:
            with pytest.raises(StoreError):
                store.set("a/b", b"lower")
            assert list(store.list_prefix("")) == ["a"]
            return
        store.set("a/b", b"lower")
        upper, lower = store.get("a"), store.get("a/b")
        assert upper is not None
        assert lower is not None
        assert (bytes(upper), bytes(lower)) == (b"upper", b"lower")
        assert store.list_dir("") == (["a"], ["a"])

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
        for number in range(count(100)):

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
        assert count_together(*((copy.copy(store), "counter") for _ in range(4))) == 4 * count(200)

    # Read-only, identity, copies.

    def test_a_read_only_store_refuses_to_write(self, store: Store) -> None:
        store.set("x", BODY)
        reader = store.with_read_only()
        assert reader.read_only
        assert not store.read_only
        for action in (
            lambda: reader.set("x", b""),
            lambda: reader.set_many([("x", b"")]),
            lambda: reader.set_if("y", b"", None),
            lambda: reader.set_if("x", b"", "v"),
            lambda: reader.delete("x"),
            lambda: reader.delete_many(["x"]),
            lambda: reader.delete_prefix(""),
        ):
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
        rounds = count(2000)

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
        rounds = count(300)
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
            for _ in range(count(100)):
                assert in_child(child) == BODY + b"of the child"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
