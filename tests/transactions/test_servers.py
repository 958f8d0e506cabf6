"""Transactions on servers: all or nothing, conflicts, and what they cost in requests."""

# ruff: noqa: PT012 - what is tested is a block of several statements
from __future__ import annotations

import pytest

import zarrc
from tests.servers.places import Place
from tests.transactions.samples import change_little, contents, fill_little
from zarrc.errors import TransactionConflictError
from zarrc.storage import MemoryStore, MeteredStore, Store, make_store
from zarrc.transactions import clean


@pytest.fixture
def store(remote_place: Place) -> Store:
    return make_store(remote_place.url, storage_options=remote_place.storage_options)[0]


def test_all_is_done_or_nothing(store: Store) -> None:
    plain = MemoryStore()
    for one in (store, plain):
        fill_little(one)
    with pytest.raises(KeyError), zarrc.transaction(zarrc.open_group(store)) as tx:
        change_little(tx)
        raise KeyError
    assert contents(store) == contents(plain)
    top = zarrc.open_group(store)
    with zarrc.transaction(top) as tx:
        change_little(tx)
        assert tx["a"][...].tolist() == [0, 1, 7, 7, 4, 5, 7]
        assert contents(store) == contents(plain)
    change_little(zarrc.open_group(plain))
    assert contents(store) == contents(plain)
    assert top.attrs["n"] == 7
    assert clean(store, wait=False) == []
    assert store.list_dir(".zc-tx").prefixes == []


def test_conflicts_are_told(store: Store) -> None:
    fill_little(store)
    with pytest.raises(TransactionConflictError, match="a/c/0"):  # noqa: SIM117
        with zarrc.transaction(store) as tx:
            zarrc.open_array(tx, path="a")[0] = 1
            zarrc.open_array(store, path="a")[1] = 2
    assert zarrc.open_array(store, path="a")[:3].tolist() == [0, 2, 2]
    assert store.list_dir(".zc-tx").prefixes == []


def test_what_a_transaction_costs(store: Store) -> None:
    array = zarrc.create_array(MeteredStore(store), shape=(40,), chunks=(4,), dtype="i4", fill_value=9)
    meter = array.store
    assert isinstance(meter, MeteredStore)
    meter.reset()
    with zarrc.transaction(array) as tx:
        tx[:] = 1
    counts = {name: one.n_requests for name, one in meter.stats().items() if one.n_requests}
    print(counts)
    n = 10
    # Staged contents, the plan; the state twice, a marker. Looks at the chunks, twice, and at the document.
    assert counts["set"] == n + 1
    assert counts["set_if"] == 3
    assert counts["stat"] == 2 * n + 1
    assert counts["copy"] == n
    # Staged contents, the marker, the plan, the state.
    assert counts["delete"] == n + 3
    assert counts["get"] <= 4
    assert counts.get("list", 0) == 0
