"""Makes sharded.json: what zarr-python 3.4.2 writes for the keywords of a sharded array, and tells of it.

Run in the peers' environment: ``.venv-peers/bin/python tests/metadata/golden/make_sharded.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec

assert zarr.__version__ == "3.4.2", zarr.__version__

TRANSPOSE = TransposeCodec(order=(1, 0))
SHARDING = ShardingCodec(chunk_shape=(5, 3))
CASES: dict[str, dict[str, Any]] = {
    "plain": {"shape": (10, 7), "chunks": (2, 3), "shards": (4, 6), "dtype": "int32"},
    "extents as one number": {"shape": (10, 7), "chunks": 2, "shards": 6, "dtype": "uint8"},
    "inner codecs": {
        "shape": (10, 7),
        "chunks": (2, 3),
        "shards": (4, 6),
        "dtype": "float64",
        "filters": [TRANSPOSE],
        "compressors": [GzipCodec(level=3), Crc32cCodec()],
        "fill_value": 1.5,
    },
    "no compressor": {"shape": (9,), "chunks": 3, "shards": 6, "dtype": "int16", "compressors": None},
    "big endian": {
        "shape": (9,),
        "chunks": (3,),
        "shards": (6,),
        "dtype": "int16",
        "serializer": BytesCodec(endian="big"),
    },
    "index at the start": {
        "shape": (10, 7),
        "chunks": (2, 3),
        "shards": {"shape": (4, 6), "index_location": "start"},
        "dtype": "int32",
    },
    "a serializer": {
        "shape": (10, 12),
        "chunks": (5, 6),
        "dtype": "int32",
        "serializer": SHARDING,
        "compressors": None,
    },
    "nested": {
        "shape": (10, 12),
        "chunks": (10, 6),
        "shards": (20, 12),
        "dtype": "int32",
        "serializer": SHARDING,
        "compressors": None,
    },
    "0-d": {"shape": (), "chunks": (), "shards": (), "dtype": "int32"},
    "no elements": {"shape": (0, 12), "chunks": (5, 3), "shards": (5, 6), "dtype": "int32"},
}
TOLD = ("chunks", "shards", "cdata_shape", "nchunks", "read_chunk_sizes", "write_chunk_sizes")


def plain(value: Any) -> Any:
    """A keyword as JSON has it: codecs by name and configuration."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def made(keywords: dict[str, Any]) -> dict[str, Any]:
    """The document and what the handle tells."""
    array = zarr.create_array({}, **keywords)
    document = json.loads(json.dumps(array.metadata.to_dict(), default=str))
    parts = [*array.filters, array.serializer, *array.compressors]
    return {
        "keywords": {name: plain(value) for name, value in keywords.items()},
        "chunk_grid": document["chunk_grid"],
        "codecs": [plain(codec) for codec in array.metadata.to_dict()["codecs"]],
        "told": {name: getattr(array, name) for name in TOLD},
        "chain": [part.to_dict() for part in parts],
    }


if __name__ == "__main__":
    cases = {name: made(keywords) for name, keywords in CASES.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(case, default=list)}" for name, case in cases.items()]
    Path(__file__).with_name("sharded.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
