"""Stores by name, for ``storage="filesystem"`` and its like, and by the scheme of a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from zarrc.errors import StoreError
from zarrc.frozen import frozen

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from zarrc.storage.base import Store

__all__ = [
    "StoreInfo",
    "info",
    "names",
    "open_named",
    "open_scheme",
    "register",
    "register_scheme",
    "register_store",
    "schemes",
    "store_names",
    "stores_with",
    "unregister",
    "unregister_scheme",
]

Origin: TypeAlias = Literal["built in", "registered", "entry point"]

ENTRY_POINTS: Final = "zarrc.stores"
"""The group of entry points in which installed packages name their stores."""

# Name -> function of zarrc.storage.named that makes the store.
_BUILT_IN: Final = {
    "filesystem": "filesystem",
    "memory": "memory",
    "ets": "memory",
    "zip": "zip_archive",
    "sqlite": "sqlite",
    "http": "http",
    "https": "http",
    "s3": "s3",
    "s3a": "s3",
    "gcs": "gcs",
    "gs": "gcs",
    "azure_blob": "azure_blob",
    "azure": "azure_blob",
    "az": "azure_blob",
    "abfs": "azure_blob",
}
_BUILT_IN_SCHEMES: Final = {"sqlite": "sqlite_url"}

_registered: dict[str, Any] = {}
_plug_ins: dict[str, Any] = {}  # those of entry points that were asked for
_schemes: dict[str, Callable[..., Store]] = {}

_Target = TypeVar("_Target")


@frozen()
class StoreInfo:
    """What is known of a name for ``storage=``.

    Parameters
    ----------
    name : str
        The name.
    origin : {"built in", "registered", "entry point"}
        Where it comes from.
    target : class or callable
        The `Backend`, `Store` or function behind it.
    keywords : tuple of str or None
        The keywords that it takes, the required ones first; None where it takes any.
    required : tuple of str
        Those that must be given.
    doc : str
        First paragraph of its docstring.
    """

    name: str
    origin: Origin
    target: Any
    keywords: tuple[str, ...] | None
    required: tuple[str, ...]
    doc: str

    def __str__(self) -> str:
        takes = "any keywords" if self.keywords is None else ", ".join(f"{name}=" for name in self.keywords)
        return f"storage={self.name!r} ({self.origin}; takes {takes or 'no keywords'}): {self.doc}"


def register(target: _Target, name: str | None = None, *, replace: bool = False) -> _Target:
    """Make ``storage=name`` mean a store.

    Parameters
    ----------
    target : subclass of Backend, subclass of Store, or callable
        A `Backend` (or an object of one): a store of your own with callbacks for chunks and metadata. Else
        what returns a `Store` when it is called with the keyword arguments that the user gave.
    name : str, optional
        The name; by default a backend's ``backend_id``.
    replace : bool, default False
        Whether the name may be taken already.

    Returns
    -------
    class or callable
        ``target``, so that this is a decorator too.

    Raises
    ------
    TypeError
        If ``target`` cannot make a store, or no name is known.
    ValueError
        If the name is taken and ``replace`` is False.
    """
    chosen = _name_of(target) if name is None else name
    if not isinstance(chosen, str) or not chosen:  # type: ignore[redundant-expr]
        raise TypeError(f"the name of a store is a text that is not empty, not {chosen!r}")
    if not _is_backend(target) and not callable(target):
        raise TypeError(
            f"a Backend, a subclass of Store or a function can be registered, not a {type(target).__name__}"
        )
    taken = _registered.get(chosen, target) is not target or chosen in _BUILT_IN
    if taken and not replace:
        raise ValueError(f"there is a store named {chosen!r} already; pass replace=True to replace it")
    _registered[chosen] = target
    return target


def register_store(name: str, factory: Callable[..., Store], *, replace: bool = False) -> None:
    """`register`, with the name first.

    Parameters
    ----------
    name : str
        The name.
    factory : callable
        As ``target`` of `register`.
    replace : bool, default False
        Whether the name may be taken already.
    """
    register(factory, name, replace=replace)


def unregister(name: str) -> None:
    """Forget a name that was given to `register`; what is built in under that name is there again.

    Parameters
    ----------
    name : str
        The name.

    Raises
    ------
    KeyError
        If it was not registered.
    """
    if name not in _registered:
        built_in = " (it is built in)" if name in _BUILT_IN else ""
        raise KeyError(f"no store named {name!r} was registered{built_in}")
    del _registered[name]


def names() -> list[str]:
    """The names that ``storage=`` can have, sorted; installed packages are not loaded for it."""
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in _entry_points())})


def info(name: str) -> StoreInfo:
    """What is known of a name for ``storage=``.

    Parameters
    ----------
    name : str
        One of `names`.

    Raises
    ------
    StoreError
        If there is no store of that name, or the package that has it cannot be loaded.
    """
    import inspect

    origin, target = _find(name)
    keywords, required = _keywords(target)
    documented = type(target) if _is_backend(target) and not isinstance(target, type) else target
    text = inspect.getdoc(documented) or ""
    doc = " ".join(text.split("\n\n")[0].split())
    return StoreInfo(name, origin, target, keywords, required, doc)


def open_named(storage: str, **options: Any) -> Store:
    """The store that ``storage=`` names.

    Parameters
    ----------
    storage : str
        One of `names`.
    **options
        What the store is made with; `info` tells which.

    Returns
    -------
    Store

    Raises
    ------
    StoreError
        If there is no store of that name.
    TypeError
        If an option is missing or unknown.
    MissingExtraError
        If the store needs a package that is not installed.
    """
    _, target = _find(storage)
    keywords, required = _keywords(target)
    for name in options:
        if keywords is not None and name not in keywords:
            raise TypeError(_unknown_option(storage, name, keywords))
    missing = [f"{name}=" for name in required if options.get(name) is None]
    if missing:
        raise TypeError(f"storage={storage!r} needs {' and '.join(missing)}")
    return _make(storage, target, options)


def stores_with(keyword: str) -> list[str]:
    """The names of the stores built in that take a keyword, one for each store."""
    found: dict[str, str] = {}
    for name, function in _BUILT_IN.items():
        known = _keywords(_find(name)[1])[0]
        if function not in found and known is not None and keyword in known:
            found[function] = name
    return list(found.values())


# URLs.


def register_scheme(scheme: str, factory: Callable[..., Store], *, replace: bool = False) -> None:
    """Make URLs that start with ``scheme://`` mean a store, before fsspec is asked for them.

    Parameters
    ----------
    scheme : str
        The scheme, in small letters.
    factory : callable
        Called as ``factory(url, storage_options=..., read_only=...)``, with a mapping (perhaps empty) and a
        bool; returns a `Store`.
    replace : bool, default False
        Whether the scheme may be taken already.

    Raises
    ------
    ValueError
        If it is no scheme, or is taken and ``replace`` is False.
    """
    if not (scheme[:1].isalpha() and scheme == scheme.lower() and len(scheme) > 1 and scheme.isascii()):
        raise ValueError(f"a scheme has at least two letters, small ones, not {scheme!r}")
    taken = _schemes.get(scheme, factory) is not factory or scheme in _BUILT_IN_SCHEMES
    if taken and not replace:
        raise ValueError(f"the scheme {scheme!r} has a store already; pass replace=True to replace it")
    _schemes[scheme] = factory


def unregister_scheme(scheme: str) -> None:
    """Forget a scheme that was given to `register_scheme`.

    Parameters
    ----------
    scheme : str
        The scheme.

    Raises
    ------
    KeyError
        If it was not registered.
    """
    if scheme not in _schemes:
        raise KeyError(f"no scheme {scheme!r} was registered")
    del _schemes[scheme]


def schemes() -> list[str]:
    """The schemes of URLs that mean stores of ours, sorted; fsspec knows others."""
    return sorted({*_BUILT_IN_SCHEMES, *_schemes})


def open_scheme(
    url: str, *, storage_options: Mapping[str, Any] | None = None, read_only: bool = False
) -> Store | None:
    """The store of a URL, None if its scheme is none of `schemes`.

    Parameters
    ----------
    url : str
        ``scheme://...``.
    storage_options : mapping, optional
        What the store is made with.
    read_only : bool, default False
        Whether the store refuses writing.
    """
    scheme = url.partition("://")[0].lower()
    factory = _schemes.get(scheme)
    if factory is None:
        if scheme not in _BUILT_IN_SCHEMES:
            return None
        factory = _named(_BUILT_IN_SCHEMES[scheme])
    return _checked(factory(url, storage_options=dict(storage_options or {}), read_only=read_only), scheme)


# Finding.


def _name_of(target: Any) -> str:
    if not _is_backend(target):
        raise TypeError("name= is needed to register what is no Backend")
    backend = target() if isinstance(target, type) else target
    name = backend.backend_id
    chosen: str = name() if callable(name) else name
    return chosen


def _is_backend(target: Any) -> bool:
    # Whoever made one has imported it.
    import sys

    module = sys.modules.get("zarrc.storage.backend")
    if module is None:
        return False
    return isinstance(target, module.Backend) or (
        isinstance(target, type) and issubclass(target, module.Backend)
    )


def _find(name: str) -> tuple[Origin, Any]:
    """Where a name comes from, and what makes its store."""
    if not isinstance(name, str):
        raise TypeError(f"storage= is a name, such as 's3', not a {type(name).__name__}")
    if name in _registered:
        return "registered", _registered[name]
    if name in _BUILT_IN:
        return "built in", _named(_BUILT_IN[name])
    if name not in _plug_ins:
        _plug_ins[name] = _load(name)
    return "entry point", _plug_ins[name]


def _named(function: str) -> Any:
    from zarrc.storage import named

    return getattr(named, function)


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=ENTRY_POINTS))


def _load(name: str) -> Any:
    """What an installed package calls so."""
    found = {point.value: point for point in _entry_points() if point.name == name}
    if not found:
        from zarrc.config import close_names

        known = names()
        hint = close_names(name.lower(), known)
        raise StoreError(f"no storage named {name!r}{hint or '; known are ' + ', '.join(known)}")
    if len(found) > 1:
        raise StoreError(f"several packages have a storage named {name!r}: {', '.join(sorted(found))}")
    (point,) = found.values()
    where = f"the package {point.dist.name}" if point.dist is not None else "an installed package"
    try:
        target = point.load()
    except Exception as error:
        raise StoreError(
            f"storage={name!r} is {point.value} of {where}, which cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not _is_backend(target) and not callable(target):
        raise StoreError(
            f"storage={name!r} is {point.value} of {where}: no Backend, Store or function but a "
            f"{type(target).__name__}"
        )
    return target


def _keywords(target: Any) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The keywords that a target takes (None: any), and the required ones among them."""
    if _is_backend(target):
        declared = target.keywords
        return (None if declared is None else tuple(declared)), ()
    import inspect

    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return None, ()
    by_name = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    required = tuple(one.name for one in by_name if one.default is one.empty)
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None, required
    optional = tuple(one.name for one in by_name if one.default is not one.empty)
    return (*required, *optional), required


def _unknown_option(storage: str, name: str, keywords: tuple[str, ...]) -> str:
    from zarrc.config import close_names

    takes = ", ".join(f"{one}=" for one in keywords) or "no keywords"
    return f"storage={storage!r} takes no {name}={close_names(name, keywords)}; it takes {takes}"


def _make(storage: str, target: Any, options: dict[str, Any]) -> Store:
    if _is_backend(target):
        from zarrc.storage.backend import BackendStore

        return BackendStore(target, options)
    return _checked(target(**options), storage)


def _checked(made: Any, name: str) -> Store:
    from zarrc.storage.base import Store

    if not isinstance(made, Store):
        raise TypeError(f"what is registered as {name!r} gave no Store but a {type(made).__name__}")
    return made


store_names = names
