"""What a meter counts, and what that costs."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from tests.storage.four_methods import FourMethods
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage import (
    AZURE_HOT,
    GCS_STANDARD,
    S3_STANDARD,
    Cost,
    LocalStore,
    MemoryStore,
    MeteredStore,
    OperationStats,
    PriceTable,
    StoreStats,
    estimate_cost,
)
from zarrc.testing.together import at_once, in_child


@pytest.fixture(params=["memory", "local", "four methods"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MeteredStore:
    kinds: dict[str, Any] = {
        "memory": MemoryStore(),
        "local": LocalStore(tmp_path),
        "four methods": FourMethods({}),
    }
    return MeteredStore(kinds[request.param])


def calls(store: MeteredStore) -> dict[str, tuple[int, int, int, int]]:
    """Requests, misses, errors and bytes since the last look."""
    return {
        name: (one.n_requests, one.n_misses, one.n_errors, one.nbytes)
        for name, one in store.reset().items()
        if one.n_calls
    }


def test_each_operation_is_counted(store: MeteredStore) -> None:
    store.set("a/x", b"12345")
    store.set_many([("a/y", b"123"), ("a/z", bytearray(10))])
    assert calls(store) == {"set": (3, 0, 0, 18)}
    store.get("a/x")
    store.get("none")
    store.get_into("a/x", bytearray(9))
    assert calls(store) == {"get": (3, 1, 0, 10)}
    store.get("a/x", (1, 2))
    store.get_into("none", bytearray(9), (1, 2))
    assert calls(store) == {"get_range": (2, 1, 0, 2)}
    list(store.get_many([("a/x", None), ("a/y", (0, 1)), ("none", (0, 1)), ("a/x", None)]))
    assert calls(store) == {"get": (2, 0, 0, 10), "get_range": (2, 1, 0, 1)}
    store.stat("a/x")
    list(store.stat_many(["a/x", "none"]))
    assert calls(store) == {"stat": (3, 1, 0, 0)}
    version = store.set_if("b", b"1", None)
    store.set_if("b", b"22", version)
    with pytest.raises(StoreConflictError):
        store.set_if("b", b"333", None)
    assert calls(store) == {"set_if": (3, 0, 1, 3)}
    store.copy("b", "c")
    store.copy_many([("b", "d"), ("b", "e")])
    assert calls(store) == {"copy": (3, 0, 0, 0)}
    assert len(list(store.list_prefix(""))) == 7
    store.list_dir("a")
    list(store.list_sizes(""))
    assert calls(store) == {"list": (3, 0, 0, 0)}
    store.delete("b")
    store.delete_many(["c", "d"])
    store.delete_prefix("a")
    assert calls(store) == {"delete": (3, 0, 0, 0), "delete_prefix": (1, 0, 0, 0)}


def test_a_listing_is_a_request_for_a_thousand_keys() -> None:
    store = MeteredStore(MemoryStore({f"k{n}": b"" for n in range(2001)}))
    assert len(list(store.list_prefix(""))) == 2001
    assert store.reset()["list"].n_requests == 3
    for _ in store.list_prefix(""):
        break
    assert store.reset()["list"].n_requests == 1
    list(store.list_prefix("none"))
    assert store.stats()["list"].n_requests == 1


def test_errors_are_counted(store: MeteredStore) -> None:
    with pytest.raises(StoreError):
        store.get("..")
    with pytest.raises(TypeError):
        store.set("x", "text")  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.copy("none", "x")
    with pytest.raises(StoreError):
        list(store.get_many([("x", None), ("..", None)]))
    assert store.stats().n_errors == 4
    with pytest.raises(StoreError):
        store.set_many([("x", b"1"), ("..", b"2")])
    stats = store.stats()
    assert (stats.n_errors, stats["set"].n_errors) == (5, 2)


def test_a_miss_is_no_error(store: MeteredStore) -> None:
    store.get("none")
    assert (store.stats()["get"].n_misses, store.stats().n_errors) == (1, 0)


def test_times_are_counted() -> None:
    import time

    class Slow(MemoryStore):
        def get(self, key: str, range: Any = None) -> Any:
            time.sleep(0.01)
            return super().get(key, range)

    store = MeteredStore(Slow({"x": b"1"}))
    for _ in range(5):
        store.get("x")
    one = store.stats()["get"]
    assert 0.01 <= one.mean < 1
    assert one.percentile(50) >= 0.01
    assert sum(one.histogram) == 5
    assert sum(one.histogram[:23]) == 0  # 2**23 ns are 8.4 ms
    for number, _ in store.get_many([("x", None)] * 3):
        time.sleep(0.02 * (number == 0))  # the caller's time does not count
    assert store.stats()["get"].seconds < 5 * one.mean + 3 * 3 * one.mean + 0.02


def test_percentiles_are_of_the_histogram() -> None:
    one = OperationStats(100, 100, 0, 0, 0, 0, (0,) * 10 + (90,) + (0,) * 9 + (10,) + (0,) * 27)
    assert one.percentile(50) == 2**10 / 1e9
    assert one.percentile(90) == 2**10 / 1e9
    assert one.percentile(91) == 2**20 / 1e9
    assert OperationStats().percentile(50) == OperationStats().mean == 0
    with pytest.raises(ValueError, match="0 to 100"):
        one.percentile(101)


def test_statistics_are_values(store: MeteredStore) -> None:
    store.set("x", b"1")
    before = store.stats()
    store.set("x", b"22")
    store.get("x")
    after = store.stats()
    assert before != after
    assert before == pickle.loads(pickle.dumps(before))
    assert hash(before) == hash(copy.copy(before))
    between = after - before
    assert (between.n_sets, between.n_gets, between.nbytes_written, between.nbytes_read) == (1, 1, 2, 2)
    assert sum([before, between]) == before + between == after
    assert (StoreStats() + between)["get"].n_requests == 1
    with pytest.raises(AttributeError):
        before.x = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        before + 1  # type: ignore[operator]


def test_statistics_are_a_table(store: MeteredStore) -> None:
    assert str(store.stats()) == "nothing was asked of the store"
    store.set("x", bytes(3 << 20))
    store.get("x")
    store.get("none")
    lines = repr(store.stats()).splitlines()
    assert lines[0].split()[:5] == ["operation", "requests", "misses", "errors", "bytes"]
    assert lines[1].split()[:6] == ["get", "2", "1", "0", "3.0", "MiB"]
    assert lines[2].split()[:6] == ["set", "1", "0", "0", "3.0", "MiB"]


def test_counts_are_exact_under_threads() -> None:
    store = MeteredStore(MemoryStore({"x": b"12"}))

    def work() -> None:
        twin = copy.copy(store).with_read_only()
        for _ in range(3000):
            twin.get("x")
            list(twin.get_many([("x", (0, 1)), ("none", None)]))

    at_once(*[work] * 6)
    stats = store.stats()
    assert (stats["get"].n_requests, stats["get"].n_misses, stats["get"].nbytes) == (36000, 18000, 36000)
    assert (stats["get_range"].n_requests, sum(stats["get_range"].histogram)) == (18000, 18000)


def test_reset_loses_nothing() -> None:
    store = MeteredStore(MemoryStore({"x": b"12"}))
    parts: list[StoreStats] = []

    def work() -> None:
        for _ in range(5000):
            store.get("x")

    def collect() -> None:
        for _ in range(200):
            parts.append(store.reset())

    at_once(work, work, collect)
    assert sum([*parts, store.stats()])["get"].n_requests == 10000  # type: ignore[index, call-overload]


def _in_a_process(store: MeteredStore) -> StoreStats:
    store.get("x")
    return store.stats()


def test_each_process_counts_for_itself(tmp_path: Path) -> None:
    store = MeteredStore(tmp_path)
    store.set("x", b"1")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        total: Any = sum(pool.map(_in_a_process, [store] * 3))
    assert total["get"].n_requests == 3
    assert total["set"].n_requests == 0
    assert store.stats().n_gets == 0

    def child() -> bytes:
        store.get("x")
        return str(store.stats().n_requests).encode()

    assert in_child(child) == b"2"
    assert store.stats().n_requests == 1


# What the engine asks.


@pytest.fixture
def data() -> Any:
    return np.random.default_rng(0).integers(0, 1000, (100, 100), dtype="i4")


def test_open_is_one_get_and_chunks_are_one_each(store: MeteredStore, data: Any) -> None:
    zarr.create_array(store, data=data, chunks=(25, 25))
    store.reset()
    array = zarr.open_array(store, mode="r")
    assert {name: one[0] for name, one in calls(store).items()} == {"get": 1}
    np.testing.assert_array_equal(array[:], data)
    assert {name: one[0] for name, one in calls(store).items()} == {"get": 16}
    np.testing.assert_array_equal(array[:30, :20], data[:30, :20])
    assert {name: one[0] for name, one in calls(store).items()} == {"get": 2}


def test_overwriting_whole_chunks_reads_nothing(store: MeteredStore, data: Any) -> None:
    array = zarr.create_array(store, shape=data.shape, dtype=data.dtype, chunks=(25, 25))
    store.reset()
    array[:] = data
    counted = calls(store)
    assert counted["set"][0] == 16
    assert not counted.keys() & {"get", "list"}


# Costs.


def test_the_guides_example_by_true_prices() -> None:
    plain, sharded = estimate_cost(10_000), estimate_cost(100)
    assert (plain.puts, plain.gets) == pytest.approx((0.05, 0.004))
    assert (sharded.puts, sharded.gets) == pytest.approx((0.0005, 0.00004))
    assert plain.total == pytest.approx(100 * sharded.total)
    # The guide's price of 1,000 PUT is that of 1,000 GET.
    assert S3_STANDARD.put_per_1000 > 12 * S3_STANDARD.get_per_1000


def test_an_array_is_estimated_without_a_look_at_it() -> None:
    store = MeteredStore(MemoryStore())
    array = zarr.create_array(
        store, shape=(10_000, 10_000), chunks=(100, 100), shards=(1000, 1000), dtype="f8"
    )
    store.reset()
    cost = estimate_cost(array, reads=3, months=2, egress=True)
    assert store.stats().n_requests == 0
    assert (cost.n_puts, cost.n_gets) == (101, 303)
    gb = 8e8 / 2**30
    assert cost.stored_gb_months == pytest.approx(2 * gb)
    assert cost.egress_gb == pytest.approx(3 * gb)
    assert cost.total == pytest.approx(cost.requests + 2 * gb * 0.023 + 3 * gb * 0.09)
    assert estimate_cost(array, nbytes=0).storage == 0
    with pytest.raises(TypeError, match="an array or a number of objects, not a list"):
        estimate_cost([])
    with pytest.raises(ValueError, match="reads must not be negative"):
        estimate_cost(1, reads=-1)


def test_the_cost_of_what_was_counted() -> None:
    store = MeteredStore(MemoryStore({f"k{n}": bytes(1 << 20) for n in range(10)}))
    for n in range(10):
        store.get(f"k{n}")
        store.get(f"k{n}", (0, 1))
        store.stat(f"k{n}")
    store.set("k0", b"1")
    store.set_if("new", b"1", None)
    store.copy("k0", "k1")
    store.delete("k0")
    list(store.list_prefix(""))
    store.delete_prefix("none")
    cost = store.stats().cost(stored_nbytes=2**30, months=0.5, egress=True)
    assert (cost.n_puts, cost.n_gets, cost.n_lists, cost.n_deletes) == (3, 30, 2, 1)
    assert cost.egress_gb == pytest.approx((10 * 2**20 + 10) / 2**30)
    assert cost.storage == pytest.approx(0.0115)
    assert cost.deletes == 0
    assert store.stats().cost().egress == 0
    assert store.stats().cost(egress=2**30).egress == pytest.approx(0.09)


def test_prices_can_be_replaced() -> None:
    mine = PriceTable(
        name="ours", date="2026-11", source="our invoice", put_per_1000=1, get_per_1000=2, list_per_1000=3,
        currency="EUR",
    )  # fmt: skip
    cost = estimate_cost(1000, prices=mine)
    assert (cost.puts, cost.gets, cost.total) == (1, 2, 3)
    assert str(cost).splitlines() == [
        "ours, 2026-11",
        "PUT            1,000  1.00 EUR",
        "GET            1,000  2.00 EUR",
        "total                 3.00 EUR",
    ]
    assert (cost + cost).total == sum([cost, cost]).total == 6  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="are not added"):
        cost + estimate_cost(1)
    with pytest.raises(ValueError, match="put_per_1000 is a price"):
        PriceTable(name="", date="", source="", put_per_1000=-1, get_per_1000=0, list_per_1000=0)
    assert pickle.loads(pickle.dumps(cost)) == cost
    assert isinstance(cost, Cost)


@pytest.mark.parametrize("prices", [S3_STANDARD, GCS_STANDARD, AZURE_HOT])
def test_each_table_says_of_when_and_whence_it_is(prices: PriceTable) -> None:
    assert len(prices.date) == 7
    assert prices.source.startswith("https://")
    assert prices.put_per_1000 == prices.list_per_1000 == 0.005
    assert 0 < prices.storage_per_gb_month < prices.egress_per_gb
