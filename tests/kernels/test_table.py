"""The table of memory stores."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.soak import count
from zarrc.errors import StoreError
from zarrc.kernels.table import Table, TableBlob
from zarrc.testing.together import at_once, in_child

keys = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3
) | st.sampled_from(["a", "a/b", "a/c/0", "a/c/1", "ab", "k" * 15, "k" * 16, "k" * 17, "k" * 33])


class TableIsADict(RuleBasedStateMachine):
    """Whatever is done to it, a table holds what a dict would."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
        self.model: dict[str, bytes] = {}

    @rule(key=keys, data=st.binary(max_size=100))
    def set(self, key: str, data: bytes) -> None:
        self.table.set(key, data)
        self.model[key] = data

    @rule(key=keys, data=st.binary(max_size=10))
    def create(self, key: str, data: bytes) -> None:
        written = self.table.set_if(key, data, None)
        assert (written is None) == (key in self.model)
        self.model.setdefault(key, data)

    @rule(key=keys, data=st.binary(max_size=10), stale=st.booleans())
    def swap(self, key: str, data: bytes, stale: bool) -> None:
        found = self.table.stat(key)
        if found is None:
            assert self.table.set_if(key, data, "table-1") is None
            return
        if stale:
            self.table.set(key, self.model[key])
        written = self.table.set_if(key, data, found[1])
        assert (written is None) == stale
        if not stale:
            self.model[key] = data

    @rule(key=keys)
    def remove(self, key: str) -> None:
        assert self.table.remove(key) == (self.model.pop(key, None) is not None)

    @rule(prefix=keys)
    def remove_prefix(self, prefix: str) -> None:
        self.table.remove_prefix(prefix)
        self.model = {key: data for key, data in self.model.items() if not key.startswith(prefix)}

    @rule(prefix=keys)
    def list(self, prefix: str) -> None:
        below = [key for key in self.model if key.startswith(prefix)]
        assert sorted(self.table.keys(prefix)) == sorted(below)
        children = set()
        for key in below:
            name, slash, _ = key[len(prefix) :].partition("/")
            children.add(prefix + name + slash)
        assert sorted(self.table.children(prefix)) == sorted(children)

    @rule(key=keys, start=st.integers(-5, 5), nbytes=st.none() | st.integers(0, 5))
    def get_range(self, key: str, start: int, nbytes: int | None) -> None:
        data = self.model.get(key)
        if data is None:
            assert self.table.get(key, start, nbytes) is None
            return
        first = start + len(data) if start < 0 else start
        if first < 0 or first + (nbytes or 0) > len(data):
            with pytest.raises(StoreError):
                self.table.get(key, start, nbytes)
        else:
            blob = self.table.get(key, start, nbytes)
            assert blob is not None
            assert bytes(blob) == data[first:][:nbytes]

    @invariant()
    def holds_the_same(self) -> None:
        assert len(self.table) == len(self.model)
        for key, data in self.model.items():
            blob = self.table.get(key)
            assert blob is not None
            assert bytes(blob) == data
            assert self.table.stat(key) == (len(data), blob.version)


TestTableIsADict = TableIsADict.TestCase


def test_blobs_share_the_memory_of_the_table() -> None:
    table = Table()
    table.set("x", bytes(1000))
    one, other = table.get("x"), table.get("x", 10, 5)
    address = np.frombuffer(one, "u1").ctypes.data
    assert np.frombuffer(other, "u1").ctypes.data == address + 10
    assert address % 64 == 0


# Below and above the size from which look-ups of a batch go side by side: 300 entries in each of 64 stripes.
@pytest.mark.parametrize("n_keys", [0, 1, 500, 40_000])
def test_keys_looked_up_together_have_the_values_that_each_has(n_keys: int) -> None:
    table = Table()
    for i in range(n_keys):
        table.set(f"key/{i}", b"%d" % i)
    chooser = random.Random(n_keys)
    for n in (0, 1, 2, 15, 16):
        for _ in range(50):
            chosen = tuple(f"key/{chooser.randrange(n_keys + 3)}" for _ in range(n))
            found = table.get_many(chosen)
            assert [blob and bytes(blob) for blob in found] == [
                blob and bytes(blob) for blob in map(table.get, chosen)
            ]
    with pytest.raises(ValueError, match="at most 16"):
        table.get_many(("x",) * 17)


def test_keys_are_looked_up_together_while_others_change_them() -> None:
    table = Table()
    chosen = tuple(f"key/{i}" for i in range(16))
    for i in range(20_000):
        table.set(f"key/{i}", b"%d" % i)

    def look_up() -> None:
        for _ in range(count(300)):
            for blob in table.get_many(chosen):
                assert blob is None or bytes(blob).isdigit()

    def change() -> None:
        for i in range(count(300) * 16):
            table.remove(chosen[i % 16])
            assert table.share(f"key/{100 + i % 1000}", chosen[i % 16])

    at_once(look_up, change, look_up, change)


