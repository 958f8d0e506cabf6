"""Importing netCDF and HDF5 files: each numeric variable becomes an array, each group a group."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import zarrc
from zarrc.errors import ZarrcWarning
from zarrc.interop.blocks import choose_block, iterate_blocks
from zarrc.interop.cf import array_attributes, group_attributes
from zarrc.interop.chunking import check_chunks, choose_chunks
from zarrc.interop.hdf5 import open_hdf5
from zarrc.interop.hierarchy import Box, LeftOut, SourceArray, SourceFile
from zarrc.interop.names import with_legal_names
from zarrc.interop.netcdf3 import open_netcdf3
from zarrc.interop.staging import Stage, stage

__all__ = ["ImportProgress", "LeftOutWarning", "Progress", "import_file"]


class LeftOutWarning(ZarrcWarning):
    """Parts of a file that were not imported."""


class ImportProgress(NamedTuple):
    """How far an import is.

    Attributes
    ----------
    array : str
        Path of the array at work.
    done_nbytes, total_nbytes : int
        Bytes of the values, as they are in memory: imported until now, and to import in all.
    """

    array: str
    done_nbytes: int
    total_nbytes: int


Progress = Callable[[ImportProgress], None]


def import_file(
    source: str | os.PathLike[str],
    store: Any,
    *,
    chunks: Mapping[str, int] | Literal["auto"] | None = None,
    codecs: Any = None,
    zarr_format: Literal[2, 3] = 3,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> zarrc.Group:
    """Import a netCDF or HDF5 file.

    Every variable of integers, floats, complex numbers or booleans becomes an array with its dimension
    names and attributes, every group a group. Values are stored as they are: ``scale_factor``,
    ``add_offset`` and ``_Unsigned`` are carried as attributes and not applied; ``_FillValue`` is written in
    the way that xarray reads.

    Parameters
    ----------
    source : str or path
        A netCDF-4 or HDF5 file (read with h5py), or a classic netCDF file (read with netCDF4).
    store : StoreLike
        Where the new root group shall be.
    chunks : mapping of str to int, "auto" or None, default None
        Chunk length per dimension name, in elements, for the arrays that have the dimension; -1 is the
        whole axis. The other axes of these arrays stay whole, halved while a chunk has more than 16 MiB.
        Arrays without any of the dimensions, and all arrays with None or "auto", keep the file's own chunks
        where these have 128 KiB to 64 MiB or are the whole array, and get zarrc's automatic chunks
        elsewhere.
    codecs : sequence or None, default None
        Codec chain of every array, as `zarrc.create_array` takes it; None for zarrc's default. In v2 a
        compressor, with or without the ``bytes`` codec before it.
    zarr_format : {2, 3}, default 3
        Version of the Zarr format to write.
    overwrite : bool, default False
        Replace the array or group that is at `store`. It stays until the new one is complete, where `store`
        is a local path.
    progress : callable, optional
        Called with an `ImportProgress` before the first block and after each one. An exception from it ends
        the import.

    Returns
    -------
    Group
        The new root group, open for reading and writing.

    Raises
    ------
    MissingExtraError
        If the library that reads the file is not installed.
    FileNotFoundError, PermissionError, OSError
        If `source` cannot be read or `store` cannot be written.
    ValueError
        If `source` is not a netCDF or HDF5 file, or `chunks` does not fit it.
    ContainsNodeError
        If an array or group is at `store` and `overwrite` is false.

    Warns
    -----
    LeftOutWarning
        Once, naming each variable and attribute that was left out: variables of strings, characters,
        compounds, variable length, enumerations, and attributes that JSON cannot hold.

    Notes
    -----
    Variables are copied in blocks of whole chunks. A block has at most 64 MiB, or 256 MiB where the new
    chunks cut across the file's, and at least one chunk of the new array. One block is in memory at a time,
    with what is being encoded from it.

    An import that fails leaves nothing that can be taken for a whole one. On a local disk it is built in a
    hidden directory (``.zc-import-*``) beside the destination and renamed at the end; a killed process
    leaves that directory. In other stores the root group's metadata is written last; what was written
    before is deleted after an error.

    Examples
    --------
    >>> from zarrc.interop.netcdf import import_file
    >>> group = import_file("air.nc", "air.zarr", chunks={"time": 12})  # doctest: +SKIP
    """
    path = Path(source)
    file = with_legal_names(_open(path))
    with closing(file):
        asked = None if chunks is None or chunks == "auto" else chunks
        if asked is not None:
            check_chunks(asked, file)
        copy = _Copy(
            file=file, source=path, zarr_format=zarr_format, codecs=codecs, chunks=asked, report=progress
        )
        with stage(store, overwrite=overwrite) as staged:
            copy.run(staged)
    copy.warn()
    return zarrc.open_group(store, mode="r+", zarr_format=zarr_format)


def _open(path: Path) -> SourceFile:
    """Open the file with the library for its first bytes."""
    with path.open("rb") as raw:
        start = raw.read(8)
        hdf5 = start == _HDF5_SIGNATURE or _has_user_block(raw)
    try:
        if hdf5:
            return open_hdf5(path)
        if start[:3] == b"CDF" and start[3:4] in b"\x01\x02\x05" and len(start) > 3:
            return open_netcdf3(path)
    except OSError as error:
        raise OSError(f"cannot read {path}: {error}") from error
    what = "an HDF4 file" if start[:4] == b"\x0e\x03\x13\x01" else "not a netCDF or HDF5 file"
    raise ValueError(f"{path} is {what}")


_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def _has_user_block(raw: Any) -> bool:
    """HDF5 may begin after a user block: at 512, 1024, 2048, ... bytes (file format specification, II.A)."""
    nbytes = raw.seek(0, os.SEEK_END)
    start = 512
    while start + 8 <= nbytes:
        raw.seek(start)
        if raw.read(8) == _HDF5_SIGNATURE:
            return True
        start *= 2
    return False


def _codec_name(codec: Any) -> Any:
    if isinstance(codec, Mapping):
        return codec.get("name")
    return codec if isinstance(codec, str) else getattr(codec, "name", None)


@dataclass(slots=True, kw_only=True)
class _Copy:
    """One import at work."""

    file: SourceFile
    source: Path
    zarr_format: Literal[2, 3]
    codecs: Any
    chunks: Mapping[str, int] | None
    report: Progress | None
    done_nbytes: int = 0
    total_nbytes: int = 0

    def run(self, staged: Stage) -> None:
        """Write the groups, parents before children, then the arrays."""
        for group in self.file.groups:
            converted = group_attributes(group.attributes)
            self._note_attributes(group.path, converted.left_out)
            zarrc.create_group(
                staged.store,
                path=staged.join(group.path),
                zarr_format=self.zarr_format,
                attributes=converted.attributes,
            )
        self.total_nbytes = sum(array.nbytes for array in self.file.arrays)
        for array in self.file.arrays:
            self._copy_array(array, staged)

    def _copy_array(self, array: SourceArray, staged: Stage) -> None:
        target = self._create(array, staged)
        block = choose_block(
            array.shape, target.chunks, source_chunks=array.chunks, itemsize=array.dtype.itemsize
        )
        self._tell(array.path, 0)
        for box in iterate_blocks(array.shape, block):
            self._tell(array.path, self._copy_block(array, target, box))

    def _copy_block(self, array: SourceArray, target: zarrc.Array, box: Box) -> int:
        """Copy one block and forget it before the next is read; its size in bytes."""
        values = self._read(array, box)
        target[box] = values
        return values.nbytes

    def _create(self, array: SourceArray, staged: Stage) -> zarrc.Array:
        converted = array_attributes(array.attributes, array.dtype, array.dimensions, self.zarr_format)
        self._note_attributes(array.path, converted.left_out)
        return zarrc.create_array(
            staged.store,
            name=staged.join(array.path),
            shape=array.shape,
            dtype=array.dtype,
            chunks=choose_chunks(array, self.chunks),
            fill_value=converted.fill_value,
            attributes=converted.attributes,
            dimension_names=array.dimensions if self.zarr_format == 3 else None,
            zarr_format=self.zarr_format,
            **self._codec_options(),
        )

    def _codec_options(self) -> dict[str, Any]:
        """How `zarrc.create_array` takes the codec chain: v2 has no codec that makes the bytes."""
        if self.codecs is None:
            return {}
        if self.zarr_format == 3:
            return {"codecs": self.codecs}
        return {"compressors": [codec for codec in self.codecs if _codec_name(codec) != "bytes"] or None}

    def _read(self, array: SourceArray, box: Box) -> np.ndarray[Any, Any]:
        try:
            return array.read(box)
        except (OSError, RuntimeError) as error:  # netCDF4 raises RuntimeError for the C library's codes
            raise OSError(f"cannot read {array.path} of {self.source}: {error}") from error

    def _tell(self, path: str, nbytes: int) -> None:
        self.done_nbytes += nbytes
        if self.report is not None:
            self.report(ImportProgress(path, self.done_nbytes, self.total_nbytes))

    def _note_attributes(self, path: str, names: list[str]) -> None:
        self.file.left_out.extend(LeftOut(f"{path or '/'}@{name}", "attribute") for name in names)

    def warn(self) -> None:
        """Name everything that was left out, in one warning."""
        if self.file.left_out:
            names = ", ".join(f"{item.path} ({item.reason})" for item in self.file.left_out)
            warnings.warn(f"left out of the import of {self.source}: {names}", LeftOutWarning, stacklevel=3)
