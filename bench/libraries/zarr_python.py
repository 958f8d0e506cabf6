"""zarr-python with its default codec pipeline, with its fused one, and with that of zarrs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot, Selection
from bench.libraries.zarr_api import ZarrApi


class ZarrPython(ZarrApi):
    name = "zarr"
    import_statement = "import zarr; zarr.open_array; zarr.create_array"
    first_read = "import zarr; zarr.open_array({path!r}, mode='r')[0, 0]"
    settings: dict[str, Any] = {}  # noqa: RUF012
    whole_copies = False

    def __init__(self, threads: int | None) -> None:
        super().__init__(threads)
        import zarr

        self.module = zarr
        zarr.config.set(self.settings)
        if threads is not None:
            import numcodecs.blosc

            zarr.config.set({"threading.max_workers": threads, "codec_pipeline.max_workers": threads})
            numcodecs.blosc.set_nthreads(threads)

    def mask_reader(self, array: Any, mask: np.ndarray) -> Callable[[], Any]:
        # A little faster than get_mask_selection, which does the same.
        return lambda: array.get_coordinate_selection(np.nonzero(mask))

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        reversed_array = array.with_config({"order": "F"})
        return lambda: np.ascontiguousarray(reversed_array[...].T)

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        # Chunk by chunk, several at once, is fastest; on the disk, pipelines with threads of their own are
        # faster with all at once.
        if self.whole_copies and isinstance(location, str):

            def copy() -> None:
                self.create(location, spec)[...] = source[...]

            return copy
        return lambda: self.module.from_array(location, data=source)


class ZarrFused(ZarrPython):
    name = "zarr-fused"
    _PIPELINE = "zarr.core.codec_pipeline.FusedCodecPipeline"
    settings = {"codec_pipeline.path": _PIPELINE}  # noqa: RUF012
    whole_copies = True
    first_read = "import zarr; zarr.config.set({{'codec_pipeline.path': '" + _PIPELINE + "'}}); "
    first_read += "zarr.open_array({path!r}, mode='r')[0, 0]"


class Zarrs(ZarrPython):
    name = "zarrs"
    import_statement = "import zarr, zarrs; zarr.open_array; zarr.create_array"
    # Strict: what zarrs cannot do is an error, not zarr-python's work.
    settings = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}  # noqa: RUF012
    whole_copies = True
    first_read = "import zarr, zarrs; zarr.config.set({{'codec_pipeline.path': 'zarrs.ZarrsCodecPipeline'}})"
    first_read += "; zarr.open_array({path!r}, mode='r')[0, 0]"

    def __init__(self, threads: int | None) -> None:
        import zarrs  # noqa: F401  registers the pipeline

        super().__init__(threads)

    def memory(self) -> Any:
        raise Cannot("zarrs' pipeline reads files only")

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        return self.direct_reader(array, ..., True)

    def direct_reader(self, array: Any, selection: Selection, transposed: bool) -> Callable[[], Any]:
        if not transposed:
            return self.reader(array, selection)
        # It does not read into Fortran order.
        return lambda: np.ascontiguousarray(array[selection].T)
