"""The exceptions of zarrc, one tree.

::

    ZarrcError
    ├── NodeNotFoundError (FileNotFoundError, ValueError)
    │   ├── ArrayNotFoundError
    │   ├── GroupNotFoundError
    │   └── MemberNotFoundError (KeyError)
    ├── ContainsNodeError (FileExistsError, ValueError)
    │   ├── ContainsArrayError
    │   └── ContainsGroupError
    ├── MetadataError (ValueError)
    │   └── UnknownExtensionError
    │       ├── UnknownCodecError
    │       └── UnknownDataTypeError
    ├── AttributesError (TypeError, ValueError)
    ├── CodecError (ValueError)
    │   └── CorruptChunkError
    ├── CastingError (ValueError, OverflowError)
    ├── ChunkNotFoundError (LookupError, ValueError)
    ├── ReadOnlyError (PermissionError, ValueError)
    ├── StoreError (OSError)
    │   ├── StoreDeniedError (PermissionError)
    │   ├── StoreThrottledError
    │   ├── StoreTimeoutError (TimeoutError)
    │   └── StoreConflictError
    │       └── TransactionConflictError
    ├── SelectionError (IndexError)
    │   ├── BoundsCheckError
    │   └── LabelError (KeyError)
    ├── UnknownSettingError (KeyError)
    └── MissingExtraError (ImportError)

Each carries ``array`` (path of the array), ``key`` (key of the object in the store) and ``codec`` (name of
the codec at work), each None where it is not known, and says the known ones in its text. All of them pickle.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArrayNotFoundError",
    "AttributesError",
    "BoundsCheckError",
    "CastingError",
    "ChunkNotFoundError",
    "CodecError",
    "ContainsArrayError",
    "ContainsGroupError",
    "ContainsNodeError",
    "CorruptChunkError",
    "GroupNotFoundError",
    "LabelError",
    "MemberNotFoundError",
    "MetadataError",
    "MissingExtraError",
    "NodeNotFoundError",
    "ReadOnlyError",
    "SelectionError",
    "StoreConflictError",
    "StoreDeniedError",
    "StoreError",
    "StoreThrottledError",
    "StoreTimeoutError",
    "TransactionConflictError",
    "UnknownCodecError",
    "UnknownDataTypeError",
    "UnknownExtensionError",
    "UnknownSettingError",
    "ZarrcError",
    "ZarrcWarning",
]


class ZarrcError(Exception):
    """Base of every exception that zarrc raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, and what would be right.
    array : str, optional
        Path of the array inside its store.
    key : str, optional
        Key of the object at fault.
    codec : str, optional
        Name of the codec at work.
    """

    def __init__(
        self,
        message: str = "",
        *,
        array: str | None = None,
        key: str | None = None,
        codec: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.array = array
        self.key = key
        self.codec = codec

    def __str__(self) -> str:
        # A node at the root of its store has the path "".
        where = [
            f"{word} {value or '/'!r}"
            for word, value in (("array", self.array), ("key", self.key), ("codec", self.codec))
            if value is not None
        ]
        return f"{self.message} ({', '.join(where)})" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.array, self.key, self.codec), dict(self.__dict__)


def _rebuild(
    cls: type[ZarrcError], message: str, array: str | None, key: str | None, codec: str | None
) -> ZarrcError:
    return cls(message, array=array, key=key, codec=codec)


class ZarrcWarning(UserWarning):
    """Base of the warnings of zarrc."""


class NodeNotFoundError(ZarrcError, FileNotFoundError, ValueError):
    """No array and no group is stored there."""


class ArrayNotFoundError(NodeNotFoundError):
    """No array is stored there."""


class GroupNotFoundError(NodeNotFoundError):
    """No group is stored there."""


class MemberNotFoundError(NodeNotFoundError, KeyError):
    """A group has no such member."""


class ContainsNodeError(ZarrcError, FileExistsError, ValueError):
    """A node is stored there already."""


class ContainsArrayError(ContainsNodeError):
    """An array is stored there already."""


class ContainsGroupError(ContainsNodeError):
    """A group is stored there already."""


class MetadataError(ZarrcError, ValueError):
    """A metadata document, or an argument that would go into one, breaks the specification."""


class UnknownExtensionError(MetadataError):
    """A name in a metadata document (codec, data type, grid, key encoding) is not known here."""


class UnknownCodecError(UnknownExtensionError):
    """The codec's name is not known here."""


class UnknownDataTypeError(UnknownExtensionError):
    """The data type's name is not known here."""


class AttributesError(ZarrcError, TypeError, ValueError):
    """An attribute's value cannot be stored as JSON."""


class CodecError(ZarrcError, ValueError):
    """A codec could not encode or decode a chunk."""


class CorruptChunkError(CodecError):
    """The stored bytes of a chunk are not what its metadata says."""


class CastingError(ZarrcError, ValueError, OverflowError):
    """A value does not fit the array's data type."""


class ChunkNotFoundError(ZarrcError, LookupError, ValueError):
    """A chunk is missing, and the array's configuration says that it must not be."""


class ReadOnlyError(ZarrcError, PermissionError, ValueError):
    """The array, group or store was opened for reading only."""


class StoreError(ZarrcError, OSError):
    """A store could not do what was asked."""


class StoreDeniedError(StoreError, PermissionError):
    """The store refused access."""


class StoreThrottledError(StoreError):
    """The store asked to slow down."""


class StoreTimeoutError(StoreError, TimeoutError):
    """The store did not answer in time."""


class StoreConflictError(StoreError):
    """The object changed since its version was read."""


class TransactionConflictError(StoreConflictError):
    """A transaction met changes of others, or lost its place to another; nothing of it was done.

    Or: a transaction that is being committed is in the way.
    """


class SelectionError(ZarrcError, IndexError):
    """A selection does not fit the array."""


class BoundsCheckError(SelectionError):
    """An index is out of bounds."""


class LabelError(SelectionError, KeyError):
    """A coordinate has no such label."""


class UnknownSettingError(ZarrcError, KeyError):
    """A setting's name, or that of an option of an array's handle, is not known."""


class MissingExtraError(ZarrcError, ImportError):
    """An optional package is not installed; the text names the extra that brings it."""
