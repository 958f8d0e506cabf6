"""A transaction: what is read inside it, what others see, what is left of it."""

# ruff: noqa: PT012, SIM117 - what is tested is a block of several statements
from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.transactions.samples import KINDS, change, check, contents, fill, left_names, make_store
from zarrc.errors import ReadOnlyError, StoreError, TransactionConflictError
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store, StorePath
from zarrc.transactions import TransactionStore


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return make_store(request.param, tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_all_is_there_at_the_end_and_nothing_before(store: Store, zarr_format: Any) -> None:
    fill(store, zarr_format)
    top = zarrc.open_group(store)
    before = contents(store)
    with zarrc.transaction(top) as tx:
        change(tx)
        check(tx, changed=True)
        check(zarrc.open_group(store, mode="r"), changed=False)
        assert contents(store) == before
        assert tx.store.status == "open"
    assert tx.store.status == "committed"
    check(zarrc.open_group(store, mode="r"), changed=True)
    check(top, changed=True)
    assert left_names(store) == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_it_stores_what_plain_writing_stores(tmp_path: Path, store: Store, zarr_format: Any) -> None:
    fill(store, zarr_format)
    with zarrc.transaction(zarrc.open_group(store)) as tx:
        change(tx)
    plain = MemoryStore()
    fill(plain, zarr_format)
    change(zarrc.open_group(plain))
    assert contents(store) == contents(plain)


def test_an_exception_drops_all_and_goes_on(store: Store) -> None:
    fill(store)
    before = contents(store)
    with pytest.raises(ZeroDivisionError), zarrc.transaction(zarrc.open_group(store)) as tx:
        change(tx)
        raise ZeroDivisionError
    assert tx.store.status == "rolled back"
    assert contents(store) == before
    assert left_names(store) == []


def test_a_transaction_that_changes_nothing_leaves_nothing(store: Store) -> None:
    fill(store)
    before = contents(store)
    with zarrc.transaction(zarrc.open_group(store)) as tx:
        assert tx["grown"][3] == 3
    assert tx.store.status == "committed"
    assert contents(store) == before
    assert left_names(store) == []


def test_it_ends_where_it_is_said_to(store: Store) -> None:
    fill(store)
    with zarrc.transaction(zarrc.open_group(store)["grown"]) as tx:
        tx[0] = 100
        tx.store.commit()
        with pytest.raises(StoreError, match="is committed"):
            tx[1] = 100
    with zarrc.transaction(zarrc.open_group(store)["grown"]) as tx:
        tx[1] = 100
        tx.store.rollback()
        with pytest.raises(StoreError, match="is rolled back"):
            _ = tx[1]
    assert zarrc.open_group(store)["grown"][:3].tolist() == [100, 1, 2]


def test_what_it_gives_is_of_the_targets_kind(store: Store) -> None:
    fill(store)
    top = zarrc.open_group(store)
    with zarrc.transaction(top, top["grown"], store, StorePath(store, "deep")) as (group, array, all_, deep):
        assert isinstance(group, zarrc.Group)
        assert isinstance(array, zarrc.Array)
        assert isinstance(all_, TransactionStore)
        assert isinstance(deep, StorePath)
        array[0] = 5
        assert group["grown"][0] == 5
        zarrc.open_array(all_, path="cut")[0] = 6
        zarrc.create_array(deep, name="more", data=[1])
    assert (top["grown"][0], top["cut"][0], top["deep/more"][0]) == (5, 6, 1)


def test_a_new_hierarchy_is_made_or_not(store: Store, tmp_path: Path) -> None:
    with pytest.raises(KeyError), zarrc.transaction(store) as tx:
        zarrc.create_array(tx, name="a/b", data=[1, 2, 3])
        raise KeyError
    assert contents(store) == {}
    assert left_names(store) == []
    if isinstance(store, LocalStore):
        assert os.listdir(tmp_path) == []
    with zarrc.transaction(store) as tx:
        zarrc.create_array(tx, name="a/b", data=[1, 2, 3])
    assert zarrc.open_array(store, path="a/b")[...].tolist() == [1, 2, 3]
    assert left_names(store) == []


def test_several_directories_have_one_transaction(tmp_path: Path) -> None:
    arrays = [zarrc.create_array(tmp_path / name, data=[1, 2]) for name in ("a", "b")]
    with zarrc.transaction(*arrays) as (a, b):
        a[0] = 5
        b[1] = 6
        assert [list(one) for one in arrays] == [[1, 2], [1, 2]]
    assert [list(one) for one in arrays] == [[5, 2], [1, 6]]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_shape_that_was_given_up_does_not_come_back(store: Store) -> None:
    a = zarrc.create_array(store, data=np.arange(20), chunks=(5,))
    with zarrc.transaction(a) as tx:
        tx.resize(7)
    assert a.shape == (7,)
    a.resize(20)
    assert a[...].tolist() == [*range(7), *[0] * 13]


def test_consolidated_metadata_are_part_of_it(store: Store) -> None:
    fill(store)
    top = zarrc.consolidate_metadata(store)
    with zarrc.transaction(top) as tx:
        change(tx)
        check(zarrc.open_consolidated(store, mode="r"), changed=False)
    check(zarrc.open_consolidated(store, mode="r"), changed=True)
    check(top, changed=True)
    link = zarrc.open_consolidated(store, mode="r")._consolidated
    assert link is not None
    assert link.find("fresh/inner")[1] is not None


def test_what_waits_in_a_buffer_is_part_of_it(store: Store) -> None:
    a = zarrc.create_array(store, data=np.zeros(20), chunks=(5,))
    with a.buffered():
        a[0] = 1
        with zarrc.transaction(a) as tx:
            with tx.buffered():
                tx[1] = 2
                tx.store.commit()
    assert a[:3].tolist() == [1, 2, 0]


def test_other_handles_and_caches_see_it(store: Store) -> None:
    a = zarrc.create_array(store, data=np.arange(20), chunks=(5,))
    other, kept = zarrc.open_array(store), zarrc.open_array(store).with_cache()
    assert (other[3], kept[3]) == (3, 3)
    with zarrc.transaction(a) as tx:
        tx[3] = 30
    assert (other[3], kept[3]) == (30, 30)


def test_objects_of_other_nodes_are_refused(store: Store) -> None:
    fill(store)
    with zarrc.transaction(zarrc.open_group(store)["deep"]) as tx:
        with pytest.raises(StoreError, match="not below it"):
            zarrc.open_array(tx.store, path="grown")[0] = 1
        with pytest.raises(StoreError, match="own"):
            tx.store.set("deep/.zc-x", b"")


def test_stores_that_cannot_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="MappingStore cannot have transactions"):
        zarrc.transaction({})
    with pytest.raises(StoreError, match="MappingStore cannot have transactions"):
        zarrc.transaction(MappingStore({}))
    fill(LocalStore(tmp_path))
    with pytest.raises(ReadOnlyError):
        zarrc.transaction(zarrc.open_group(tmp_path, mode="r"))
    with pytest.raises(StoreError, match="not in one another"), zarrc.transaction(LocalStore(tmp_path)) as tx:
        zarrc.transaction(tx)
    with pytest.raises(StoreError, match="of one store"):
        zarrc.transaction(MemoryStore(), MemoryStore())
    with pytest.raises(TypeError, match="what is to be changed"):
        zarrc.transaction()


