"""Random changes inside a transaction: what is read in it, and stored after it, is as after plain ones."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

import zarrc
from tests.transactions.samples import KINDS, contents, left_names, make_store
from zarrc.storage import MemoryStore

NAMES = st.sampled_from(["a", "b", "g/a", "g/h/c"])
CHANGES = st.one_of(
    st.tuples(st.just("create"), NAMES, st.integers(0, 20), st.integers(1, 6)),
    st.tuples(st.just("replace"), NAMES, st.integers(0, 20), st.integers(1, 6)),
    st.tuples(st.just("write"), NAMES, st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("resize"), NAMES, st.integers(0, 30), st.just(0)),
    st.tuples(st.just("append"), NAMES, st.integers(0, 9), st.just(0)),
    st.tuples(st.just("erase"), NAMES, st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("delete"), st.sampled_from(["a", "g", "g/h", "g/a"]), st.just(0), st.just(0)),
    st.tuples(st.just("attribute"), st.sampled_from(["", "a", "g"]), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("move"), NAMES, st.integers(0, 3), st.just(0)),
)


def apply(top: Any, change: tuple[str, str, int, int], value: int) -> str:
    """Make a change; what came of it."""
    kind, name, n, m = change
    try:
        if kind in ("create", "replace"):
            shards = {"shards": (m * 2,)} if n % 3 == 0 else {}
            data = np.arange(n) + value
            top.create_array(name, data=data, chunks=(m,), overwrite=kind == "replace", **shards)
        elif kind == "delete":
            del top[name]
        elif kind == "attribute":
            (top[name] if name else top).attrs[f"k{n}"] = value
        elif kind == "move":
            top.move(name, f"moved{n}")
        elif kind == "resize":
            top[name].resize(n)
        elif kind == "append":
            top[name].append(np.full(n, value))
        elif kind == "erase":
            top[name].erase(slice(min(n, m), max(n, m)))
        else:
            top[name][min(n, m) : max(n, m)] = value
    except (KeyError, FileNotFoundError, FileExistsError, IndexError, ValueError) as error:
        return type(error).__name__
    return "done"


def seen(top: Any) -> dict[str, Any]:
    """All values and attributes."""
    found: dict[str, Any] = {"": dict(top.attrs)}
    for name, member in top.members(None):
        values = member[...].tolist() if isinstance(member, zarrc.Array) else None
        found[name] = (values, dict(member.attrs))
    return found


@given(
    st.sampled_from(KINDS),
    st.sampled_from([2, 3]),
    st.lists(CHANGES, max_size=6),
    st.lists(CHANGES, min_size=1, max_size=8),
    st.booleans(),
)
def test_changes_in_a_transaction_are_as_plain_ones(
    kind: str, zarr_format: Any, first: list[Any], then: list[Any], commits: bool
) -> None:
    if zarr_format == 2:
        first, then = (
            [(*one[:2], one[2] * 3 + 1, one[3]) if one[0] in ("create", "replace") else one for one in each]
            for each in (first, then)
        )
    with tempfile.TemporaryDirectory() as folder:
        store, plain = make_store(kind, Path(folder)), MemoryStore()
        tops = [zarrc.create_group(one, zarr_format=zarr_format) for one in (store, plain)]
        for number, change in enumerate(first):
            assert apply(tops[0], change, number) == apply(tops[1], change, number)
        before = contents(store)
        transaction = zarrc.transaction(tops[0])
        with transaction as tx:
            for number, change in enumerate(then, 100):
                assert apply(tx, change, number) == apply(tops[1], change, number)
                assert seen(tx) == seen(zarrc.open_group(plain))
            assert contents(tx.store) == contents(plain)
            assert contents(store) == before
            if not commits:
                transaction.rollback()
        assert contents(store) == (contents(plain) if commits else before)
        assert [name for name in left_names(store) if ".zc" in name] == []
        store.close()
