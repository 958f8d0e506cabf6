"""Metadata: the format-neutral model, the documents of v2 and v3, and the making of new ones."""

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