def test_it_is_for_one_block(store: Store) -> None:
    made = zarrc.transaction(store)
    with made:
        pass
    with pytest.raises(RuntimeError, match="one block"), made:
        pass


def test_its_handles_belong_to_their_process(store: Store) -> None:
    fill(store)
    with zarrc.transaction(zarrc.open_group(store)["grown"]) as tx:
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(tx)


def test_listings_are_of_what_it_changed(store: Store) -> None:
    fill(store)
    with zarrc.transaction(store) as tx:
        change(zarrc.open_group(tx))
        listed = set(tx.list_prefix(""))
        sizes = dict(tx.list_sizes(""))
        assert set(sizes) == listed
        assert all(tx.stat(key).nbytes == sizes[key] for key in listed)
        assert tx.list_dir("").prefixes == sorted({key.split("/")[0] for key in listed if "/" in key})
        assert "gone" not in tx.list_dir("").prefixes
        found = dict(tx.get_many([(key, None) for key in sorted(listed)]))
        assert {key: bytes(found[number]) for number, key in enumerate(sorted(listed))} == contents(tx)
    assert set(store.list_prefix("")) == listed


def test_threads_share_one(store: Store) -> None:
    a = zarrc.create_array(store, shape=(64,), chunks=(4,), dtype="i4")
    with zarrc.transaction(a) as tx:

        def write(start: int) -> None:
            for i in range(start, 64, 4):
                tx[i] = i

        threads = [threading.Thread(target=write, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert a[...].tolist() == list(range(64))


# --- conflicts


def test_the_second_of_two_that_change_one_object_is_refused(store: Store) -> None:
    fill(store)
    first, second = zarrc.transaction(store), zarrc.transaction(store)
    with first as one:
        zarrc.open_array(one, path="grown")[0] = 1
        with pytest.raises(TransactionConflictError, match="grown/c/0"), second as two:
            zarrc.open_array(two, path="grown")[1] = 2
            zarrc.open_array(two, path="cut")[1] = 2
            first.commit()
    assert (first.status, second.status) == ("committed", "rolled back")
    assert zarrc.open_array(store, path="grown")[:3].tolist() == [1, 1, 2]
    assert zarrc.open_array(store, path="cut")[:3].tolist() == [0, 1, 2]
    assert left_names(store) == []


def test_two_that_change_other_objects_are_both_done(store: Store) -> None:
    fill(store)
    first, second = zarrc.transaction(store), zarrc.transaction(store)
    with first as one, second as two:
        zarrc.open_array(one, path="grown")[0] = 1
        zarrc.open_array(two, path="grown")[20] = 2
        zarrc.open_array(two, path="cut")[0] = 3
    grown = zarrc.open_array(store, path="grown")
    assert (grown[0], grown[20], zarrc.open_array(store, path="cut")[0]) == (1, 2, 3)


def test_plain_writes_are_conflicts_too(store: Store) -> None:
    fill(store)
    with pytest.raises(TransactionConflictError, match="grown"), zarrc.transaction(store) as tx:
        zarrc.open_array(tx, path="grown")[:] = 1
        zarrc.open_array(store, path="grown")[0] = 5
    assert zarrc.open_array(store, path="grown")[:3].tolist() == [5, 1, 2]
    with pytest.raises(TransactionConflictError, match=r"zarr\.json"), zarrc.transaction(store) as tx:
        zarrc.open_array(tx, path="grown")[30] = 1
        zarrc.open_array(store, path="grown").attrs["x"] = 1
    with pytest.raises(TransactionConflictError, match=r"made/zarr\.json"), zarrc.transaction(store) as tx:
        zarrc.create_array(tx, name="made", data=[1])
        zarrc.create_array(store, name="made", data=[2])
    assert zarrc.open_array(store, path="made")[0] == 2
    assert left_names(store) == []


def test_many_threads_with_transactions_of_their_own_lose_nothing(store: Store) -> None:
    a = zarrc.create_array(store, data=[0], dtype="i8")

    def count_up() -> None:
        for _ in range(5):
            while True:
                try:
                    with zarrc.transaction(zarrc.open_array(store, mode="r+")) as tx:
                        tx[0] += 1
                    break
                except TransactionConflictError:
                    continue

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert a[0] == 20
    assert left_names(store) == []


@pytest.mark.parametrize("how", ["overwrite", "resize", "delete"])
def test_chunks_that_others_put_where_all_was_deleted_are_conflicts(store: Store, how: str) -> None:
    zarrc.create_group(store)
    array = zarrc.create_array(store, name="a", shape=(40,), chunks=(8,), dtype="i4")
    tx: Any
    with pytest.raises(TransactionConflictError, match="'a/c/2'"):
        with zarrc.transaction(zarrc.open_group(store, mode="r+")) as tx:
            if how == "overwrite":
                tx.create_array("a", shape=(40,), chunks=(8,), dtype="u2", overwrite=True)
            elif how == "resize":
                tx["a"].resize(8)
            else:
                del tx["a"]
            array[16:24] = 9
    assert zarrc.open_array(store, path="a", mode="r")[10:30].tolist() == [0] * 6 + [9] * 8 + [0] * 6


def test_a_chunk_that_was_to_stay_empty_is_a_conflict(store: Store) -> None:
    array = zarrc.create_array(store, shape=(16,), chunks=(8,), dtype="i4")
    with pytest.raises(TransactionConflictError, match="'c/0'"), zarrc.transaction(array) as tx:
        tx[:8] = 0
        tx[8:] = 1
        array[:8] = 9
    assert array[...].tolist() == [9] * 8 + [0] * 8


def test_what_others_made_where_there_was_nothing_is_a_conflict_at_the_end(store: Store) -> None:
    top = zarrc.create_group(store)
    tx: Any
    with pytest.raises(TransactionConflictError, match=r"'a/zarr\.json'"), zarrc.transaction(top) as tx:
        assert "a" not in tx
        top.create_array("a", data=[1, 2, 3])
        tx.create_array("a", data=[4, 5], overwrite=True)
        assert tx["a"][...].tolist() == [4, 5]
    assert top["a"][...].tolist() == [1, 2, 3]
