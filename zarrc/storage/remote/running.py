"""Requests in flight: many at once, in the event loop of the file system, for a caller in another thread."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from zarrc.errors import StoreError
from zarrc.storage.remote.driver import Answer, Driver
from zarrc.storage.remote.failures import is_absence, store_error
from zarrc.storage.remote.limits import Gate, Settings, settings
from zarrc.storage.remote.retrying import Failure, again, first_failure, wait_and_see
from zarrc.storage.remote.secrets import secrets_in

__all__ = ["InCaller", "InLoop", "Request", "Runner"]

# Bytes that one call has at hand or on their way: results that the caller did not take yet, bodies that are
# read or written. A single request may be more.
_AT_HAND_NBYTES = 256 * 2**20

# How long a wait lasts until it is looked whether anything can still come.
_SLICE_S = 1.0

# After an error or an interrupt: how long requests that are being cancelled are waited for.
_PATIENCE_S = 10.0


class Request(NamedTuple):
    """One call of a coroutine function, of which a new one can be made for a second try.

    ``number`` comes back with its result; ``key`` is for the error; ``nbytes`` are the bytes that it will
    have at hand, None where nobody knows.
    """

    number: int
    key: str
    call: Callable[..., Coroutine[Any, Any, Any]]
    args: tuple[Any, ...]
    nbytes: int | None = None


class Runner:
    """Runs requests of one file system.

    Parameters
    ----------
    driver : Driver
        What the requests go through.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._secrets: tuple[str, ...] | None = None

    def run(
        self, key: str, call: Callable[..., Coroutine[Any, Any, Any]], *args: Any, nbytes: int | None = None
    ) -> Any:
        """The result of one request; None where the object is absent.

        Raises
        ------
        StoreError
            If it fails, after further tries where these may help.
        """
        for _, result in self.stream([Request(0, key, call, args, nbytes)]):
            return result
        raise StoreError("the request was not answered", key=key)

    def stream(self, requests: Iterable[Request], *, settled: bool = False) -> Iterator[tuple[int, Any]]:
        """Run requests; their numbers and results as they come, each once, in any order.

        Parameters
        ----------
        requests : iterable of Request
            A list is begun with at once; of anything else no more is taken than can be on the way.
        settled : bool, default False
            After an error, wait until nothing is in flight any more.

        Raises
        ------
        StoreError
            The first error that a request ends with; the others are cancelled.
        """
        raise NotImplementedError

    def error(self, failure: Failure, key: str | None) -> BaseException:
        """What the user sees of a failure."""
        return store_error(failure.error, key, secrets=self.secrets, note=failure.note)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may hold."""
        if self._secrets is None:
            self._secrets = secrets_in(list(_options(self.driver.fs)))
        return self._secrets


def _options(fs: Any) -> Iterator[Any]:
    """The options of a file system, and of those that it stands on."""
    while fs is not None:
        yield getattr(fs, "storage_options", None)
        yield getattr(fs, "storage_args", None)
        fs = getattr(fs, "fs", None)


class InCaller(Runner):
    """Runs requests one after the other in the caller's thread: coroutines that never wait for anything."""

    def stream(self, requests: Iterable[Request], *, settled: bool = False) -> Iterator[tuple[int, Any]]:
        """See `Runner.stream`."""
        limits = settings()
        for request in requests:
            result = self._result(request, limits)
            if type(result) is Failure:
                raise self.error(result, request.key)
            yield request.number, result

    def _result(self, request: Request, limits: Settings) -> Any:
        try:
            return self._attempt(request)
        except Exception as error:
            if is_absence(error):
                return None
            failure = first_failure(error, limits)
            result = (
                wait_and_see(lambda: self._attempt(request), error, limits) if failure is None else failure
            )
        return None if type(result) is Failure and is_absence(result.error) else result

    def _attempt(self, request: Request) -> Any:
        coroutine = request.call(*request.args)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        except Exception as error:
            told = self.driver.failure(error)
            if told is error:
                raise
            raise told from error
        finally:
            coroutine.close()
        raise RuntimeError("a synchronous file system was waited for")


