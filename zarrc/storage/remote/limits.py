"""How many requests may be in flight: of one file system, and of all in the process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from zarrc.config import config

__all__ = ["Gate", "Settings", "settings"]


class Settings(NamedTuple):
    """The ``storage.*`` settings of one call."""

    max_requests: int
    max_requests_per_process: int
    retries: int
    retry_delay: float
    retry_max_delay: float
    timeout: float | None


_kept: tuple[object, object, Settings] | None = None


def settings() -> Settings:
    """The settings as they are now; made anew only when one has changed."""
    global _kept
    process, local = config._process, config._local.get()
    kept = _kept
    # Both are replaced, never changed, so the same objects say the same.
    if kept is None or kept[0] is not process or kept[1] is not local:
        kept = process, local, Settings(*(config.get(f"storage.{name}") for name in Settings._fields))
        _kept = kept
    return kept[2]


class _Slots:
    """A number of places, given to who asks first; of any threads and event loops."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_taken = 0
        self.limit = 1
        self.waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    async def take(self, limit: int) -> None:
        """Take a place, when fewer than ``limit`` are taken; the limit of the latest call counts for all."""
        with self.lock:
            if limit != self.limit:
                self.limit = limit
                self._pass_on()
            if self.n_taken < limit and not self.waiting:
                self.n_taken += 1
                return
            loop = asyncio.get_running_loop()
            place = loop.create_future()
            self.waiting.append((loop, place))
        try:
            await place
        except BaseException:
            with self.lock:
                if (loop, place) in self.waiting:
                    self.waiting.remove((loop, place))
                else:  # it was ours already, or on its way
                    self.n_taken -= 1
                    self._pass_on()
            raise

    def give(self) -> None:
        """Give a place back."""
        with self.lock:
            self.n_taken -= 1
            if self.waiting:
                self._pass_on()

    def _pass_on(self) -> None:
        while self.waiting and self.n_taken < self.limit:
            loop, place = self.waiting.popleft()
            try:
                loop.call_soon_threadsafe(_grant, place)
            except RuntimeError:  # its event loop is closed
                continue
            self.n_taken += 1


def _grant(place: asyncio.Future[None]) -> None:
    # One that was cancelled meanwhile gives the place back itself.
    if not place.done():
        place.set_result(None)


_of_process = _Slots()
_of_file_system: WeakKeyDictionary[Any, _Slots] = WeakKeyDictionary()


def _renew() -> None:
    """In a forked child nothing is in flight, and nobody gives back what was taken."""
    global _of_process, _of_file_system
    _of_process = _Slots()
    _of_file_system = WeakKeyDictionary()


os.register_at_fork(after_in_child=_renew)


class Gate:
    """What every request of a file system goes through; all stores on it have the same one.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        The file system.
    """

    def __init__(self, fs: Any) -> None:
        self._own = _of_file_system.setdefault(fs, _Slots())
        self._all = _of_process

    async def enter(self, limits: Settings) -> None:
        """Take a place among the requests in flight."""
        await self._own.take(limits.max_requests)
        try:
            await self._all.take(limits.max_requests_per_process)
        except BaseException:
            self._own.give()
            raise

    def leave(self) -> None:
        """Give it back."""
        self._all.give()
        self._own.give()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._own.waiting or self._all.waiting)
