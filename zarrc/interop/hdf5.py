"""Reading the hierarchy of an HDF5 file, netCDF-4 or plain, with h5py.

netCDF-4 keeps its dimensions in HDF5's dimension scales (netCDF file format specification, "NetCDF-4
Format"). A plain HDF5 file may have scales, labels or nothing; an axis without a name gets ``phony_dim_N``,
as the netCDF library names it, because xarray reads no Zarr array whose axes have no names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zarrc.interop.extras import require
from zarrc.interop.hierarchy import Box, LeftOut, SourceArray, SourceFile, SourceGroup

__all__ = ["open_hdf5"]

# Attributes by which HDF5 and the netCDF library keep the file in order; the names that Zarr needs are in
# dimension_names instead.
_BOOKKEEPING = {
    "CLASS",
    "DIMENSION_LABELS",
    "DIMENSION_LIST",
    "NAME",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
}
_ONLY_A_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"
# A variable that has a dimension's name without being its coordinate is stored under this prefix.
_NOT_A_COORDINATE = "_nc4_non_coord_"
# The default cache of 1 MiB holds no chunk of a usual climate file: each would be decompressed once per
# block that touches it. Freed with the data set, and only one is open at a time.
_CHUNK_CACHE_NBYTES = 16 * 1024**2


def open_hdf5(path: Path) -> SourceFile:
    """Open an HDF5 file and list what is in it.

    Parameters
    ----------
    path : pathlib.Path
        The file. It is opened for reading, without a lock where the file system knows none.

    Returns
    -------
    SourceFile
        Its arrays read from the open file until it is closed.

    Raises
    ------
    MissingExtraError
        If h5py is not installed.
    OSError
        If the file cannot be read.
    """
    h5py: Any = require("h5py", extra="netcdf", purpose="reading HDF5 files")
    with suppress(ImportError):
        require("hdf5plugin", extra="netcdf", purpose="HDF5 filters")  # registers zstd, blosc, ... with h5py
    file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=_CHUNK_CACHE_NBYTES)
    try:
        listing = _Listing(h5py=h5py, file=file)
        listing.walk(file, "", ())
        return SourceFile(
            groups=listing.groups,
            arrays=[listing.array(node) for node in listing.variables],
            left_out=listing.left_out,
            close=file.close,
        )
    except BaseException:
        file.close()
        raise


@dataclass(slots=True)
class _Scale:
    """A dimension: the name of its scale and, where it is a netCDF-4 dimension, its id and its length."""

    name: str
    dimid: int | None
    length: int


@dataclass(slots=True, frozen=True)
class _Node:
    """A data set to become an array. `axes` are its scales' addresses, None for an axis without one."""

    h5path: str
    path: str
    axes: tuple[Any, ...]
    labels: tuple[str, ...]


