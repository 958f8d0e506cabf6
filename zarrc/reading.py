"""One reading of a document or of a user's arguments: where it stands, how lenient it is, what it assumed.

Data types, grids, codecs and the documents themselves all read JSON through a `Reading`, so that every
refusal names the field's path and the document's key, and every lenient reading is noted in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from zarrc.errors import MetadataError

__all__ = ["Extension", "Reading", "choices", "closest", "show"]

_SHOWN = 60
_EXTENSION_KEYS = ("name", "configuration", "must_understand")


def show(value: object) -> str:
    """``repr(value)`` for an error message: short, and safe for values made to be enormous."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (str, bytes)):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."
    if isinstance(value, Mapping):
        return "{}" if not value else f"an object with the keys {choices(list(value)[:8])}"
    if isinstance(value, (list, tuple)):
        if len(value) <= 8 and all(
            item is None or isinstance(item, (bool, int, float, str)) for item in value
        ):
            return f"[{', '.join(map(show, value))}]"
        return f"a list of {len(value)} items"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def choices(names: Iterable[object]) -> str:
    """The names, quoted, separated by commas."""
    return ", ".join(show(name) for name in names)


def closest(name: str, known: Iterable[str]) -> str:
    """The words " (did you mean 'x'?)" when one of the known names is close, else nothing."""
    # Only errors need it, and every import of zarrc would pay for it.
    import difflib

    near = difflib.get_close_matches(name[:_SHOWN], list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


class Extension:
    """A ``{"name", "configuration", "must_understand"}`` object of a v3 document."""

    __slots__ = ("configuration", "must_understand", "name")

    def __init__(self, name: str, configuration: Mapping[str, Any], must_understand: bool = True) -> None:
        self.name = name
        self.configuration = configuration
        self.must_understand = must_understand


class Reading:
    """Where a reading stands and how lenient it is.

    Parameters
    ----------
    strict : bool, default False
        Refuse what the specification does not allow, instead of noting it in ``notes``.
    key : str, optional
        Key of the document in its store; errors carry it.
    path : str, default ""
        The field inside the document, such as ``codecs[1].configuration``.
    from_user : bool, default False
        The values are a user's arguments: what has a default may be missing, and nothing is noted.
    notes : list of str, optional
        Where to note what was read leniently; shared by every reading made with `at`.
    """

    __slots__ = ("_parent", "_step", "from_user", "key", "notes", "strict")

    def __init__(
        self,
        strict: bool = False,
        key: str | None = None,
        path: str = "",
        from_user: bool = False,
        notes: list[str] | None = None,
    ) -> None:
        self.strict = strict
        self.key = key
        self.from_user = from_user
        self.notes: list[str] = [] if notes is None else notes
        self._parent: Reading | None = None
        self._step: str | int = path

    @property
    def path(self) -> str:
        """The field inside the document."""
        if self._parent is None:
            return str(self._step)
        above = self._parent.path
        if isinstance(self._step, int):
            return f"{above}[{self._step}]"
        return f"{above}.{self._step}" if above else self._step

    def at(self, step: str | int) -> Reading:
        """The reading of a member (a name) or an item (an index) of this value."""
        # Its path is put together only when something is said about it, and __init__ is left out: opening an
        # array makes dozens.
        below = Reading.__new__(Reading)
        below.strict, below.key, below.from_user, below.notes = (
            self.strict,
            self.key,
            self.from_user,
            self.notes,
        )
        below._parent, below._step = self, step
        return below

    def error(
        self, message: str, cls: type[MetadataError] = MetadataError, *, codec: str | None = None
    ) -> MetadataError:
        """The error that says ``message`` about this field."""
        path = self.path
        if not path:
            return cls(message, key=self.key, codec=codec)
        error = cls(f"{path}: {message}", key=self.key, codec=codec)
        error.located = True  # type: ignore[attr-defined]
        return error

    def assume(self, problem: str, remedy: str) -> None:
        """Note that ``problem`` was met with ``remedy``; a strict reading refuses instead."""
        if self.from_user:
            return
        if self.strict:
            raise self.error(problem)
        self.note(f"{problem}; {remedy}")

    def note(self, sentence: str) -> None:
        """Note what is legal, and yet worth knowing."""
        if not self.from_user:
            path = self.path
            self.notes.append(f"{path}: {sentence}" if path else sentence)

    def locate(self) -> Self:
        """Give the path and key of this reading to a MetadataError raised inside, where it has none yet.

        For a ``with`` statement. (The reading is the context manager itself: `contextlib`'s are slow.)
        """
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, MetadataError):
            error.key = error.key or self.key
            if not getattr(error, "located", False):
                raise self.error(error.message, type(error), codec=error.codec) from None

    # Typed values: each gives the value back, or raises.

    def mapping(self, value: object) -> Mapping[str, Any]:
        """A JSON object."""
        # By type first, here and below: isinstance on the abstract class is slow.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise self.error(f"must be an object, got {show(value)}")
        for name in value:
            if not isinstance(name, str):
                raise self.error(f"the keys of an object are strings, got {show(name)}")
        return value

    def sequence(self, value: object) -> Sequence[Any]:
        """A JSON array."""
        if not isinstance(value, (list, tuple)):
            raise self.error(f"must be a list, got {show(value)}")
        return value

    def string(self, value: object) -> str:
        """A JSON string."""
        if not isinstance(value, str):
            raise self.error(f"must be a string, got {show(value)}")
        return value

    def integer(self, value: object, lowest: int, highest: int) -> int:
        """A JSON integer in ``[lowest, highest]``; true and 1.0 are none."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"must be an integer, got {show(value)}")
        if not lowest <= value <= highest:
            raise self.error(f"must be in [{lowest}, {highest}], got {show(value)}")
        return value

    def integers(self, value: object, lowest: int, highest: int) -> tuple[int, ...]:
        """A JSON array of integers in ``[lowest, highest]``."""
        items = self.sequence(value)
        for i, item in enumerate(items):
            # Checked here first, because a document made to hurt has millions of items.
            if type(item) is not int or not lowest <= item <= highest:
                self.at(i).integer(item, lowest, highest)
        return tuple(items)

    def one_of(self, value: object, allowed: Sequence[Any]) -> Any:
        """One of the allowed values."""
        for item in allowed:
            if type(value) is type(item) and value == item:
                return value
        raise self.error(f"must be one of {choices(allowed)}, got {show(value)}")

    def only_keys(self, value: Mapping[str, Any], allowed: Sequence[str]) -> None:
        """Refuse a key of ``value`` that is not allowed."""
        for name in value:
            if name not in allowed:
                known = f"allowed: {choices(allowed)}" if allowed else "none is allowed"
                raise self.error(f"unknown key {show(name)}{closest(name, allowed)}; {known}")

    def required(self, value: Mapping[str, Any], name: str) -> Any:
        """The member ``name``, which must be there."""
        if name not in value:
            raise self.error(f"{show(name)} is missing")
        return value[name]

    def defaulted(self, value: Mapping[str, Any], name: str, default: Any) -> Any:
        """The member ``name``; the specification requires it, but a document without it has one meaning."""
        if name in value:
            return value[name]
        self.assume(f"{show(name)} is missing", f"read as {show(default)}")
        return default

    def extension(self, value: object, *, may_skip: bool = False) -> Extension:
        """A named extension: its bare name, or an object with ``name`` and ``configuration``.

        Parameters
        ----------
        value : str or Mapping
            The JSON value.
        may_skip : bool, default False
            Whether ``must_understand: false`` is allowed here.
        """
        if isinstance(value, str):
            return Extension(value, {})
        if type(value) is not dict and not isinstance(value, Mapping):
            raise self.error(f"must be a name or an object with a name, got {show(value)}")
        self.only_keys(self.mapping(value), _EXTENSION_KEYS)
        name = self.required(value, "name")
        if type(name) is not str:
            self.at("name").string(name)
        configuration = value.get("configuration", {})
        if self.from_user or type(configuration) is not dict:
            self.at("configuration").mapping(configuration)
        must_understand = value.get("must_understand", True)
        if must_understand is not True:
            self.at("must_understand").one_of(must_understand, (True, False))
        if not must_understand and not may_skip:
            raise self.error(f"must_understand: false is not allowed here (for {show(name)})")
        return Extension(name, configuration, must_understand)
