"""Loading optional packages, with an error that names the extra that brings them."""

from __future__ import annotations

import importlib
from types import ModuleType

from zarrc.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Parameters
    ----------
    module : str
        Name of the module, as in an ``import`` statement.
    extra : str
        The extra of zarrc that installs it.
    purpose : str
        What needs it: the beginning of the error's sentence.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there but lacks a dependency of its own is another fault, with its own message.
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed: pip install 'zarrc[{extra}]'"
        ) from None