@dataclass(slots=True)
class _Listing:
    """The walk over a file: first every scale, so that a dimension's length is known before arrays use it."""

    h5py: Any
    file: Any
    groups: list[SourceGroup] = field(default_factory=list)
    variables: list[_Node] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    scales: dict[Any, _Scale] = field(default_factory=dict)
    phony: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    n_phony: int = 0

    def walk(self, group: Any, path: str, above: tuple[Any, ...]) -> None:
        """Collect the members of `group` and of the groups below it."""
        self.groups.append(SourceGroup(path=path, attributes=_attributes(group)))
        above = (*above, _address(self.h5py, group))
        members = list(self._members(group, path))
        data_sets = [(name, node) for name, node in members if isinstance(node, self.h5py.Dataset)]
        for name, node in data_sets:
            self._note_scale(name, node)
        # Scales of this group and those above are known now; a variable uses no others in a netCDF-4 file.
        for name, node in data_sets:
            self._note_variable(name, node, path)
        for name, node in members:
            if isinstance(node, self.h5py.Group):
                below = _join(path, name)
                if _address(self.h5py, node) in above:
                    self.left_out.append(LeftOut(below, "link to a group above it"))
                else:
                    self.walk(node, below, above)

    def _members(self, group: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name in group:
            try:
                yield name, group[name]
            except (KeyError, OSError):
                self.left_out.append(LeftOut(_join(path, name), "broken link"))

    def _note_scale(self, name: str, node: Any) -> None:
        if not _is_scale(node):
            return
        dimid = node.attrs.get("_Netcdf4Dimid")
        self.scales[_address(self.h5py, node)] = _Scale(
            name=name.removeprefix(_NOT_A_COORDINATE),
            dimid=None if dimid is None else int(dimid),
            length=node.shape[0] if node.shape else 0,
        )

    def _note_variable(self, name: str, node: Any, path: str) -> None:
        if _is_scale(node) and bytes(node.attrs.get("NAME", b"")).startswith(_ONLY_A_DIMENSION):
            return
        own_path = _join(path, name.removeprefix(_NOT_A_COORDINATE))
        reason = _why_not(self.h5py, node)
        axes = () if node.shape is None else self._axes(node)
        self._stretch(node, axes)
        if reason is not None:
            self.left_out.append(LeftOut(own_path, reason))
            return
        labels = tuple(dimension.label for dimension in node.dims)
        self.variables.append(_Node(h5path=node.name, path=own_path, axes=axes, labels=labels))

    def _axes(self, node: Any) -> tuple[Any, ...]:
        """Address of the scale of each axis."""
        if _is_scale(node):
            ids = node.attrs.get("_Netcdf4Coordinates")
            if ids is not None and len(ids) == node.ndim:
                return tuple(self._by_id(int(dimid)) for dimid in ids)
            return (_address(self.h5py, node),) + (None,) * (node.ndim - 1) if node.ndim else ()
        axes: list[Any] = []
        for attached in node.attrs.get("DIMENSION_LIST", [()] * node.ndim):
            axes.append(None)
            with suppress(ValueError, KeyError, OSError):  # a reference to a scale that was deleted
                if len(attached):  # several scales: the last one, as the netCDF library takes it
                    axes[-1] = self._scale_at(attached[-1])
        return tuple(axes)

    def _scale_at(self, reference: Any) -> Any:
        scale = self.file[reference]
        address = _address(self.h5py, scale)
        if address not in self.scales:  # a plain file may keep its scales in any group
            self._note_scale(scale.name.rpartition("/")[2], scale)
        return address if address in self.scales else None

    def _by_id(self, dimid: int) -> Any:
        return next((address for address, scale in self.scales.items() if scale.dimid == dimid), None)

    def _stretch(self, node: Any, axes: tuple[Any, ...]) -> None:
        """An unlimited netCDF-4 dimension is as long as the longest variable that has it."""
        for axis, address in enumerate(axes):
            scale = self.scales.get(address)
            if scale is not None and scale.dimid is not None and node.maxshape[axis] is None:
                scale.length = max(scale.length, node.shape[axis])

    def array(self, node: _Node) -> SourceArray:
        """Describe one data set, once every dimension's length is known."""
        data = self.file[node.h5path]
        shape = tuple(self._length(data, axis, address) for axis, address in enumerate(node.axes))
        return SourceArray(
            path=node.path,
            dtype=data.dtype.newbyteorder("="),
            shape=shape,
            dimensions=self._names(node, shape),
            unlimited=tuple(most is None for most in data.maxshape),
            chunks=data.chunks,
            attributes=_attributes(data),
            read=_reader(self.file, node.h5path),
        )

    def _length(self, data: Any, axis: int, address: Any) -> int:
        scale = self.scales.get(address)
        stored: int = data.shape[axis]
        if scale is None or scale.dimid is None or data.maxshape[axis] is not None:
            return stored
        return max(stored, scale.length)

    def _names(self, node: _Node, shape: tuple[int, ...]) -> tuple[str, ...]:
        names: list[str] = []
        for axis, address in enumerate(node.axes):
            scale = self.scales.get(address)
            name = node.labels[axis] if scale is None else scale.name
            if not name:
                name = self._phony_name(node.path.rpartition("/")[0], shape[axis], names)
            names.append(name)
        return tuple(names)

    def _phony_name(self, group: str, length: int, taken: list[str]) -> str:
        """Arrays of one group share the name of an axis of the same length, as in the netCDF library."""
        known = self.phony.setdefault(group, [])
        for name, known_length in known:
            if known_length == length and name not in taken:
                return name
        name = f"phony_dim_{self.n_phony}"
        self.n_phony += 1
        known.append((name, length))
        return name


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _address(h5py: Any, node: Any) -> Any:
    info = h5py.h5o.get_info(node.id)
    return info.fileno, info.addr


def _is_scale(node: Any) -> bool:
    return bool(node.attrs.get("CLASS") == b"DIMENSION_SCALE")


def _attributes(node: Any) -> dict[str, Any]:
    """The attributes of a group or data set; one that h5py cannot read is given as the error it raised."""
    attributes: dict[str, Any] = {}
    for name in node.attrs:
        if name in _BOOKKEEPING:
            continue
        try:
            attributes[name] = _attribute(node.attrs[name])
        except (OSError, TypeError, ValueError) as error:
            attributes[name] = error
    return attributes


def _attribute(value: Any) -> Any:
    if type(value).__name__ == "Empty":  # h5py.Empty: no data space
        return "" if value.dtype.kind in "SO" else []
    return value


def _why_not(h5py: Any, node: Any) -> str | None:
    """The kind of a data set that cannot be imported yet; None for one that can."""
    if node.shape is None:
        return "no data"
    try:
        dtype = node.dtype
    except (TypeError, ValueError):  # h5py: no NumPy equivalent
        return "unknown type"
    kind = _special_kind(h5py, dtype)
    if kind is not None:
        return kind
    # x86 long doubles: Zarr has no such type
    if dtype.kind in "fc" and dtype.itemsize > (8 if dtype.kind == "f" else 16):
        return "long double"
    return None if dtype.kind in "biufc" else f"type {dtype}"


def _special_kind(h5py: Any, dtype: np.dtype[Any]) -> str | None:
    if dtype.kind == "S":
        return "char" if dtype.itemsize == 1 else "string"
    if h5py.check_string_dtype(dtype) is not None:
        return "string"
    if h5py.check_vlen_dtype(dtype) is not None:
        return "vlen"
    if h5py.check_ref_dtype(dtype) is not None:
        return "reference"
    if h5py.check_enum_dtype(dtype) is not None:
        return "enum"
    if dtype.fields is not None:
        return "compound"
    if dtype.subdtype is not None:
        return "array type"
    return "opaque" if dtype.kind in "VO" else None


def _reader(file: Any, h5path: str) -> Callable[[Box], np.ndarray[Any, Any]]:
    """A function that reads boxes; the data set, with its cache, is open during the call only."""

    def read(box: Box) -> np.ndarray[Any, Any]:
        data = file[h5path]
        stored = tuple(slice(s.start, min(s.stop, n)) for s, n in zip(box, data.shape, strict=True))
        dtype = data.dtype.newbyteorder("=")
        if stored == box:
            return np.asarray(data[box]).astype(dtype, copy=False)
        # Past the end of this variable on an unlimited dimension: the fill value, as the netCDF library
        # gives it.
        out = np.full([s.stop - s.start for s in box], data.fillvalue, dtype=dtype)
        if all(s.start < s.stop for s in stored):
            out[tuple(slice(0, s.stop - s.start) for s in stored)] = data[stored]
        return out

    return read