def test_a_shared_value_is_the_same_memory_and_outlives_the_other_key() -> None:
    table = Table()
    assert not table.share("x", "y")
    for nbytes in (0, 10, 3 << 20):
        data = random.Random(nbytes).randbytes(nbytes)
        table.set("x", data)
        assert table.share("x", "y")
        assert table.share("y", "z")
        x, z = table.get("x"), table.get("z")
        assert x is not None
        assert z is not None
        assert np.frombuffer(x, "u1").ctypes.data == np.frombuffer(z, "u1").ctypes.data
        assert x.version != z.version
        del x, z
        table.set("x", b"other")
        table.remove("y")
        assert bytes(table.get("z") or b"") == data


def test_a_blob_outlives_its_table() -> None:
    table = Table()
    table.set("x", b"data")
    blob = table.get("x")
    del table
    assert blob is not None
    assert bytes(blob) == b"data"


def test_a_blob_is_made_by_its_table_only() -> None:
    assert bytes(TableBlob(None)) == b""  # type: ignore[arg-type]


def test_a_nul_in_a_key_is_refused() -> None:
    table = Table()
    with pytest.raises(ValueError, match="out of range"):
        table.set("a\0b", b"")
    with pytest.raises(UnicodeEncodeError):
        table.set("\ud800", b"")
    assert len(table) == 0


def test_what_is_no_buffer_leaves_the_table_as_it_was() -> None:
    table = Table()
    table.set("x", b"old")
    with pytest.raises(TypeError):
        table.set("x", 5)  # type: ignore[arg-type]
    with pytest.raises((BufferError, ValueError)):
        table.set_if("y", np.arange(10)[::2], None)
    assert table.keys() == ["x"]


@pytest.mark.parametrize(
    "version", ["", "table-", "table-0", "table-x", "table--1", "table-99999999999999999999", "1"]
)
def test_a_foreign_version_matches_nothing(version: str) -> None:
    table = Table()
    table.set("x", b"old")
    assert table.set_if("x", b"new", version) is None
    assert table.set_if("y", b"new", version) is None
    assert table.keys() == ["x"]


def test_versions_and_serials_are_never_used_twice() -> None:
    tables = [Table() for _ in range(10)]
    versions = [table.set_if("x", b"", None) for table in tables for _ in [table.remove("x")]]
    tables[0].remove("x")
    versions.append(tables[0].set_if("x", b"", None))
    assert len(set(versions)) == 11
    serials = {table.serial for table in tables}
    del tables
    assert not serials & {Table().serial for _ in range(10)}


def test_a_hundred_thousand_keys() -> None:
    table = Table()
    for number in range(100_000):
        table.set(f"a/c/{number // 300}/{number % 300}", b"%d" % number)
    assert len(table) == 100_000
    assert all(
        bytes(table.get(f"a/c/{n // 300}/{n % 300}") or b"") == b"%d" % n for n in range(0, 100_000, 7)
    )
    assert table.children("a/") == ["a/c/"]
    assert len(table.children("a/c/")) == 334
    assert len(table.keys("a/c/1/")) == 300
    table.remove_prefix("a/c/1")
    assert len(table) == 100_000 - 300 * 111 - (300 if 100 <= 333 else 0) + 300
    table.remove_prefix("")
    assert len(table) == 0


def test_threads_hammer_one_table() -> None:
    table = Table()

    def hammer(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(count(30_000)):
            key = f"k/{chance.randrange(30)}"
            what = chance.random()
            if what < 0.4:
                blob = table.get(key)
                assert blob is None or len(set(bytes(blob))) == 1
            elif what < 0.7:
                table.set(key, bytes([chance.randrange(256)]) * chance.randrange(1, 500))
            elif what < 0.8:
                table.remove(key)
            elif what < 0.9:
                stat = table.stat(key)
                table.set_if(key, b"\1" * 50, None if stat is None else stat[1])
            elif what < 0.95:
                assert len(table.keys("k/")) <= 30
            else:
                table.remove_prefix("k/1")

    at_once(*(lambda seed=seed: hammer(seed) for seed in range(6)))
    assert len(table) == len(table.keys())


def test_a_fork_in_the_middle_of_writes_finds_the_table_whole() -> None:
    table = Table()
    table.set("fixed", b"fixed")
    stop = threading.Event()

    def churn(mine: int) -> None:
        number = 0
        while not stop.is_set():
            table.set(f"{mine}/{number % 50}", b"x" * (number % 200))
            number += 1

    threads = [threading.Thread(target=churn, args=(mine,)) for mine in range(3)]
    for thread in threads:
        thread.start()

    def child() -> bytes:
        for key in table.keys():  # noqa: SIM118
            blob = table.get(key)
            assert blob is not None
            assert set(bytes(blob)) <= set(b"xfixed")
            table.set(key, b"child")
        fresh = Table()
        fresh.set("y", b"y")
        return bytes(table.get("fixed") or b"") + bytes(fresh.get("y") or b"")

    try:
        for _ in range(count(200)):
            assert in_child(child) == b"childy"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert bytes(table.get("fixed") or b"") == b"fixed"
