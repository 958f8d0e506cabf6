"""zarrc's side of the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

import zarrc
from tests.interop.cases import Case, difference, same_bits


def write(case: Case, path: str) -> None:
    """Create a case's array and write what it says."""
    array = zarrc.create_array(path, **_arguments(case))
    box = case.selection()
    if box is not None:
        array[box] = case.values()[box]


def update(case: Case, path: str) -> None:
    """Write once more into a case's array, by rewriting shards and by appending to them in turns."""
    box, values = case.update()
    config = {"shard_update": ("rewrite", "append")[case.number % 2]}
    zarrc.open_array(path, mode="r+", config=config)[box] = values


def check(case: Case, path: str) -> str:
    """Read a case's array back; what is wrong with it, or ""."""
    return _check(case, path, case.expected())


def check_updated(case: Case, path: str) -> str:
    """The same of an array that was updated."""
    return _check(case, path, case.updated())


def _check(case: Case, path: str, expected: np.ndarray[Any, Any]) -> str:
    array = zarrc.open_array(path, mode="r")
    for name in ("shape", "chunks", "shards"):
        if getattr(array, name) != getattr(case, name):
            return f"{name} is {getattr(array, name)}"
    if not same_bits(np.asarray(array.fill_value), case.fill_value()):
        return f"fill value is {array.fill_value!r}"
    return difference(np.asarray(array[...]), expected)


def _arguments(case: Case) -> dict[str, Any]:
    name, separator = case.key_encoding
    common = {
        "shape": case.shape,
        "chunks": case.chunks if case.plain_shards else case.stored_shape,
        "fill_value": case.fill_value()[()],
        "zarr_format": case.zarr_format,
        "chunk_key_encoding": {"name": name, "separator": separator},
    }
    return common | (_arguments_v2(case) if case.zarr_format == 2 else _arguments_v3(case))


def _arguments_v3(case: Case) -> dict[str, Any]:
    if not case.plain_shards:
        return {"dtype": case.dtype_name, "codecs": case.codecs()}
    return {
        "dtype": case.dtype_name,
        "shards": case.shards,
        "filters": case.array_to_array(),
        "serializer": case.bytes_codec(),
        "compressors": case.bytes_to_bytes(),
    }


def _arguments_v2(case: Case) -> dict[str, Any]:
    chain = case.chain_v2
    return {
        "dtype": case.v2_dtype,
        "order": chain.order,
        "filters": [dict(codec) for codec in chain.filters] or None,
        "compressors": None if chain.compressor is None else dict(chain.compressor),
    }
