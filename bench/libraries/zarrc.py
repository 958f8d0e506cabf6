"""zarrc itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot, Selection, Step
from bench.libraries.zarr_api import ZarrApi


class Zarrc(ZarrApi):
    name = "zarrc"
    # zarrc loads its parts on first use, so the names that open an array are asked for too.
    import_statement = "import zarrc; zarrc.open_array; zarrc.create_array"
    first_read = "import zarrc; zarrc.open_array({path!r}, mode='r')[0, 0]"
    appends = True

    def __init__(self, threads: int | None) -> None:
        super().__init__(threads)
        import zarrc

        self.module = zarrc
        if threads is not None:
            zarrc.config.set({"threading.max_workers": threads})

    def open_to_append(self, location: Any) -> Any:
        return self.module.open_array(location, mode="r+", config={"shard_update": "append"})

    def compact(self, array: Any) -> None:
        array.compact()

    def open_cached(self, location: Any, nbytes: int) -> Any:
        return self.open(location).with_cache(nbytes=nbytes)

    def points_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        return lambda: array[indices]

    def mask_reader(self, array: Any, mask: np.ndarray) -> Callable[[], Any]:
        return lambda: array[mask]

    def lazy_reader(self, array: Any, steps: Sequence[Step]) -> Callable[[], Any]:
        def read() -> Any:
            view = array.lazy
            for step in steps:
                view = view.T if step == "T" else view[step]
            return view.read()

        return read

    def mapper(
        self,
        source: Any,
        target: Any,
        function: Callable[[np.ndarray], np.ndarray],
        regions: Sequence[Selection],
        workers: int,
    ) -> Callable[[], Any]:
        del regions
        return lambda: source.map_chunks(function, out=target, workers=workers)

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        reversed_array = array.with_config({"order": "F"})
        return lambda: reversed_array[...].T

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        copy_array = getattr(self.module, "copy_array", None)
        if copy_array is None:
            raise Cannot("zarrc has no copy_array")
        return lambda: copy_array(source, location)
