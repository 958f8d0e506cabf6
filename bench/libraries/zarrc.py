"""zarrc itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot, Library, Selection


class Zarrc(Library):
    name = "zarrc"
    # zarrc loads its parts on first use, so the names that open an array are asked for too.
    import_statement = "import zarrc; zarrc.open_array; zarrc.create_array"
    first_read = "import zarrc; zarrc.open_array({path!r}, mode='r')[0, 0]"

    def __init__(self, threads: int | None) -> None:
        super().__init__(threads)
        import zarrc

        self.zarrc = zarrc
        if threads is not None:
            zarrc.config.set({"threading.max_workers": threads})

    @property
    def module_file(self) -> str:
        return str(self.zarrc.__file__)

    def local(self, path: Path) -> Any:
        return str(path)

    def memory(self) -> Any:
        return self.zarrc.storage.MemoryStore()

    def create(self, location: Any, spec: ArraySpec) -> Any:
        filters, compressors = spec.codec_documents()
        create: Any = self.zarrc.create_array
        return create(
            location,
            shape=spec.shape,
            chunks=spec.chunks,
            dtype=spec.dtype,
            filters=filters or None,
            compressors=compressors or None,
            zarr_format=spec.zarr_format,
            fill_value=0,
            attributes=spec.attributes,
        )

    def open(self, location: Any) -> Any:
        return self.zarrc.open_array(location, mode="r+")

    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]:
        return lambda: array[selection]

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        reversed_array = array.with_config({"order": "F"})
        return lambda: reversed_array[...].T

    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]:
        return lambda: array.__setitem__(selection, data)

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        copy_array = getattr(self.zarrc, "copy_array", None)
        if copy_array is None:
            raise Cannot("zarrc has no copy_array")
        return lambda: copy_array(source, location)

    def looker(self, location: Any) -> Callable[[], Any]:
        open_array = self.zarrc.open_array

        def look() -> tuple[Any, ...]:
            array = open_array(location, mode="r")
            return array.shape, array.dtype, array.chunks, dict(array.attrs)

        return look
