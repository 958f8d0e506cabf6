"""Metadata: the format-neutral model, the documents of v2 and v3, and the making of new ones."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.metadata.attributes import attributes_to_json
    from zarrc.metadata.build import build_array, build_group
    from zarrc.metadata.model import ArrayMetadata, GroupMetadata, V2Fields
    from zarrc.metadata.v2 import parse_array, parse_group
    from zarrc.metadata.v3 import parse_node

__all__ = [
    "ArrayMetadata",
    "GroupMetadata",
    "V2Fields",
    "attributes_to_json",
    "build_array",
    "build_group",
    "parse_array",
    "parse_group",
    "parse_node",
]

# Name -> module; loaded on first use: to open an array needs neither `build` nor the other format.
__getattr__, __dir__ = lazy(
    globals(),
    {
        "ArrayMetadata": "model",
        "GroupMetadata": "model",
        "V2Fields": "model",
        "attributes_to_json": "attributes",
        "build_array": "build",
        "build_group": "build",
        "parse_array": "v2",
        "parse_group": "v2",
        "parse_node": "v3",
    },
)
