"""tensorstore, with ``file_io_sync`` off, as the others do not wait for the disk either."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Library, Selection, Step


@dataclass(frozen=True)
class _Location:
    kvstore: dict[str, Any]
    context: Any
    path: Path | None = None


def _sharding(spec: ArraySpec, codecs: list[dict[str, Any]]) -> dict[str, Any]:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    configuration = {
        "chunk_shape": spec.chunks,
        "codecs": codecs,
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {"name": "sharding_indexed", "configuration": configuration}


def _from_0(shape: tuple[int, ...], step: tuple[Any, ...]) -> tuple[Any, ...]:
    """A step's slices without negative numbers, which are no places from the end to tensorstore."""
    return tuple(slice(*part.indices(n)) for part, n in zip(step, shape, strict=False))


class Tensorstore(Library):
    name = "tensorstore"
    import_statement = "import tensorstore; tensorstore.open"
    first_read = (
        "import tensorstore; tensorstore.open("
        "{{'driver': 'zarr3', 'kvstore': {{'driver': 'file', 'path': {path!r}}}}}, open=True"
        ").result()[0, 0].read().result()"
    )

    def __init__(self, threads: int | None) -> None:
        super().__init__(threads)
        import tensorstore

        self.ts = tensorstore

    @property
    def module_file(self) -> str:
        return str(self.ts.__file__)

    def _context(self, cache_nbytes: int = 0) -> Any:
        spec: dict[str, Any] = {"file_io_sync": False}
        if cache_nbytes:
            spec["cache_pool"] = {"total_bytes_limit": cache_nbytes}
        if self.threads is not None:
            spec["data_copy_concurrency"] = {"limit": self.threads}
            spec["file_io_concurrency"] = {"limit": self.threads}
        return self.ts.Context(spec)

    def local(self, path: Path) -> Any:
        return _Location({"driver": "file", "path": f"{path}/"}, self._context(), path)

    def memory(self) -> Any:
        return _Location({"driver": "memory", "path": "array/"}, self._context())

    def _driver(self, location: Any) -> str:
        return "zarr" if location.path is not None and (location.path / ".zarray").exists() else "zarr3"

    def create(self, location: Any, spec: ArraySpec) -> Any:
        filters, compressors = spec.codec_documents()
        metadata: dict[str, Any]
        if spec.zarr_format == 2:
            metadata = {
                "zarr_format": 2,
                "shape": spec.shape,
                "chunks": spec.chunks,
                "dtype": np.dtype(spec.dtype).str,
                "fill_value": 0,
                "order": "C",
                "filters": None,
                "compressor": compressors[0] if compressors else None,
            }
        else:
            codecs = [
                *filters,
                {"name": "bytes", "configuration": {"endian": "little"}},
                *compressors,
            ]
            metadata = {
                "shape": spec.shape,
                "chunk_grid": {
                    "name": "regular",
                    "configuration": {"chunk_shape": spec.shards or spec.chunks},
                },
                "data_type": spec.dtype,
                "fill_value": 0,
                "codecs": [_sharding(spec, codecs)] if spec.shards else codecs,
                "attributes": spec.attributes,
            }
        open_spec = {
            "driver": "zarr" if spec.zarr_format == 2 else "zarr3",
            "kvstore": location.kvstore,
            "metadata": metadata,
        }
        return self.ts.open(open_spec, create=True, context=location.context).result()

    def open(self, location: Any) -> Any:
        spec = {"driver": self._driver(location), "kvstore": location.kvstore}
        return self.ts.open(spec, open=True, context=location.context).result()

    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]:
        if selection is Ellipsis:
            return lambda: array.read().result()
        return lambda: array[selection].read().result()

    def open_cached(self, location: Any, nbytes: int) -> Any:
        return self.open(_Location(location.kvstore, self._context(nbytes), location.path))

    def points_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        return lambda: array.vindex[indices].read().result()

    def orthogonal_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        return lambda: array.oindex[indices].read().result()

    def mask_reader(self, array: Any, mask: np.ndarray) -> Callable[[], Any]:
        return lambda: array[mask].read().result()

    def lazy_reader(self, array: Any, steps: Sequence[Step]) -> Callable[[], Any]:
        start_at_0 = self.ts.d[:].translate_to[0]

        def read() -> Any:
            view = array
            for step in steps:
                # Its indices are those of the array, not of the view: each step begins at 0 again.
                view = view.T if step == "T" else view[_from_0(view.shape, step)][start_at_0]
            return view.read(order="C").result()

        return read

    def direct_reader(self, array: Any, selection: Selection, transposed: bool) -> Callable[[], Any]:
        if not transposed:
            return self.reader(array, selection)
        return lambda: array[selection].T.read(order="C").result()

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        return lambda: array.T.read(order="C").result()

    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]:
        # Its fastest way: it need not copy the data first. In memory it would then keep the caller's array.
        borrow = array.kvstore.spec().to_json()["driver"] == "file"
        if selection is not Ellipsis:
            array = array[selection]
        return lambda: array.write(data, can_reference_source_data_indefinitely=borrow).result()

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        return lambda: self.create(location, spec).write(source).result()

    def resize(self, array: Any, shape: tuple[int, ...]) -> Any:
        return array.resize(exclusive_max=shape).result()

    def appender(self, array: Any) -> Callable[[np.ndarray], Any]:
        now = array

        def append(rows: np.ndarray) -> None:
            nonlocal now
            n = now.shape[0]
            now = now.resize(exclusive_max=(n + len(rows), *now.shape[1:]), expand_only=True).result()
            now[n:].write(rows, can_reference_source_data_indefinitely=True).result()

        return append

    def looker(self, location: Any) -> Callable[[], Any]:
        spec = {"driver": self._driver(location), "kvstore": location.kvstore}
        open_ = self.ts.open
        # It has no call for attributes: a second read of the document, parsed, gives them.
        document, _, member = (
            (location.path / ".zattrs", None, None)
            if spec["driver"] == "zarr"
            else (location.path / "zarr.json", None, "attributes")
        )

        def look() -> tuple[Any, ...]:
            array = open_(spec, open=True, read=True).result()
            attributes = json.loads(document.read_bytes())
            return (
                array.shape,
                array.dtype.numpy_dtype,
                array.chunk_layout.read_chunk.shape,
                attributes[member] if member else attributes,
            )

        return look
