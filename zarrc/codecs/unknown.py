"""A codec of a name that is not known here, in a document that says it need not be."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from zarrc.codecs.base import ChunkSpec, Codec, CodecKind
from zarrc.errors import CodecError

__all__ = ["UnknownCodec"]


@dataclass(frozen=True, slots=True)
class UnknownCodec(Codec):
    """An unknown codec with ``must_understand: false``: skipped in reading, refused in writing.

    A rewrite of the document keeps it.

    Parameters
    ----------
    document : str
        The codec as the document has it: a JSON object as text, so that the codec stays hashable.
    name : str
        Its name.
    """

    kind: ClassVar[CodecKind] = "unknown"

    document: str
    name: str = field(default="", kw_only=True)  # type: ignore[misc]

    def encode(self, data: Any, spec: ChunkSpec) -> NoReturn:
        """Refuse: what the codec would have done is not known."""
        raise CodecError("is not known here, so the array can be read but not written", codec=self.name)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> Any:
        """``data`` itself."""
        return data

    def to_v3_json(self) -> dict[str, Any]:
        """The codec as it was read."""
        document: dict[str, Any] = json.loads(self.document)
        return document
