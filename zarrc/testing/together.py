"""Several threads, or a forked child, at one store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from zarrc.errors import StoreConflictError
from zarrc.storage import Store

__all__ = ["add_to", "at_once", "count_together", "in_child"]


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


def count_together(*places: tuple[Store, str], rounds: int) -> int:
    """The number that threads, each with a place of one and the same object, make of 0 by adding 1 each time.

    It should be their number times ``rounds``.
    """
    places[0][0].set(places[0][1], b"%08d" % 0)
    at_once(*(lambda store=store, key=key: add_to(store, key, rounds) for store, key in places))
    blob = places[0][0].get(places[0][1])
    assert blob is not None
    return int(bytes(blob))


def add_to(store: Store, key: str, rounds: int) -> int:
    """Add 1 to the number of an object ``rounds`` times, each with a conditional write; ``rounds``."""
    done = 0
    while done < rounds:
        blob = store.get(key)
        assert blob is not None
        try:
            store.set_if(key, b"%08d" % (int(bytes(blob)) + 1), blob.version)
        except StoreConflictError:
            continue
        done += 1
    return done
