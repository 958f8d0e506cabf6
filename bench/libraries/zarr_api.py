"""zarr-python's API, which zarrc has too: what both are asked in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Library, Selection


class ZarrApi(Library):
    """A library whose ``module`` has zarr-python's names."""

    module: Any

    @property
    def module_file(self) -> str:
        return str(self.module.__file__)

    def local(self, path: Path) -> Any:
        return str(path)

    def memory(self) -> Any:
        return self.module.storage.MemoryStore()

    def create(self, location: Any, spec: ArraySpec) -> Any:
        filters, compressors = spec.codec_documents()
        return self.module.create_array(
            location,
            shape=spec.shape,
            chunks=spec.chunks,
            shards=spec.shards,
            dtype=spec.dtype,
            filters=filters or None,
            compressors=compressors or None,
            zarr_format=spec.zarr_format,
            fill_value=0,
            attributes=spec.attributes,
        )

    def open(self, location: Any) -> Any:
        return self.module.open_array(location, mode="r+")

    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]:
        return lambda: array[selection]

    def points_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        return lambda: array.vindex[indices]

    def orthogonal_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        return lambda: array.oindex[indices]

    def direct_reader(self, array: Any, selection: Selection, transposed: bool) -> Callable[[], Any]:
        if not transposed:
            return self.reader(array, selection)
        reversed_array = array.with_config({"order": "F"})
        return lambda: np.ascontiguousarray(reversed_array[selection].T)

    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]:
        return lambda: array.__setitem__(selection, data)

    def resize(self, array: Any, shape: tuple[int, ...]) -> Any:
        array.resize(shape)
        return array

    def appender(self, array: Any) -> Callable[[np.ndarray], Any]:
        return lambda rows: array.append(rows)

    def looker(self, location: Any) -> Callable[[], Any]:
        open_array = self.module.open_array

        def look() -> tuple[Any, ...]:
            array = open_array(location, mode="r")
            return array.shape, array.dtype, array.chunks, dict(array.attrs)

        return look
