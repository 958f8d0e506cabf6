"""The user's attributes of an array or a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Literal, Protocol

from zarrc.errors import AttributesError
from zarrc.metadata.attributes import attributes_to_json

__all__ = ["Attributes"]

Change = Callable[[dict[str, Any]], None]


class HasAttributes(Protocol):
    """What `Attributes` needs of the array or group that it belongs to."""

    _kind: Literal["array", "group"]

    @property
    def path(self) -> str: ...

    def _read_attributes(self) -> Mapping[str, Any]: ...

    def _change_attributes(self, change: Change) -> None: ...

    def _refresh(self) -> None: ...


class Attributes(MutableMapping[str, Any]):
    """The attributes of one array or group: a dict whose writes are stored at once.

    Each write takes the lock of the node's metadata, reads the stored document again, changes the named
    attributes in it and rewrites it as a whole: what other handles of this process wrote meanwhile to other
    attributes stays. A write that fails changes nothing, neither in the store nor in memory. NumPy scalars
    and arrays become numbers and lists, tuples become lists.

    Reading does not look at the store: it gives what was there when the handle was opened or last wrote, or
    when `refresh` was called. A value that is a list or dict is a copy; change it and assign it again.

    Raises
    ------
    AttributesError
        On assignment of a value that JSON cannot hold; the text names the attribute and the part of it.
    ReadOnlyError
        On assignment, if the array or group was opened for reading only.
    """

    def __init__(self, node: HasAttributes) -> None:
        self._node = node

    def __getitem__(self, key: str) -> Any:
        return _copy(self._node._read_attributes()[key])

    def __setitem__(self, key: str, value: Any) -> None:
        new = self._plain({key: value})
        self._node._change_attributes(lambda stored: stored.update(new))

    def __delitem__(self, key: str) -> None:
        # Raises KeyError if it is not in the stored document: another handle may have deleted or added it.
        self._node._change_attributes(lambda stored: stored.__delitem__(key))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._node._read_attributes()))

    def __len__(self) -> int:
        return len(self._node._read_attributes())

    def __contains__(self, key: object) -> bool:
        return key in self._node._read_attributes()

    def asdict(self) -> dict[str, Any]:
        """Return a copy of all attributes."""
        return {key: _copy(value) for key, value in self._node._read_attributes().items()}

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several attributes in one write: all of them, or none if one cannot be stored.

        Parameters
        ----------
        *args, **kwargs
            As for `dict.update`.
        """
        new = self._plain(dict(*args, **kwargs))
        if new:
            self._node._change_attributes(lambda stored: stored.update(new))

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes by these, in one write.

        Parameters
        ----------
        attributes : Mapping
            The new attributes; those not named are deleted.
        """
        new = self._plain(attributes)

        def replace(stored: dict[str, Any]) -> None:
            stored.clear()
            stored.update(new)

        self._node._change_attributes(replace)

    def clear(self) -> None:
        """Delete all attributes, in one write."""
        self._node._change_attributes(lambda stored: stored.clear())

    def refresh(self) -> None:
        """Read the stored document again, to see what others wrote."""
        self._node._refresh()

    def _plain(self, attributes: Mapping[Any, Any]) -> dict[str, Any]:
        """Return attributes as plain JSON types."""
        try:
            return attributes_to_json(attributes)
        except AttributesError as error:
            error.array = self._node.path if self._node._kind == "array" else None
            raise

    def __repr__(self) -> str:
        return f"Attributes({self.asdict()!r})"


def _copy(value: Any) -> Any:
    """Copy nested lists and dicts, so that changing what was read does not change the handle's memory."""
    if isinstance(value, Mapping):
        return {key: _copy(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(one) for one in value]
    return value
