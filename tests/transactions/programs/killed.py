"""Makes transactions until it is killed: it does the jobs that come as lines of JSON.

Each job is done by a forked child, which has everything loaded and opens the store by itself:

    store    ``{"kind": "local" | "sqlite", "path": ...}`` or ``{"kind": "url", "url": ..., "options": ...}``
    little   whether the little change is made
    lease    ``storage.transaction_lease``
    place    where the child is killed: ``["calls", n]`` at a write to the store, ``["c", n]`` around a system
             call of our C, ``["os", n]`` around one of Python, ``["staged", n]`` around a look at what is
             staged, also in the midst of a transaction of SQLite; null: nowhere
    after_s  how long after it began it is killed, or null

The answer: the signal or the exit code of the child; how many places there were.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import zarrc
from tests.transactions.samples import change, change_little, fill
from zarrc.kernels import local_probes
from zarrc.storage import Fault, FaultyStore, LocalStore, SQLiteStore, Store, make_store
from zarrc.storage.staging import TemporaryStore

_WRITES = frozenset(("set", "set_if", "delete", "delete_prefix", "copy", "apply"))
_CLIENTS = {
    "s3": ("s3fs", "zarrc.storage.fsspec_store", "zarrc.storage.remote.s3"),
    "gs": ("gcsfs", "zarrc.storage.fsspec_store", "zarrc.storage.remote.gcs"),
    "abfs": ("adlfs", "zarrc.storage.fsspec_store", "zarrc.storage.remote.azure"),
}
_CHANGING = ("rename", "unlink", "rmdir", "mkdir", "open", "link", "replace", "write")


class _Places:
    """Places around the system calls of Python that change files."""

    def __init__(self, at: int, owner: Any, names: Iterable[str]) -> None:
        self.at = at
        self.n = 0
        for name in names:
            setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.step()
            result = function(*arguments, **keywords)
            self.step()
            return result

        return call

    def step(self) -> None:
        self.n += 1
        if self.n == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def open_store(fields: Mapping[str, Any]) -> Store:
    """The store of a job."""
    if fields["kind"] == "url":
        return make_store(fields["url"], storage_options=fields["options"])[0]
    return (LocalStore if fields["kind"] == "local" else SQLiteStore)(fields["path"])


def child(job: Mapping[str, Any]) -> int:
    """Do a job; how many places there were."""
    zarrc.config.set({"storage.transaction_lease": job["lease"]})
    store = open_store(job["store"])
    kind, n = job["place"] or ("", 0)
    places: _Places | None = None
    faulty: FaultyStore | None = None
    if kind == "calls":
        store = faulty = FaultyStore(store, [Fault(kind="kill", on="write", at=n)] if n else [])
    top = zarrc.open_group(store, mode="r+")
    if kind == "c":
        local_probes.kill_at(n)
    if kind == "os":
        places = _Places(n, os, _CHANGING)
    if kind == "staged":
        places = _Places(n, TemporaryStore, ("get", "set"))
    if job["after_s"] is not None:
        threading.Thread(target=_kill_soon, args=(job["after_s"],), daemon=True).start()
    with zarrc.transaction(top) as tx:
        (change_little if job["little"] else change)(tx)
    if faulty is not None:
        return sum(call.operation in _WRITES for call in faulty.calls)
    if places is not None:
        return places.n
    return local_probes.count_faults()


def _kill_soon(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do a job in a child."""
    if job["store"]["kind"] == "url":
        # Once, and not by each child: the modules, not the clients, which a fork does not survive.
        for name in _CLIENTS[job["store"]["url"].partition(":")[0]]:
            importlib.import_module(name)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            os.write(writer, str(child(job)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            sys.stderr.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    return {"ended": os.waitstatus_to_exitcode(status), "n": int(text or 0)}


def load() -> None:
    """Import what a child will need, by doing the like."""
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder)
        fill(store)
        with zarrc.transaction(zarrc.open_group(store, mode="r+")) as tx:
            change(tx)


def main() -> None:
    """Do the jobs."""
    load()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
