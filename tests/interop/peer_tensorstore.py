"""tensorstore as a peer."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import tensorstore

from tests.interop.cases import Case, fill_to_json


class TensorStore:
    """Writes and reads cases with tensorstore's drivers `zarr` (format 2) and `zarr3`."""

    def write(self, case: Case, path: str) -> None:
        metadata = _metadata_v2(case) if case.zarr_format == 2 else _metadata_v3(case)
        array = tensorstore.open(_spec(case, path) | {"metadata": metadata}, create=True).result()
        box = case.selection()
        if box is not None:
            array[box].write(_as_theirs(case.values()[box])).result()

    def update(self, case: Case, path: str) -> None:
        array = tensorstore.open(_spec(case, path), open=True).result()
        box, values = case.update()
        array[box].write(_as_theirs(values)).result()

    def read(self, case: Case, path: str) -> np.ndarray[Any, Any]:
        array = tensorstore.open(_spec(case, path), open=True).result()
        if case.native_dtype.kind == "V":
            return _read_raw(array, case)
        return np.asarray(array.read().result())


def _spec(case: Case, path: str) -> dict[str, Any]:
    driver = "zarr" if case.zarr_format == 2 else "zarr3"
    return {"driver": driver, "kvstore": {"driver": "file", "path": path, "file_io_sync": False}}


def _as_theirs(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """tensorstore has raw bits as single bytes along one more dimension."""
    if values.dtype.kind != "V":
        return values
    return np.frombuffer(values.tobytes(), "V1").reshape(*values.shape, values.dtype.itemsize)


def _read_raw(array: Any, case: Case) -> np.ndarray[Any, Any]:
    """Raw bits, read into memory of ours: what tensorstore allocates comes back as void of no length."""
    single_bytes = np.zeros(array.shape, "V1")
    tensorstore.array(single_bytes).write(array).result()
    return np.frombuffer(single_bytes.tobytes(), case.native_dtype).reshape(case.shape)


def _metadata_v3(case: Case) -> dict[str, Any]:
    name, separator = case.key_encoding
    fill = case.fill_value()
    return {
        "shape": list(case.shape),
        "data_type": case.dtype_name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(case.stored_shape)}},
        "chunk_key_encoding": {"name": name, "configuration": {"separator": separator}},
        "fill_value": base64.b64encode(fill.tobytes()).decode()
        if fill.dtype.kind == "V"
        else fill_to_json(fill),
        "codecs": case.codecs(),
    }


def _metadata_v2(case: Case) -> dict[str, Any]:
    chain, fill = case.chain_v2, case.fill_value()
    return {
        "shape": list(case.shape),
        "chunks": list(case.chunks),
        "dtype": case.v2_dtype.str,
        "fill_value": base64.b64encode(fill.tobytes()).decode()
        if fill.dtype.kind == "V"
        else fill_to_json(fill),
        "order": chain.order if case.ndim > 1 else "C",  # for one dimension it insists on its own choice
        "filters": [dict(codec) for codec in chain.filters] or None,
        "compressor": chain.compressor,
        "dimension_separator": case.key_encoding[1],
    }
