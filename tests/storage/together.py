"""Several threads, or a forked child, at one store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.soak import count
from zarrc.errors import StoreConflictError
from zarrc.storage import Store


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
