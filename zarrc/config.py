"""Settings of the library (``zarrc.config``) and of one array (`ArrayConfig`)."""

from __future__ import annotations

import os
import warnings
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, Final, Literal

from zarrc.errors import UnknownSettingError, ZarrcWarning
from zarrc.frozen import changed, frozen

__all__ = ["ArrayConfig", "Config", "config"]

Casting = Literal["checked", "no", "equiv", "safe", "same_kind", "unsafe"]

_CASTINGS: Final = ("checked", "no", "equiv", "safe", "same_kind", "unsafe")
_MISSING: Final = object()


def _one_of(*allowed: object) -> Callable[[object], str | None]:
    """Return a check that a value is one of ``allowed``, and of the same type (so that True is not 1)."""

    def check(value: object) -> str | None:
        if any(value == one and type(value) is type(one) for one in allowed):
            return None
        return "must be one of " + ", ".join(repr(one) for one in allowed)

    return check


def _count_or_none(least: int) -> Callable[[object], str | None]:
    """Return a check that a value is None, or an int of at least ``least``."""

    def check(value: object) -> str | None:
        if value is None or (type(value) is int and value >= least):
            return None
        return f"must be None or an int of at least {least}"

    return check


def _count(least: int) -> Callable[[object], str | None]:
    """Return a check that a value is an int of at least ``least``."""

    def check(value: object) -> str | None:
        return None if type(value) is int and value >= least else f"must be an int of at least {least}"

    return check


def _seconds(*, or_none: bool = False) -> Callable[[object], str | None]:
    """Return a check that a value is a positive number of seconds, or None where that is allowed."""

    def check(value: object) -> str | None:
        if (or_none and value is None) or (type(value) in (int, float) and 0 < value < float("inf")):  # type: ignore[operator]
            return None
        return f"must be {'None or ' if or_none else ''}a positive number of seconds"

    return check


# One line a setting: its default, and a check that returns what is wrong with a value, or None.
_SETTINGS: Final[Mapping[str, tuple[Any, Callable[[object], str | None]]]] = MappingProxyType(
    {
        "array.cache_nbytes": (0, _count(0)),
        "array.casting": ("checked", _one_of(*_CASTINGS)),
        "array.locking": ("thread", _one_of("thread", "file")),
        "array.order": ("C", _one_of("C", "F")),
        "array.read_missing_chunks": (True, _one_of(True, False)),
        "array.shard_index": ("cache", _one_of("cache", "trust")),
        "array.shard_index_cache_nbytes": (32 * 2**20, _count(0)),
        "array.shard_update": ("rewrite", _one_of("rewrite", "append")),
        "array.sharding_coalesce_max_bytes": (None, _count_or_none(0)),
        "array.sharding_coalesce_max_gap_bytes": (None, _count_or_none(0)),
        "array.target_chunk_size_bytes": (None, _count_or_none(1)),
        "array.target_shard_size_bytes": (None, _count_or_none(1)),
        "array.write_empty_chunks": (False, _one_of(True, False)),
        "default_zarr_format": (3, _one_of(2, 3)),
        "json_indent": (2, _count_or_none(0)),
        "storage.durable": (False, _one_of(True, False)),
        "storage.lock": ("auto", _one_of("auto", "flock", "lockfile")),
        "storage.lock_timeout": (60.0, _seconds()),
        "storage.max_requests": (64, _count(1)),
        "storage.max_requests_per_process": (256, _count(1)),
        "storage.retries": (5, _count(0)),
        "storage.retry_delay": (0.1, _seconds()),
        "storage.retry_max_delay": (10.0, _seconds()),
        "storage.timeout": (300.0, _seconds(or_none=True)),
        "storage.transaction_lease": (30.0, _seconds()),
        "threading.max_workers": (None, _count_or_none(1)),
    }
)


