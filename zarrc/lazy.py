"""Packages whose names load on first use."""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["lazy", "load"]


def lazy(
    namespace: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package whose globals are ``namespace``.

    ``homes`` tells each name and the module that has it.
    """

    def __getattr__(name: str) -> object:  # noqa: N807
        return load(namespace, homes, name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted(homes.keys() | namespace.keys())

    return __getattr__, __dir__


def load(namespace: dict[str, Any], homes: Mapping[str, str | None], name: str) -> Any:
    """Import what a package calls ``name``, and keep it there. Without a home the name is a module's."""
    package = namespace["__name__"]
    if name not in homes:
        module = sys.modules.get(package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
    home = homes[name]
    found = import_module(f"{package}.{home or name}")
    namespace[name] = value = found if home is None else getattr(found, name)
    return value


# How long a fork waits for imports. Not for ever: who imports may itself wait for what the fork holds.
_PATIENCE_S = 2.0


def _finish_imports() -> None:
    """Wait, before a fork, until no other thread is importing a module of ours.

    Its lock would never be given back in the child, which imports the same on first use.
    """
    until = time.monotonic() + _PATIENCE_S
    while _others_import() and time.monotonic() < until:
        time.sleep(0.001)


def _others_import() -> bool:
    # Not public, but the only place that tells. Where it is another one, a fork does not wait.
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    held = [made() for name, made in list(locks.items()) if name.startswith("zarrc")]
    return any(getattr(lock, "owner", None) not in (None, get_ident()) for lock in held)


os.register_at_fork(before=_finish_imports)
