"""Packages whose names load on first use."""

from __future__ import annotations

import sys
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
