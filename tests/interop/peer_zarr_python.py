"""zarr-python as a peer, with its own codec pipeline or with that of zarrs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numcodecs
import numpy as np
import zarr

from tests.interop.cases import Case


class ZarrPython:
    """Writes and reads cases with zarr-python.

    Parameters
    ----------
    pipeline : str, optional
        Class of a codec pipeline to put in the place of zarr-python's own; it must not fall back to that.
    """

    def __init__(self, pipeline: str | None) -> None:
        self.pipeline = pipeline

    def write(self, case: Case, path: str) -> None:
        with self._configured():
            array = zarr.create_array(path, **_arguments(case))
            box = case.selection()
            if box is not None:
                array[box if box else ...] = case.values().astype(array.dtype, copy=False)[box]

    def update(self, case: Case, path: str) -> None:
        with self._configured():
            array = zarr.open_array(path, mode="r+", zarr_format=case.zarr_format)
            box, values = case.update()
            array[box if box else ...] = values.astype(array.dtype, copy=False)

    def read(self, case: Case, path: str) -> np.ndarray[Any, Any]:
        with self._configured():
            array = zarr.open_array(path, mode="r", zarr_format=case.zarr_format)
            return np.asarray(array[...])

    def _configured(self) -> AbstractContextManager[Any]:
        if self.pipeline is None:
            return nullcontext()
        return zarr.config.set({"codec_pipeline.path": self.pipeline, "codec_pipeline.strict": True})


def _arguments(case: Case) -> dict[str, Any]:
    name, separator = case.key_encoding
    common = {
        "shape": case.shape,
        "chunks": case.chunks if case.plain_shards else case.stored_shape,
        "shards": case.shards if case.plain_shards else None,
        "fill_value": case.fill_value()[()],
        "zarr_format": case.zarr_format,
        "chunk_key_encoding": {"name": name, "separator": separator},
    }
    return common | (_arguments_v2(case) if case.zarr_format == 2 else _arguments_v3(case))


def _arguments_v3(case: Case) -> dict[str, Any]:
    if case.shards is not None and not case.plain_shards:
        codecs = case.codecs()
        at = [codec["name"] for codec in codecs].index("sharding_indexed")
        return {
            "dtype": case.native_dtype,
            "filters": codecs[:at],
            "serializer": codecs[at],
            "compressors": codecs[at + 1 :],
        }
    return {
        "dtype": case.native_dtype,
        "filters": [_their_name(codec) for codec in case.array_to_array()],
        "serializer": case.bytes_codec(),
        "compressors": case.bytes_to_bytes(),
    }


def _their_name(codec: dict[str, Any]) -> dict[str, Any]:
    """zarr-python knows bitround by its old name only."""
    return {**codec, "name": "numcodecs.bitround"} if codec["name"] == "bitround" else codec


def _arguments_v2(case: Case) -> dict[str, Any]:
    chain = case.chain_v2
    return {
        "dtype": case.v2_dtype,
        "order": chain.order,
        "filters": [numcodecs.get_codec(dict(codec)) for codec in chain.filters] or None,
        "compressors": None if chain.compressor is None else numcodecs.get_codec(dict(chain.compressor)),
    }
