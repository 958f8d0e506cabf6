"""Many requests at once: windows, limits, errors, tries, interrupts, forks, event loops, the end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.remote.in_memory import InFlight
from zarrc.config import config
from zarrc.errors import StoreError, StoreThrottledError, StoreTimeoutError
from zarrc.storage import FsspecStore
from zarrc.storage.remote import running
from zarrc.testing.together import at_once, in_child

serials = itertools.count()


@pytest.fixture(autouse=True)
def short_pauses() -> Iterator[None]:
    """Between one try and the next."""
    with config.set({"storage.retry_delay": 0.001}):
        yield


def make(n: int = 0, nbytes: int = 10, **options: Any) -> tuple[FsspecStore, InFlight]:
    """A store with objects ``0`` to ``n - 1``."""
    fs = InFlight(serial=next(serials), **options)
    fs.objects = {f"root/{number}": b"%010d" % number * (nbytes // 10) for number in range(n)}
    return FsspecStore(fs, "root"), fs


def all_of(n: int) -> list[tuple[str, Any]]:
    return [(str(number), None) for number in range(n)]


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


# The window.


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 200), window=st.integers(1, 80), whole=st.integers(1, 80), stop=st.integers(0, 200))
def test_no_more_requests_than_allowed_are_in_flight(n: int, window: int, whole: int, stop: int) -> None:
    store, fs = make(n)
    with config.set({"storage.max_requests": window, "storage.max_requests_per_process": whole}):
        seen = {}
        for number, blob in store.get_many([*all_of(n), ("missing", None)]):
            assert number not in seen
            seen[number] = None if blob is None else bytes(blob)
            if len(seen) == stop:
                break
        else:
            assert seen == {n: None} | {number: b"%010d" % number for number in range(n)}
        assert fs.most <= min(window, whole)
        wait_for(lambda: fs.now == 0)
        # What was in flight has given back its place.
        fs.most = 0
        assert len(list(store.get_many(all_of(n)))) == n
        assert fs.most <= min(window, whole)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 150), window=st.integers(1, 20), pauses=st.sets(st.integers(0, 150), max_size=3))
def test_writing_takes_what_there_is_room_for(n: int, window: int, pauses: set[int]) -> None:
    store, fs = make()
    ahead = 0

    def items() -> Iterator[tuple[str, bytes]]:
        nonlocal ahead
        for number in range(n):
            ahead = max(ahead, number - len(fs.objects))
            if number in pauses:
                time.sleep(0.002)
            yield str(number), b"%d" % number

    with config.set({"storage.max_requests": window}):
        store.set_many(items())
    assert fs.objects == {f"root/{number}": b"%d" % number for number in range(n)}
    assert fs.most <= window
    assert ahead <= 2 * window
    store.copy_many((str(number), f"c{number}") for number in range(n))
    assert fs.objects == {
        f"root/{start}{number}": b"%d" % number for number in range(n) for start in ("", "c")
    }
    store.delete_many(f"c{number}" for number in range(n + 5))
    assert fs.objects == {f"root/{number}": b"%d" % number for number in range(n)}
    found = dict(store.stat_many([str(number) for number in range(n + 1)]))
    assert [found[number] and found[number].nbytes for number in range(n + 1)] == [
        *(len(str(number)) for number in range(n)),
        None,
    ]


def test_results_come_while_others_are_on_their_way() -> None:
    store, fs = make(10)
    gate = threading.Event()

    async def wait() -> None:
        while not gate.is_set():
            await asyncio.sleep(0.001)

    fs.faults["root/3"] = [wait]
    answers = store.get_many(all_of(10))
    first = [next(answers)[0] for _ in range(9)]
    assert 3 not in first
    assert fs.now == 1
    gate.set()
    assert next(answers)[0] == 3
    assert list(answers) == []


def test_what_is_made_slowly_is_on_its_way_meanwhile() -> None:
    store, fs = make()

    def items() -> Iterator[tuple[str, bytes]]:
        for number in range(6):
            yield str(number), b"x"
            time.sleep(0.002)
            wait_for(lambda: len(fs.objects) >= number)  # noqa: B023

    store.set_many(items())
    assert len(fs.objects) == 6


def test_several_calls_share_the_window_of_their_file_system() -> None:
    store, fs = make(300, delay=0.001)
    twin = FsspecStore(fs, "")
    with config.set({"storage.max_requests": 8}):
        started = config.get("storage.max_requests")

        def read(own: FsspecStore, start: str) -> int:
            with config.set({"storage.max_requests": started}):
                asked = [(f"{start}{number}", None) for number in range(300)]
                return sum(blob is not None for _, blob in own.get_many(asked))

        results = at_once(
            lambda: read(store, ""), lambda: read(twin, "root/"), lambda: read(store.with_read_only(), "")
        )
    assert results == [300, 300, 300]
    assert fs.most == 8


def test_all_file_systems_share_the_window_of_the_process() -> None:
    counted = {"now": 0, "most": 0}

    class Counted(InFlight):
        async def _served(self, path: str) -> None:
            counted["now"] += 1
            counted["most"] = max(counted["most"], counted["now"])
            try:
                await super()._served(path)
            finally:
                counted["now"] -= 1

    stores = []
    for serial in range(3):
        fs = Counted(delay=0.001, serial=serial)
        fs.objects = {f"root/{number}": b"x" for number in range(100)}
        stores.append(FsspecStore(fs, "root"))

    def read(store: FsspecStore) -> int:
        with config.set({"storage.max_requests": 8, "storage.max_requests_per_process": 10}):
            return len(list(store.get_many(all_of(100))))

    assert at_once(*(lambda store=store: read(store) for store in stores)) == [100] * 3
    assert counted["most"] == 10


def test_a_call_in_the_middle_of_another_is_answered() -> None:
    store, _ = make(50)
    with config.set({"storage.max_requests": 1, "storage.max_requests_per_process": 1}):
        for number, blob in store.get_many(all_of(50)):
            again = store.get(str(number))
            assert bytes(again or b"") == bytes(blob or b"")


# Memory.


@pytest.mark.parametrize("known", [False, True])
def test_no_more_bytes_than_allowed_wait_for_the_caller(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_AT_HAND_NBYTES", 10_000)
    store, fs = make(200, nbytes=1000)
    asked = [(str(number), (0, 1000) if known else None) for number in range(200)]
    with config.set({"storage.max_requests": 5}):
        answers = store.get_many(asked)
        next(answers)
        time.sleep(0.1)
        # Ten wait, one was taken, and of whole objects nobody knew how large they would be.
        assert fs.n_requests <= 11 + (0 if known else 5)
        assert fs.now == 0
        # Whoever waits for the caller does not keep the places of others.
        assert store.get("7") is not None
        assert len(list(answers)) == 199


def test_an_object_that_is_larger_than_allowed_at_hand_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_AT_HAND_NBYTES", 100)
    store, fs = make(20, nbytes=1000)
    assert len(list(store.get_many([(str(number), (0, 1000)) for number in range(20)]))) == 20
    assert fs.most == 1
    store.set_many((f"x{number}", bytes(1000)) for number in range(20))
    assert len(fs.objects) == 40


# Failures.


def test_the_first_error_ends_all() -> None:
    store, fs = make(1000, delay=0.01)
    fs.faults["root/5"] = [ValueError("no such luck")]
    with config.set({"storage.max_requests": 4}), pytest.raises(StoreError, match="no such luck") as caught:
        list(store.get_many(all_of(1000)))
    assert caught.value.key == "5"
    assert type(caught.value.__cause__) is ValueError
    wait_for(lambda: fs.now == 0)
    assert fs.n_requests < 20


def test_after_an_error_of_writing_nothing_is_in_flight() -> None:
    store, fs = make(delay=0.01)
    fs.faults["root/5"] = [ValueError("no such luck")]
    taken = []

    def items() -> Iterator[tuple[str, bytes]]:
        for number in range(1000):
            taken.append(number)
            yield str(number), b"x"

    with pytest.raises(StoreError, match="no such luck") as caught:
        store.set_many(items())
    assert fs.now == 0
    assert caught.value.key == "5"
    assert len(taken) < 400


def test_an_error_of_what_makes_the_items_ends_the_writing() -> None:
    store, fs = make(delay=0.001)

    def items() -> Iterator[tuple[str, bytes]]:
        yield "a", b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.set_many(items())
    assert fs.now == 0


def test_what_passes_is_tried_again() -> None:
    store, fs = make(3)
    fs.faults["root/1"] = [ConnectionResetError("reset"), TimeoutError(), ConnectionResetError("reset")]
    assert sorted(number for number, _ in store.get_many(all_of(3))) == [0, 1, 2]
    assert fs.n_requests == 6
    fs.faults["root/new"] = [ConnectionResetError("reset"), FileNotFoundError("gone")]
    assert store.get("new") is None


def test_how_often_it_is_tried_again_is_a_setting() -> None:
    store, fs = make(1)
    for retries, text in ((0, "reset"), (1, r"\(tried 2 times\)"), (4, r"\(tried 5 times\)")):
        fs.faults["root/0"] = [ConnectionResetError("reset")] * 10
        fs.n_requests = 0
        with config.set({"storage.retries": retries}), pytest.raises(StoreError, match=text):
            store.get("0")
        assert fs.n_requests == retries + 1


def test_pauses_grow_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []
    sleep = asyncio.sleep

    async def note(delay: float, *args: Any) -> None:
        if delay:
            pauses.append(delay)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    store, fs = make(1)
    with config.set({"storage.retries": 12, "storage.retry_delay": 0.5, "storage.retry_max_delay": 8.0}):
        for _ in range(20):
            fs.faults["root/0"] = [ConnectionResetError("reset")] * 13
            with pytest.raises(StoreError):
                store.get("0")
    assert len(pauses) == 20 * 12
    for at in range(12):
        most = min(8.0, 0.5 * 2**at)
        each = pauses[at::12]
        assert max(each) <= most
        assert max(each) > 0.4 * most
        assert min(each) < 0.6 * most


def test_a_service_that_says_how_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(Exception):
        status = 503
        retry_after = 0.2

    store, fs = make(1)
    fs.faults["root/0"] = [Busy()]
    before = time.monotonic()
    assert store.get("0") is not None
    assert time.monotonic() - before >= 0.2
    fs.faults["root/0"] = [Busy()]
    before = time.monotonic()
    with config.set({"storage.retry_max_delay": 0.01}):
        assert store.get("0") is not None
    assert time.monotonic() - before < 0.15


def test_without_tenacity_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)
    store, fs = make(1)
    fs.faults["root/0"] = [ConnectionResetError("reset")]
    with pytest.raises(StoreError, match="not tried again: tenacity is not installed; pip install"):
        store.get("0")
    assert store.get("0") is not None
    fs.faults["root/0"] = [PermissionError("no")]
    with pytest.raises(StoreError) as caught:
        store.get("0")
    assert "tenacity" not in str(caught.value)


def test_a_request_has_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store, fs = make(3)

    async def forever() -> None:
        await asyncio.sleep(1000)

    fs.faults["root/1"] = [forever] * 3
    with (
        config.set({"storage.timeout": 0.05, "storage.retries": 2}),
        pytest.raises(StoreTimeoutError) as caught,
    ):
        list(store.get_many(all_of(3)))
    assert caught.value.key == "1"
    assert isinstance(caught.value, TimeoutError)
    with config.set({"storage.timeout": 0.5}):
        fs.faults["root/1"] = [forever] * 3
        assert len(list(store.get_many(all_of(3)))) == 3
    with config.set({"storage.timeout": None}):
        assert len(list(store.get_many(all_of(3)))) == 3


def test_errors_that_a_service_throttles_are_told() -> None:
    class Slow(Exception):
        status = 429

    store, fs = make(1)
    fs.faults["root/0"] = [Slow("later")] * 6
    with pytest.raises(StoreThrottledError, match=r"Slow: later \(tried 6 times\)"):
        store.get("0")


# Ends.


def test_a_reader_that_stops_early_cancels_what_is_in_flight() -> None:
    store, fs = make(100, delay=0.2)
    fs.delay = 0.0

    async def forever() -> None:
        await asyncio.sleep(1000)

    for number in range(1, 100):
        fs.faults[f"root/{number}"] = [forever]
    answers = store.get_many(all_of(100))
    assert next(answers)[0] == 0
    wait_for(lambda: fs.now == 64)
    answers.close()
    wait_for(lambda: fs.now == 0)
    assert len(fs.cancelled) == 64
    assert fs.n_requests == 65
    # One that is forgotten is as good as closed.
    fs.faults["root/0"] = []
    answers = store.get_many(all_of(100))
    next(answers)
    del answers
    gc.collect()
    wait_for(lambda: fs.now == 0)


@pytest.mark.parametrize("action", ["get", "get_many", "set_many"])
def test_an_interrupt_is_seen_at_once(action: str) -> None:
    store, fs = make(10)

    async def forever() -> None:
        await asyncio.sleep(1000)

    fs.faults["root/5"] = [forever]
    actions = {
        "get": lambda: store.get("5"),
        "get_many": lambda: list(store.get_many(all_of(10))),
        "set_many": lambda: store.set_many([(str(number), b"x") for number in range(10)]),
    }
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        actions[action]()
    assert time.monotonic() - before < 5
    timer.join()
    wait_for(lambda: fs.now == 0)
    assert store.get("1") is not None


def test_many_threads_use_one_store() -> None:
    store, fs = make(100)

    def work(mine: int) -> int:
        for round in range(20):
            assert bytes(store.get(str(mine)) or b"") == b"%010d" % mine
            assert len(list(store.get_many(all_of(20)))) == 20
            store.set(f"t{mine}", b"%d" % round)
            assert bytes(store.get(f"t{mine}") or b"") == b"%d" % round
            store.delete(f"t{mine}")
        return mine

    assert at_once(*(lambda mine=mine: work(mine) for mine in range(12))) == list(range(12))
    assert fs.now == 0


def test_a_store_is_used_inside_a_running_event_loop() -> None:
    store, _ = make(100)

    async def cell() -> int:
        store.set("x", b"data")
        assert bytes(store.get("x") or b"") == b"data"
        return len(list(store.get_many(all_of(100))))

    assert asyncio.run(cell()) == 100


def test_a_store_is_not_used_in_the_loop_that_does_its_requests() -> None:
    store, fs = make(1)

    async def wrong() -> None:
        store.get("0")

    future = asyncio.run_coroutine_threadsafe(wrong(), fs.loop)
    with pytest.raises(StoreError, match="cannot be used by a coroutine in the event loop"):
        future.result(timeout=10)


@pytest.mark.skipif(sys.platform == "darwin", reason="fork without exec is not safe there")
def test_a_forked_child_starts_anew_while_requests_are_in_flight() -> None:
    class Kept(InFlight):
        """In the child it has the same objects."""

        def __reduce__(self) -> Any:
            return _remade, (dict(self.objects),)

    fs = Kept()
    fs.objects = {f"root/{number}": b"x" for number in range(100)}
    store = FsspecStore(fs, "root")

    async def slow() -> None:
        await asyncio.sleep(0.3)

    for number in range(64):
        fs.faults[f"root/{number}"] = [slow]
    answers = store.get_many(all_of(100))
    reader = threading.Thread(target=lambda: list(answers))
    reader.start()
    wait_for(lambda: fs.now == 64)

    def child() -> bytes:
        before = time.monotonic()
        assert bytes(store.get("1") or b"") == b"x"
        assert len(list(store.get_many(all_of(100)))) == 100
        assert time.monotonic() - before < 10
        return b"fine"

    assert in_child(child) == b"fine"
    reader.join()

    begun = store.get_many(all_of(100))
    next(begun)

    def other_child() -> bytes:
        try:
            list(begun)
        except StoreError as error:
            return str(error).encode()
        return b"no error"

    fs.faults["root/77"] = [slow]
    told = in_child(other_child)
    assert told == b"no error" or b"before a fork" in told
    assert len(list(begun)) == 99


def _remade(objects: dict[str, bytes]) -> InFlight:
    fs = InFlight()
    fs.objects = objects
    return fs


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


START = """
    import asyncio, atexit, sys
    from tests.storage.remote.in_memory import InFlight
    from zarrc.storage import FsspecStore
    fs = InFlight()
    fs.objects = {f"root/{number}": b"x" for number in range(100)}
    store = FsspecStore(fs, "root")
    async def forever():
        await asyncio.sleep(1000)
    requests = [(str(number), None) for number in range(100)]
"""


@pytest.mark.parametrize(
    "end",
    [
        "store.get('1')",
        "answers = store.get_many(requests); next(answers)",
        "fs.faults['root/5'] = [forever]; answers = store.get_many(requests); next(answers)",
        "atexit.register(lambda: print(len(list(store.get_many(requests)))))",
        (
            "import threading; fs.faults['root/5'] = [forever]; "
            "threading.Thread(target=store.get, args=('5',), daemon=True).start()"
        ),
    ],
)
def test_the_interpreter_ends_without_waiting(end: str) -> None:
    before = time.monotonic()
    done = run(START + f"    {end}\n")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.monotonic() - before < 20
