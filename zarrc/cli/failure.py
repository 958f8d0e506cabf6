"""From an exception to the one line that the command prints."""

from __future__ import annotations

import os

from zarrc.errors import ZarrcError

__all__ = ["explain"]


def explain(error: BaseException) -> str:
    """Say in one line what went wrong.

    Parameters
    ----------
    error : BaseException
        What ended the command.

    Returns
    -------
    str
        The text without line breaks. Faults of ours name their class: they are to be reported.
    """
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ZarrcError):
        text = _of_the_system(error)
    elif isinstance(error, ZarrcError | OSError | ValueError | MemoryError):
        text = str(error) or type(error).__name__
    else:
        text = f"internal error: {type(error).__name__}: {error} (--debug shows where)"
    return " ".join(text.split())


def _of_the_system(error: OSError) -> str:
    """An error of the operating system: its file, its words, without its number."""
    if error.filename is None:
        return error.strerror or ""
    return f"{os.fsdecode(error.filename)}: {error.strerror}"
