"""JSON documents: bytes to values and back, with every refusal a MetadataError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zarrc.errors import AttributesError, MetadataError
from zarrc.reading import Reading, show

make_scanner: Any
quoted: Any
try:
    from _json import encode_basestring_ascii as quoted
    from _json import make_scanner
except ImportError:
    make_scanner = None
    from json.encoder import encode_basestring_ascii as quoted

__all__ = ["dump_document", "load_document"]


def load_document(document: bytes, reading: Reading) -> dict[str, Any]:
    """The object that a document holds.

    Integers are exact. Bare ``NaN``, ``Infinity`` and ``-Infinity``, which are no JSON but which zarr-python
    writes, are noted.

    Raises
    ------
    MetadataError
        If the document is not UTF-8, not JSON, not an object, or uses a key twice.
    """
    try:
        value = _parsed(_text(document, reading), _Constants(reading))
    except MetadataError as error:
        raise reading.error(error.message) from None
    except RecursionError:
        raise reading.error("is nested too deeply") from None
    except ValueError as error:
        # JSONDecodeError, and Python's limit on the digits of an integer.
        raise reading.error(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise reading.error(f"must be a JSON object, got {show(value)}")
    return value


def _parsed(text: str, constants: _Constants) -> Any:
    """`json.loads`; without its module, which takes as long to import as all of `zarrc.metadata`."""
    if make_scanner is not None:
        stripped = text.strip(" \t\n\r")
        try:
            value, end = make_scanner(_Rules(constants))(stripped, 0)
        except MetadataError:
            raise
        except (StopIteration, ValueError):
            end = -1
        if end == len(stripped):
            return value
    # What is wrong is said by the module itself.
    import json

    return json.loads(text, object_pairs_hook=_object, parse_constant=constants)


def _text(document: bytes, reading: Reading) -> str:
    try:
        text = bytes(document).decode("utf-8")
    except UnicodeDecodeError as error:
        raise reading.error(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise reading.error("starts with a byte order mark, which JSON does not allow")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MetadataError(f"the key {show(name)} appears twice in one object")
            seen.add(name)
    return result


class _Constants:
    """Reads the bare constants; notes the first of each."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.seen: set[str] = set()

    def __call__(self, name: str) -> float:
        if name not in self.seen:
            self.seen.add(name)
            self.reading.assume(f"holds a bare {name}, which is not JSON", "read as the float")
        return float(name)


class _Rules:
    """What the scanner of `json` asks its decoder for."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int

    def __init__(self, constants: _Constants) -> None:
        self.parse_constant = constants
        self.object_pairs_hook = _object


def dump_document(document: Mapping[str, Any], *, indent: int | None = 2) -> bytes:
    """The document as bytes: ASCII, keys in the order given.

    Raises
    ------
    AttributesError
        If it holds what JSON cannot say.
    """
    try:
        if indent is not None:
            return _indented(document, "\n", " " * indent).encode("ascii")
        import json

        return json.dumps(document, allow_nan=False).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise AttributesError(f"the metadata cannot be written as JSON: {error}") from error


def _indented(value: object, newline: str, indent: str) -> str:
    """What ``json.dumps(value, indent=..., allow_nan=False)`` gives, in half of its time."""
    if isinstance(value, str):
        return quoted(value)  # type: ignore[no-any-return]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{float.__repr__(value)} is no value of JSON")
        return float.__repr__(value)
    # Loops, not comprehensions: one frame a level, so that what could be parsed can be written.
    below = newline + indent
    parts = []
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a key of an object is a string, not {show(name)}")
            parts.append(f"{quoted(name)}: {_indented(item, below, indent)}")
        return f"{{{below}{f',{below}'.join(parts)}{newline}}}" if parts else "{}"
    if isinstance(value, (list, tuple)):
        for item in value:
            parts.append(_indented(item, below, indent))
        return f"[{below}{f',{below}'.join(parts)}{newline}]" if parts else "[]"
    raise TypeError(f"an object of type {type(value).__name__} is no value of JSON")