def close_names(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known names that look like ``name``, or nothing."""
    # Only errors need it, and every import of zarrc would pay for it.
    import difflib

    # Stricter than by default where what settings begin with makes all of them alike.
    cutoff = 0.7 if "." in name else 0.6
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=cutoff)
    return f"; did you mean {' or '.join(repr(one) for one in close)}?" if close else ""


def _check_setting(key: str, value: object) -> None:
    if key not in _SETTINGS:
        hint = close_names(key, _SETTINGS) or f"; known settings: {', '.join(_SETTINGS)}"
        raise UnknownSettingError(f"unknown setting {key!r}{hint}")
    if (problem := _SETTINGS[key][1](value)) is not None:
        raise ValueError(f"setting {key!r} {problem}, got {value!r}")


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as ``{"a.b": value}``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}".replace("__", ".")
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _parse_text(text: str) -> Any:
    """Read an environment variable's value: JSON, or Python's spelling of it, else the text as it stands."""
    spelled = {"true": True, "false": False, "none": None, "null": None, "": None}
    if text.strip().lower() in spelled:
        return spelled[text.strip().lower()]
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Collect the settings of ``ZARRC_A__B`` variables; what is wrong with one is a warning only."""
    found: dict[str, Any] = {}
    for variable in sorted(environ):
        key = variable.removeprefix("ZARRC_").lower().replace("__", ".")
        # ZARRC_NUM_THREADS and the like belong to other parts: only names with "__" are surely meant for us.
        if not variable.startswith("ZARRC_") or ("." not in key and key not in _SETTINGS):
            continue
        value = _parse_text(environ[variable])
        try:
            _check_setting(key, value)
        except (UnknownSettingError, ValueError) as error:
            warnings.warn(f"environment variable {variable} is ignored: {error}", ZarrcWarning, stacklevel=2)
        else:
            found[key] = value
    return found


class _Change:
    """What `Config.set` returns: already in force; in a ``with`` statement for its block only."""

    def __init__(self, owner: Config, new: dict[str, Any]) -> None:
        self._owner = owner
        self._new = new
        self._old = owner._put_process(new)
        self._token: Token[Mapping[str, Any]] | None = None

    def __enter__(self) -> Config:
        # The change moves from the process to this thread or task, where others do not see it.
        self._owner._take_back(self._new, self._old)
        local = self._owner._local
        self._token = local.set({**local.get(), **self._new})
        return self._owner

    def __exit__(self, *exc: object) -> None:
        if self._token is not None:
            self._owner._local.reset(self._token)
            self._token = None


class Config:
    """The library's settings, by dotted name.

    ===================================== =========== =====================================================
    name                                  default     meaning
    ===================================== =========== =====================================================
    default_zarr_format                   3           format of new nodes: 2 or 3
    array.order                           "C"         memory order of what a read returns (v3 arrays)
    array.write_empty_chunks              False       store chunks that hold nothing but the fill value
    array.read_missing_chunks             True        read a missing chunk as the fill value; False:
                                                      ChunkNotFoundError
    array.casting                         "checked"   how written values become the array's data type
    array.cache_nbytes                    0           bytes of decoded chunks that a handle keeps for its next
                                                      reads; 0: none
    array.target_chunk_size_bytes         None        what chunks="auto" aims at, decoded; None: 1 to 16 MiB,
                                                      by the array's size
    array.target_shard_size_bytes         None        what shards="auto" aims at, decoded; None: 64 MB
    array.sharding_coalesce_max_gap_bytes None        bytes between two inner chunks that one request reads
                                                      too; None: what suits the store
    array.sharding_coalesce_max_bytes     None        most bytes of such a request; None: what suits the
                                                      store
    array.shard_index                     "cache"     when a shard's index is read again: "cache", "trust"
    array.shard_index_cache_nbytes        33554432    bytes of indexes that a handle keeps; 0: none
    array.shard_update                    "rewrite"   how a part of a shard is written: "rewrite", "append"
    array.locking                         "thread"    who may write to one object at a time: "thread", "file"
    json_indent                           2           indentation of metadata documents; None: compact
    storage.durable                       False       flush what new stores of directories and SQLite files
                                                      write to the disk before a call returns
    storage.lock                          "auto"      what array.locking="file" locks by: "flock", "lockfile",
                                                      or "auto": flock, and a lockfile where that is refused
    storage.lock_timeout                  60.0        seconds to wait for a lockfile that somebody else has
    storage.max_requests                  64          requests that one remote store has in flight
    storage.max_requests_per_process      256         requests that all remote stores have in flight together
    storage.retries                       5           how often a request that failed for a passing reason is
                                                      tried again
    storage.retry_delay                   0.1         seconds before the first of them, on average half of it;
                                                      doubled each time
    storage.retry_max_delay               10.0        most seconds between two of them
    storage.timeout                       300.0       seconds that one request may take; None: for ever
    storage.transaction_lease             30.0        seconds after which a transaction without sign of life
                                                      is taken for dead, where no file lock tells
    threading.max_workers                 None        threads that encode and decode; None: as many as CPUs
                                                      may be used
    ===================================== =========== =====================================================

    `ArrayConfig` tells more of those of arrays.

    An environment variable ``ZARRC_ARRAY__ORDER=F`` sets ``array.order`` when the library is imported (JSON
    values; "__" stands for the dot).

    Notes
    -----
    ``config.set({...})`` as a statement holds for the whole process. As ``with config.set({...}):`` it holds
    for the code inside the block only: other threads, also those started in the block, keep what they had,
    and so do other asyncio tasks. An array takes the ``array.*`` settings when it is opened or created and
    keeps them (see `Array.with_config`); ``json_indent`` and ``threading.max_workers`` are read at each call.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._lock = allocate_lock()
        self._local: ContextVar[Mapping[str, Any]] = ContextVar("zarrc_config", default=MappingProxyType({}))
        self._process: dict[str, Any] = {}
        self._array: tuple[object, object, ArrayConfig] | None = None
        self.refresh(environ)

    @property
    def defaults(self) -> dict[str, Any]:
        """Every setting's name and built-in default."""
        return {key: default for key, (default, _) in _SETTINGS.items()}

    def get(self, key: str, default: Any = _MISSING) -> Any:
        """Return one setting, or a dict of those below a prefix (``get("array")``).

        Parameters
        ----------
        key : str
            Dotted name.
        default : object, optional
            Returned for an unknown name.

        Raises
        ------
        UnknownSettingError
            If the name is unknown and no default is given; the text offers close names.
        """
        current = {**self._process, **self._local.get()}
        if key in current:
            return current[key]
        below = {name[len(key) + 1 :]: value for name, value in current.items() if name.startswith(f"{key}.")}
        if below:
            return below
        if default is not _MISSING:
            return default
        hint = close_names(key, current) or f"; known settings: {', '.join(current)}"
        raise UnknownSettingError(f"unknown setting {key!r}{hint}")

    def set(self, settings: Mapping[str, Any] | None = None, **more: Any) -> _Change:
        """Change settings: all of them, or none if one is wrong.

        Parameters
        ----------
        settings : Mapping, optional
            ``{"array.order": "F"}`` or nested, ``{"array": {"order": "F"}}``.
        **more
            The same as keywords, with ``__`` for the dot: ``array__order="F"``.

        Returns
        -------
        context manager
            Used in a ``with`` statement it limits the change to the block and to its thread or asyncio task.

        Raises
        ------
        UnknownSettingError
            For an unknown name; the text offers close names.
        ValueError
            For a value that the setting does not allow.
        """
        new = _flatten({**(settings or {}), **more})
        for key, value in new.items():
            _check_setting(key, value)
        return _Change(self, new)

    def reset(self) -> None:
        """Go back to the built-in defaults, environment variables left out."""
        with self._lock:
            self._process = self.defaults

    def refresh(self, environ: Mapping[str, str] | None = None) -> None:
        """Go back to the defaults, and read the environment variables again.

        Parameters
        ----------
        environ : Mapping, optional
            In place of ``os.environ``.
        """
        found = _from_environment(os.environ if environ is None else environ)
        with self._lock:
            self._process = {**self.defaults, **found}

    def _array_config(self) -> ArrayConfig:
        """Return the settings of arrays as they are now; made anew only when a setting has changed."""
        process, local = self._process, self._local.get()
        kept = self._array
        # Both are replaced, never changed, so the same objects say the same.
        if kept is None or kept[0] is not process or kept[1] is not local:
            kept = self._array = process, local, ArrayConfig(**self.get("array"))
        return kept[2]

    def _put_process(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings of the process; return the old values."""
        with self._lock:
            old = {key: self._process[key] for key in new}
            # A new dict each time: readers take no lock.
            self._process = {**self._process, **new}
        return old

    def _take_back(self, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        """Undo `_put_process`, except where somebody changed the value since."""
        with self._lock:
            undone = {key: value for key, value in old.items() if self._process[key] is new[key]}
            self._process = {**self._process, **undone}

    def __repr__(self) -> str:
        current = {**self._process, **self._local.get()}
        return "Config(\n" + "".join(f"    {key!r}: {current[key]!r},\n" for key in sorted(current)) + ")"


config = Config()


@frozen()
class ArrayConfig:
    """How one array's handle reads and writes; nothing of it is stored.

    Parameters
    ----------
    order : {"C", "F"}, default "C"
        Memory order of what a read returns.
    write_empty_chunks : bool, default False
        Store chunks that hold nothing but the fill value; otherwise they are deleted.
    read_missing_chunks : bool, default True
        Read a missing chunk as the fill value; False raises `ChunkNotFoundError`.
    casting : str, default "checked"
        How written values become the array's data type. ``"checked"``: integers must fit, floats that go to
        an integer type must be whole and fit, floats round to floats as in NumPy; or one of NumPy's own
        rules, ``"no"``, ``"equiv"``, ``"safe"``, ``"same_kind"``, ``"unsafe"``.
    cache_nbytes : int, default 0
        Bytes of memory for decoded chunks that this handle keeps, the latest ones (`Array.with_cache`); 0
        keeps none.
    locking : {"thread", "file"}, default "thread"
        What keeps two partial writes of one stored object apart. ``"thread"``: a lock in this process, for
        all its threads and handles. ``"file"``: also a lock file beside the object (``flock``), for all
        processes that use it too; local stores only.
    shard_index : {"cache", "trust"}, default "cache"
        When a shard's index that was read before is used again. ``"cache"``: when the object is known to be
        the same one (local files, whose inode, size and change time are looked at); elsewhere it is read once
        a call. ``"trust"``: always, for shards that nobody else changes.
    shard_index_cache_nbytes : int, default 33554432
        Bytes of shard indexes that a handle keeps, the latest ones; 0 keeps none.
    shard_update : {"rewrite", "append"}, default "rewrite"
        How a write to a part of a shard is stored. ``"rewrite"``: the shard is written anew and takes the old
        one's place, whole for every reader. ``"append"``: what changed and a new index go behind what is
        there; local stores only. It is faster, leaves the old inner chunks as garbage, and while it happens
        the shard can be read by this library only.
    sharding_coalesce_max_gap_bytes : int, optional
        Inner chunks of a shard with no more than so many bytes between them are read by one request. None
        for what suits the store: little for local files, more where each request takes a round trip.
    sharding_coalesce_max_bytes : int, optional
        The most bytes of a request for several inner chunks; one inner chunk is always one request. None for
        what suits the store.
    target_chunk_size_bytes : int, optional
        Decoded bytes of a chunk that ``chunks="auto"`` aims at, when an array is created; None is 1 MiB for
        arrays of up to 4 GiB and more for larger ones, up to 16 MiB.
    target_shard_size_bytes : int, optional
        Decoded bytes of a shard that ``shards="auto"`` aims at, when an array is created; None is 64 MB.

    Raises
    ------
    ValueError
        If a field has a value that it does not allow.
    """

    order: Literal["C", "F"] = "C"
    write_empty_chunks: bool = False
    read_missing_chunks: bool = True
    casting: Casting = "checked"
    cache_nbytes: int = 0
    locking: Literal["thread", "file"] = "thread"
    shard_index: Literal["cache", "trust"] = "cache"
    shard_index_cache_nbytes: int = 32 * 2**20
    shard_update: Literal["rewrite", "append"] = "rewrite"
    sharding_coalesce_max_gap_bytes: int | None = None
    sharding_coalesce_max_bytes: int | None = None
    target_chunk_size_bytes: int | None = None
    target_shard_size_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in _OPTIONS:
            _check_setting(f"array.{name}", getattr(self, name))


_OPTIONS: Final[tuple[str, ...]] = ArrayConfig.__match_args__

ArrayConfigLike = ArrayConfig | Mapping[str, Any] | None


def parse_array_config(given: ArrayConfigLike, base: ArrayConfig | None = None) -> ArrayConfig:
    """Return ``given`` as an `ArrayConfig`, with what it leaves out from ``base`` or from ``zarrc.config``.

    Parameters
    ----------
    given : ArrayConfig, Mapping or None
        Fields of `ArrayConfig` by name.
    base : ArrayConfig, optional
        Where the other fields come from.

    Raises
    ------
    UnknownSettingError
        For a field that does not exist; the text offers close names.
    ValueError
        For a value that a field does not allow.
    """
    if isinstance(given, ArrayConfig):
        return given
    start = base if base is not None else config._array_config()
    if given is None:
        return start
    for name in given:
        if name not in _OPTIONS:
            hint = close_names(name, _OPTIONS) or f"; known options: {', '.join(_OPTIONS)}"
            raise UnknownSettingError(f"unknown array option {name!r}{hint}")
    return changed(start, **dict(given))
