"""Documents that the tests of this folder start from."""

from __future__ import annotations

import copy
import json
from typing import Any

V3_ARRAY: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}

V3_GROUP: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": {}}

V2_ARRAY: dict[str, Any] = {
    "zarr_format": 2,
    "shape": [4],
    "chunks": [2],
    "dtype": "<f4",
    "compressor": None,
    "fill_value": 0,
    "order": "C",
    "filters": None,
}

MISSING = object()


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of the document with fields changed, or removed where they are `MISSING`."""
    merged = copy.deepcopy(document) | changes
    return {name: value for name, value in merged.items() if value is not MISSING}


def as_bytes(document: Any) -> bytes:
    """The document as stored; bare NaN and infinities as zarr-python writes them."""
    return json.dumps(document).encode()
