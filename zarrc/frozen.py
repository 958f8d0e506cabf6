"""Frozen values: as ``dataclasses.dataclass(frozen=True, slots=True)`` makes them, but made in no time.

`dataclasses` writes the methods of each class as text and compiles that: 1 ms a class, which the classes that
an open and a read need would add to the start of every program. Here the methods are closures over the names
of the fields, 0.05 ms a class. `dataclasses.fields`, ``replace``, ``asdict`` and `inspect.signature` work all
the same: what they look at is made when they look.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

__all__ = ["changed", "field", "frozen"]

_T = TypeVar("_T")
_set = object.__setattr__


class _Factory:
    """A default that is made anew for each value."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:
    """A field whose default is made anew for each value, as `dataclasses.field` says it."""
    return _Factory(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, kw_only: bool = False, eq: bool = True, repr: bool = True) -> Callable[[type[_T]], type[_T]]:
    """Make a frozen dataclass with slots of a class with annotated fields.

    What the class itself defines stays: an ``__init__`` (which calls ``object.__setattr__``), ``__reduce__``.

    Parameters
    ----------
    kw_only, eq, repr : bool
        As for `dataclasses.dataclass`.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        return _made(cls, kw_only, eq, repr)

    return decorate


def changed(value: _T, **changes: Any) -> _T:
    """A copy with some fields changed, checked as a new value is: `dataclasses.replace`."""
    cls: Any = type(value)
    return cls(**{name: getattr(value, name) for name in cls.__frozen_fields__} | changes)  # type: ignore[no-any-return]


def _made(cls: type[_T], kw_only: bool, eq: bool, repr: bool) -> type[_T]:
    own = [name for name, kind in _annotations(cls).items() if not kind.startswith("ClassVar")]
    inherited: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited |= base.__dict__.get("__frozen_fields__", {})
    contents = dict(cls.__dict__)
    # Name -> default; a field without one has no entry in the class.
    fields = inherited | {name: contents.pop(name, _REQUIRED) for name in own}
    for name in ("__dict__", "__weakref__"):
        contents.pop(name, None)
    names = tuple(fields)
    contents["__slots__"] = tuple(name for name in own if name not in inherited)
    contents["__frozen_fields__"] = fields
    contents["__match_args__"] = () if kw_only else names
    for name in ("__dataclass_fields__", "__dataclass_params__", "__signature__"):
        contents[name] = _OnDemand(name, fields, kw_only)
    contents.setdefault("__init__", _init(fields, kw_only, hasattr(cls, "__post_init__")))
    contents.setdefault("__getstate__", _getstate(names))
    contents.setdefault("__setstate__", _setstate(names))
    contents.setdefault("__replace__", changed)  # copy.replace, from Python 3.13 on
    if repr:
        contents.setdefault("__repr__", _repr(names))
    if eq:
        contents.setdefault("__eq__", _eq(names))
        contents["__hash__"] = _hash(names) if contents.get("__hash__") is None else contents["__hash__"]
    metaclass: Any = type(cls)
    new: Any = metaclass(cls.__name__, cls.__bases__, contents)
    new.__qualname__ = cls.__qualname__
    new.__setattr__, new.__delattr__ = _refusals(new, names)
    return new  # type: ignore[no-any-return]


_REQUIRED: Any = object()


def _annotations(cls: type) -> dict[str, str]:
    # Texts, by "from __future__ import annotations".
    found: dict[str, str] = vars(cls).get("__annotations__", {})
    return found


class _OnDemand:
    """What `dataclasses` and `inspect` look at: taken from a true dataclass with the same fields."""

    # Without the class that the new one was made of, which would be among its base's subclasses for ever.
    def __init__(self, name: str, fields: dict[str, Any], kw_only: bool) -> None:
        self.name = name
        self.fields = fields
        self.kw_only = kw_only

    def __get__(self, instance: object, cls: type) -> Any:
        owner = next(each for each in cls.__mro__ if each.__dict__.get(self.name) is self)
        if self.name != "__signature__":
            return getattr(self._twin(owner), self.name)
        if _makers(cls) != _makers(owner):
            raise AttributeError(self.name)  # a subclass that takes arguments of its own
        import inspect

        return inspect.signature(self._twin(owner))

    def _twin(self, owner: type) -> type:
        import dataclasses

        kinds: dict[str, str] = {}
        for each in reversed(owner.__mro__):
            kinds |= _annotations(each)
        contents: dict[str, Any] = {"__annotations__": {name: kinds[name] for name in self.fields}}
        for name, default in self.fields.items():
            if isinstance(default, _Factory):
                contents[name] = dataclasses.field(default_factory=default.make)
            elif default is not _REQUIRED:
                contents[name] = default
        made = type(owner.__name__, (), contents)
        return dataclasses.dataclass(frozen=True, kw_only=self.kw_only)(made)


def _makers(cls: Any) -> tuple[Any, Any]:
    return cls.__init__, cls.__new__


def _init(fields: dict[str, Any], kw_only: bool, has_post_init: bool) -> Callable[..., None]:
    names = tuple(fields)

    def init(self: Any, /, *args: Any, **given: Any) -> None:
        if args:
            if kw_only or len(args) > len(names):
                n_most = 1 if kw_only else 1 + len(names)
                raise TypeError(
                    f"{_where(self)} takes {n_most} positional arguments but {1 + len(args)} were given"
                )
            for name, value in zip(names, args, strict=False):
                if name in given:
                    raise TypeError(f"{_where(self)} got multiple values for argument {name!r}")
                given[name] = value
        n_given = 0
        for name, default in fields.items():
            if name in given:
                n_given += 1
                _set(self, name, given[name])
            elif default is _REQUIRED:
                raise TypeError(f"{_where(self)} missing a required argument: {name!r}")
            else:
                _set(self, name, default.make() if type(default) is _Factory else default)
        if n_given != len(given):
            unknown = next(name for name in given if name not in fields)
            raise TypeError(f"{_where(self)} got an unexpected keyword argument {unknown!r}")
        if has_post_init:
            self.__post_init__()

    return init


def _where(value: object) -> str:
    return f"{type(value).__name__}.__init__()"


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a value to the tuple of its fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _eq(names: tuple[str, ...]) -> Callable[[Any, object], bool]:
    values = _values(names)

    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    return equal


def _hash(names: tuple[str, ...]) -> Callable[[Any], int]:
    values = _values(names)
    return lambda self: hash(values(self))


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    def text(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return text


def _getstate(names: tuple[str, ...]) -> Callable[[Any], list[Any]]:
    return lambda self: [getattr(self, name) for name in names]


def _setstate(names: tuple[str, ...]) -> Callable[[Any, list[Any]], None]:
    def put(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            _set(self, name, value)

    return put


def _refusals(
    cls: Any, names: tuple[str, ...]
) -> tuple[Callable[[Any, str, Any], None], Callable[[Any, str], None]]:
    def refuse(self: Any, name: str, doing: str) -> None:
        # A subclass may have fields of its own that are not frozen.
        if type(self) is cls or name in names:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {doing} field {name!r}")

    def assign(self: Any, name: str, value: Any) -> None:
        refuse(self, name, "assign to")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        refuse(self, name, "delete")
        super(cls, self).__delattr__(name)

    return assign, delete
