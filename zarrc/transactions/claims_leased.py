"""The right to a transaction elsewhere: an object that its owner rewrites, in place of its last version."""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreError, TransactionConflictError
from zarrc.transactions.claim import Decision, decision_in, pause, still_alive
from zarrc.transactions.claims_local import remove_directories
from zarrc.transactions.records import DIRECTORY, Home, dump, load, signature, signed_by

__all__ = ["LeasedClaim"]

_MAX_LEASE_S = 24 * 3600.0

# One that says it may be silent for longer than so many of our leases is not waited for until it is dead:
# what is opened may be anybody's.
_MOST_LEASES = 10


class LeasedClaim:
    """The object ``state``, which is rewritten while its owner lives."""

    def __init__(self, home: Home, fields: dict[str, Any], version: str | None) -> None:
        self._home = home
        self._fields = fields
        self._version = version
        self._lease = _lease_of(fields)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_lost = False
        self._pid = os.getpid()
        self._begin_to_renew()

    def _begin_to_renew(self) -> None:
        self._renewed = time.monotonic()
        arguments = (weakref.ref(self), self._ended, self._lease)
        thread = threading.Thread(target=_renew, args=arguments, name="zarrc-lease", daemon=True)
        thread.start()

    @property
    def decision(self) -> Decision:
        """See `Claim.decision`."""
        return decision_in(self._fields)

    @classmethod
    def begin(cls, home: Home) -> LeasedClaim:
        """Begin a transaction; its owner is this process."""
        fields = _new_fields("open")
        version = _put(home, fields, None)
        return cls(home, fields, version)

    @classmethod
    def take(cls, home: Home, deadline: float) -> LeasedClaim | None:
        """Take the right of a dead owner; see `zarrc.transactions.claims.take`."""
        key = home.key("state")
        seen: str | None = None
        holder: object = None
        since = time.monotonic()
        is_first = True
        lives = False
        most = _MOST_LEASES * float(config.get("storage.transaction_lease"))
        while True:
            # Before it is asked: the answer may be as old as that.
            now = time.monotonic()
            blob = home.store.get(key)
            if blob is None:
                if home.store.get(home.key("owner")) is not None:
                    raise StoreError(
                        f"{home} was begun in a directory, whose locks cannot be seen from here: open the "
                        "directory itself",
                        key=key,
                    )
                return None
            fields = load(blob, key)
            lease = _lease_of(fields)
            if fields.get("holder") != holder:
                # Whoever took it over is given time to finish it.
                deadline = deadline if holder is None else max(deadline, now + lease)
                holder = fields.get("holder")
            if blob.version != seen:
                seen, since, lives, is_first = blob.version, now, not is_first, False
            if fields.get("ended") is True or time.monotonic() - since > lease:
                decided: Decision = "rollback" if decision_in(fields) == "open" else decision_in(fields)
                mine = _new_fields(decided)
                with suppress(StoreConflictError):
                    return cls(home, mine, _put(home, mine, blob.version))
                continue
            if time.monotonic() > deadline and (lives or lease > most):
                raise still_alive(home, signed_by(fields))
            # One that does not change is looked at until it is known to be dead.
            pause(math.inf, min(lease, most) / 40, min(lease, most) / 10)

    def renew(self) -> None:
        """Show that the owner lives."""
        with self._lock:
            self._store(self._fields)

    def _store(self, fields: dict[str, Any]) -> None:
        if self._is_lost or self._ended.is_set() or os.getpid() != self._pid:
            raise self._lost()
        fields = {**fields, "beat": int(fields["beat"]) + 1}
        begun = time.monotonic()
        try:
            self._version = _put(self._home, fields, self._version)
        except StoreConflictError:
            self._is_lost = True
            raise self._lost() from None
        self._fields, self._renewed = fields, begun

    def _lost(self) -> TransactionConflictError:
        return TransactionConflictError(
            f"{self._home} showed no sign of life for {self._lease:g} s (storage.transaction_lease), and was "
            "taken over by another process"
        )

    def check(self) -> None:
        """See `Claim.check`."""
        with self._lock:
            if self._is_lost or self._ended.is_set() or os.getpid() != self._pid:
                raise self._lost()
            if time.monotonic() - self._renewed > self._lease / 2:
                self._store(self._fields)

    def decide(self, decision: Decision) -> None:
        """See `Claim.decide`."""
        with self._lock:
            self._store({**self._fields, "state": decision})

    def clean(self) -> None:
        """See `Claim.clean`."""
        with self._lock:
            self._ended.set()
            key = self._home.key("state")
            self._home.store.delete(key)
            # Of a directory that a wrapper hides.
            path = self._home.store.lock_path(key)
            if path is not None:
                directory = os.path.dirname(path)
                remove_directories([os.path.join(directory, "d"), directory, os.path.dirname(directory)])

    def end(self) -> None:
        """See `Claim.end`."""
        with self._lock:
            if self._ended.is_set() or self._is_lost or os.getpid() != self._pid:
                self._ended.set()
                return
            # Others need not wait for the lease to end.
            with suppress(StoreError):
                self._store({**self._fields, "ended": True})
            self._ended.set()


def _renew(known: weakref.ref[LeasedClaim], ended: threading.Event, lease: float) -> None:
    """What the thread of a lease does, as long as somebody has the claim."""
    pause = lease / 3
    while not ended.wait(pause):
        claim = known()
        if claim is None:
            return
        try:
            claim.renew()
        except TransactionConflictError:
            return
        except Exception:  # the store may answer again in time
            pause = lease / 10
        else:
            pause = lease / 3
        del claim


def _new_fields(decision: Decision) -> dict[str, Any]:
    lease = float(config.get("storage.transaction_lease"))
    return {"state": decision, "holder": secrets.token_hex(16), "beat": 0, "lease": lease, **signature()}


def _lease_of(fields: dict[str, Any]) -> float:
    """How long the owner may be without a sign of life: that is for it to say."""
    found = fields.get("lease")
    if not isinstance(found, (int, float)) or not 0 < found <= _MAX_LEASE_S:
        raise StoreError("the record of a transaction is damaged", key=f"{DIRECTORY}/.../state")
    return float(found)


def _put(home: Home, fields: dict[str, Any], version: str | None) -> str | None:
    """Store the state in place of a version; the new one. That our own was stored may be learnt too late."""
    key, data = home.key("state"), dump(fields)
    try:
        return home.store.set_if(key, data, version)
    except StoreConflictError:
        now = home.store.get(key)
        if now is not None and bytes(now) == data:
            return now.version
        raise
