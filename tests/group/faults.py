"""Stores that fail at the call that a test chooses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.four_methods import FourMethods
from zarrc.errors import StoreError
from zarrc.storage import LocalStore, MemoryStore, Store
from zarrc.tools import renaming

_CALLS = (
    "get", "get_many", "get_into", "set", "set_many", "set_if", "delete", "delete_many", "delete_prefix",
    "list_dir", "list_prefix", "stat",
)  # fmt: skip


class Faults:
    """Counts the calls of all its stores, and lets some fail."""

    def __init__(self) -> None:
        self.first = -1
        self.for_good = False
        self.n_calls = 0
        self.has_failed = False

    def arm(self, first: int, *, for_good: bool) -> None:
        """Let the call of that number, from now on, fail; with ``for_good`` all that follow it too."""
        self.first, self.for_good, self.n_calls, self.has_failed = first, for_good, 0, False

    def heal(self) -> None:
        self.first = -1

    def call(self, name: str) -> None:
        self.n_calls += 1
        number = self.n_calls - 1
        if self.first >= 0 and (number == self.first or (self.for_good and number > self.first)):
            self.has_failed = True
            raise StoreError(f"injected into {name}")


def _failing(kind: type[Store]) -> type[Store]:
    """A kind of store whose calls go through `Faults.call` first."""

    def wrap(name: str) -> Any:
        plain = getattr(kind, name)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            # What a method calls of its own is one call.
            if not self.inside:
                self.faults.call(name)
                self.inside = True
                try:
                    found = plain(self, *args, **kwargs)
                    return iter(list(found)) if isinstance(found, Iterator) else found
                finally:
                    self.inside = False
            return plain(self, *args, **kwargs)

        return method

    members: dict[str, Any] = {name: wrap(name) for name in _CALLS}
    return type(f"Failing{kind.__name__}", (kind,), {**members, "inside": False})


_LOCAL, _MEMORY, _PYTHON = (_failing(kind) for kind in (LocalStore, MemoryStore, FourMethods))
KINDS = ("local", "memory", "python")


def failing_store(kind: str, folder: Path, faults: Faults) -> Store:
    made: Any
    if kind == "local":
        made = _LOCAL(str(folder))  # type: ignore[call-arg]
    else:
        made = _MEMORY() if kind == "memory" else _PYTHON({})  # type: ignore[call-arg]
    made.faults = faults
    return made  # type: ignore[no-any-return]


def count_renames(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the renames of directories be calls that can fail too."""
    rename = os.rename

    def failing(source: str, target: str) -> None:
        try:
            faults.call("rename")
        except StoreError as error:
            raise OSError(5, str(error)) from None
        rename(source, target)

    monkeypatch.setattr(renaming.os, "rename", failing)