class InLoop(Runner):
    """Runs requests in the event loop of the file system, many at once."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.gate = Gate(driver.fs)

    def stream(self, requests: Iterable[Request], *, settled: bool = False) -> Iterator[tuple[int, Any]]:
        """See `Runner.stream`."""
        flight = _Flight(self, settings())
        try:
            yield from flight.results(requests)
        finally:
            flight.land(settled)


class _Flight:
    """The requests of one call.

    The caller's thread feeds `pending` and takes batches from `landed`. All else happens in the event loop:
    workers, as many as may be in flight, take requests from `pending` one after the other. That one task does
    many requests, and one wake-up of the caller brings all results of a turn of the loop, keeps this near the
    cost of the bare client.
    """

    def __init__(self, runner: InLoop, limits: Settings) -> None:
        self.runner = runner
        self.limits = limits
        self.loop: asyncio.AbstractEventLoop = runner.driver.fs.loop
        self.pid = os.getpid()
        self.pending: deque[Request] = deque()
        self.landed: SimpleQueue[list[tuple[Request | None, Any]] | None] = SimpleQueue()
        # Of the caller's thread.
        self.n_open = 0
        self.fed_nbytes = 0
        self.taken_nbytes = 0
        # Of the event loop.
        self.workers: set[asyncio.Task[None]] = set()
        self.arrived: list[tuple[Request | None, Any]] = []
        self.is_stopped = False
        self.flying_nbytes = 0
        self.arrived_nbytes = 0
        self.n_arrived = 0
        self.waiting_for_room: list[asyncio.Future[None]] = []

    # In the caller's thread.

    def results(self, requests: Iterable[Request]) -> Iterator[tuple[int, Any]]:
        """Number and result of each request."""
        if asyncio._get_running_loop() is self.loop:
            raise StoreError("a store cannot be used by a coroutine in the event loop that does its requests")
        source = None if isinstance(requests, list) else iter(requests)
        if source is None:
            self._feed(requests)
        while True:
            if source is not None and not self._feed_from(source):
                source = None
            if not self.n_open:
                return
            for request, result in self._batch():
                if type(result) is Failure:
                    raise self.runner.error(result, request.key if request is not None else None)
                assert request is not None
                self.n_open -= 1
                self.fed_nbytes -= request.nbytes or 0
                # What the caller has is its own business.
                self.taken_nbytes += _nbytes_of(result)
                if self.waiting_for_room:
                    self._tell(self._make_room)
                yield request.number, result

    def land(self, settled: bool) -> None:
        """Cancel what is still in flight, if the caller has not got all."""
        if not self.n_open or self.pid != os.getpid():
            return
        try:
            self.loop.call_soon_threadsafe(self._stop)
        except RuntimeError:  # the loop is closed
            return
        until = time.monotonic() + _PATIENCE_S
        while settled and time.monotonic() < until and not self.loop.is_closed():
            try:
                if self.landed.get(timeout=_SLICE_S) is None:
                    return
            except Empty:
                pass

    def _feed(self, requests: Iterable[Request]) -> None:
        fed = list(requests)
        if not fed:
            return
        self.n_open += len(fed)
        self.fed_nbytes += sum(request.nbytes or 0 for request in fed)
        self.pending.extend(fed)
        self._tell(self._more)

    def _feed_from(self, source: Iterator[Request]) -> bool:
        """Take requests from the caller's iterator; False when there are no more."""
        fed: list[Request] = []
        nbytes = 0
        told = time.monotonic()
        while self.n_open + len(fed) < 2 * self.limits.max_requests:
            if self.n_open + len(fed) and self.fed_nbytes + nbytes >= _AT_HAND_NBYTES:
                break
            request = next(source, None)
            if request is None:
                self._feed(fed)
                return False
            fed.append(request)
            nbytes += request.nbytes or 0
            # If the iterator takes its time for each, the first ones go ahead.
            if time.monotonic() - told > 0.001:
                self._feed(fed)
                if not self.landed.empty():
                    return True
                fed, nbytes, told = [], 0, time.monotonic()
        self._feed(fed)
        return True

    def _tell(self, action: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(action)
        except RuntimeError as error:
            raise StoreError("the event loop of the file system is closed") from error

    def _batch(self) -> list[tuple[Request | None, Any]]:
        while True:
            try:
                # In slices, since nothing comes any more after a fork, or at the end of the interpreter.
                batch = self.landed.get(timeout=_SLICE_S)
            except Empty:
                self._check_alive()
                continue
            if batch is None:
                raise StoreError("the requests were cancelled")
            return batch

    def _check_alive(self) -> None:
        if self.pid != os.getpid():
            raise StoreError("requests that were begun before a fork are not answered in the child")
        if self.loop.is_closed() or sys.is_finalizing():
            raise StoreError("the event loop of the file system does not run any more")

    # In the event loop.

    def _more(self) -> None:
        """Start workers for what is pending."""
        if self.is_stopped:
            return
        n = min(len(self.pending), self.limits.max_requests - len(self.workers))
        for _ in range(n):
            worker = self.loop.create_task(self._work())
            self.workers.add(worker)
            worker.add_done_callback(self._ended)

    async def _work(self) -> None:
        gate, pending, limits = self.runner.gate, self.pending, self.limits
        is_in = False
        try:
            while pending:
                if not is_in:
                    await gate.enter(limits)
                    is_in = True
                    continue  # others may have taken all meanwhile
                request = pending.popleft()
                nbytes = request.nbytes
                if nbytes is None:
                    nbytes = self.arrived_nbytes // self.n_arrived if self.n_arrived else 0
                at_hand = self.flying_nbytes + self.arrived_nbytes - self.taken_nbytes
                if at_hand and at_hand + nbytes > _AT_HAND_NBYTES:
                    pending.appendleft(request)
                    # Whoever waits for the caller must not keep its other requests from running.
                    gate.leave()
                    is_in = False
                    await self._room()
                    continue
                self.flying_nbytes += nbytes
                try:
                    if limits.timeout is None:
                        result = await request.call(*request.args)
                    else:
                        # A second more for each MiB.
                        async with asyncio.timeout(limits.timeout + (request.nbytes or 0) / 2**20):
                            result = await request.call(*request.args)
                except Exception as error:
                    result = await self._failed(request, error)
                finally:
                    self.flying_nbytes -= nbytes
                self._arrive(request, result)
                if gate.is_wanted:
                    gate.leave()
                    is_in = False
        finally:
            if is_in:
                gate.leave()

    async def _failed(self, request: Request, error: Exception) -> Any:
        """What comes of a request whose first try failed."""
        driver, limits = self.runner.driver, self.limits
        timeout = None if limits.timeout is None else limits.timeout + (request.nbytes or 0) / 2**20

        async def attempt() -> Any:
            try:
                async with asyncio.timeout(timeout):
                    return await request.call(*request.args)
            except Exception as again_failed:
                told = driver.failure(again_failed)
                if told is again_failed:
                    raise
                raise told from again_failed

        told = driver.failure(error)
        if told is not error and told.__cause__ is None:
            told.__cause__ = error
        if is_absence(told):
            return None
        result: Any = first_failure(told, limits) or await again(attempt, told, limits)
        return None if type(result) is Failure and is_absence(result.error) else result

    def _arrive(self, request: Request | None, result: Any) -> None:
        if type(result) is Failure:
            self._stop()
        self.n_arrived += 1
        self.arrived_nbytes += _nbytes_of(result)
        self.arrived.append((request, result))
        if len(self.arrived) == 1:
            # After all that this turn of the loop brings: the caller wakes up once for it.
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.landed.put(self.arrived)
        self.arrived = []

    async def _room(self) -> None:
        place = self.loop.create_future()
        self.waiting_for_room.append(place)
        # The caller may have taken all before it could see that somebody waits.
        if self.flying_nbytes + self.arrived_nbytes == self.taken_nbytes:
            self._make_room()
        await place

    def _make_room(self) -> None:
        waiting, self.waiting_for_room = self.waiting_for_room, []
        for place in waiting:
            if not place.done():
                place.set_result(None)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self.workers.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self._arrive(None, Failure(error, ""))
        if self.is_stopped:
            self._say_stopped()
        elif self.pending:
            self._more()

    def _stop(self) -> None:
        self.is_stopped = True
        self.pending.clear()
        me = asyncio.current_task(self.loop)
        for worker in self.workers:
            if worker is not me:
                worker.cancel()
        self._say_stopped()

    def _say_stopped(self) -> None:
        if not self.workers:
            # Behind what is still to be flushed.
            self.loop.call_soon(self.landed.put, None)


def _nbytes_of(result: Any) -> int:
    return len(result.data) if type(result) is Answer else 0
