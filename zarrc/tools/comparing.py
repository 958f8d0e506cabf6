"""What differs between two arrays, or two groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zarrc.array import Array
from zarrc.boxes import blocks
from zarrc.clearing import is_all
from zarrc.errors import ZarrcError
from zarrc.frozen import field, frozen
from zarrc.group import Group

__all__ = ["Comparison", "compare"]

_BLOCK_NBYTES = 32 * 2**20


@frozen(kw_only=True)
class Comparison:
    """What differs between two nodes; true if nothing does.

    Parameters
    ----------
    kind : bool
        Whether one is an array and the other a group; then nothing else is compared.
    shape, dtype, fill_value, dimension_names : bool
        Whether these differ, of two arrays; the byte order of data types is not looked at.
    attributes : tuple of str
        Names of the attributes that only one has, or that have other values.
    n_different : int, optional
        How many elements differ; None if the shapes do, or if elements were not compared.
    first_index : tuple of int, optional
        The first element that differs, in C order.
    first_region : tuple of slice, optional
        The chunk of the first array that it is in.
    only_in_a, only_in_b : tuple of str
        Paths of members that only one group has.
    members : Mapping
        Of two groups: path -> what differs, for the members of both that differ.
    """

    kind: bool = False
    shape: bool = False
    dtype: bool = False
    fill_value: bool = False
    dimension_names: bool = False
    attributes: tuple[str, ...] = ()
    n_different: int | None = None
    first_index: tuple[int, ...] | None = None
    first_region: tuple[slice, ...] | None = None
    only_in_a: tuple[str, ...] = ()
    only_in_b: tuple[str, ...] = ()
    members: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def same_data(self) -> bool:
        """Whether two arrays have the same shape and equal elements, whatever else differs."""
        return not self.shape and self.n_different == 0

    def __bool__(self) -> bool:
        return not self._differences()

    def _differences(self) -> list[str]:
        found = [name for name in ("shape", "dtype", "fill_value", "dimension_names") if getattr(self, name)]
        if self.kind:
            found.append("one is an array, the other a group")
        if self.attributes:
            found.append(f"attributes {', '.join(self.attributes)}")
        if self.n_different:
            found.append(f"{self.n_different} elements, the first at {self.first_index}")
        if self.only_in_a:
            found.append(f"only in the first: {', '.join(self.only_in_a)}")
        if self.only_in_b:
            found.append(f"only in the second: {', '.join(self.only_in_b)}")
        return found + [f"{path} ({'; '.join(each._differences())})" for path, each in self.members.items()]

    def __str__(self) -> str:
        differences = self._differences()
        return "\n".join(("different:", *(f"  {each}" for each in differences))) if differences else "equal"


def compare(
    a: Any, b: Any, *, equal_nan: bool = True, elements: bool = True, attributes: bool = True
) -> Comparison:
    """Compare two arrays, or two groups with all that is in them.

    Parameters
    ----------
    a : Array or Group
    b : Array, Group or array_like
        Anything with ``shape`` and ``[]`` is an array; what it has no notion of is not compared.
    equal_nan : bool, default True
        NaN equals NaN (and NaT equals NaT); otherwise they differ from everything, as in NumPy.
    elements : bool, default True
        Read and compare the elements, in bounded memory.
    attributes : bool, default True
        Compare the attributes.

    Returns
    -------
    Comparison
        True if they are equal; tells what differs. Chunks, codecs, formats and stores may be others.

    Raises
    ------
    MetadataError
        If a member of a group cannot be read.

    Examples
    --------
    >>> import zarrc
    >>> a = zarrc.array([1, 2, 3], chunks=2)
    >>> b = zarrc.array([1, 2, 4], chunks=3)
    >>> print(zarrc.compare(a, b))
    different:
      1 elements, the first at (2,)
    """
    if isinstance(a, Group) or isinstance(b, Group):
        if not (isinstance(a, Group) and isinstance(b, Group)):
            return Comparison(kind=True)
        return _compare_groups(a, b, equal_nan, elements, attributes)
    if not isinstance(a, Array):
        raise TypeError(f"compare takes an array or a group of zarrc first, got {type(a).__name__}")
    if not hasattr(b, "shape"):
        b = np.asarray(b)
    return _compare_arrays(a, b, equal_nan, elements, attributes)


def _compare_groups(a: Group, b: Group, equal_nan: bool, elements: bool, attributes: bool) -> Comparison:
    ours, theirs = dict(_members(a)), dict(_members(b))
    members: dict[str, Comparison] = {}
    for path in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[path], theirs[path]
        if isinstance(mine, Group) and isinstance(other, Group):
            # Their members are listed here.
            found = Comparison(attributes=_different_attributes(mine, other) if attributes else ())
        else:
            found = compare(mine, other, equal_nan=equal_nan, elements=elements, attributes=attributes)
        if not found:
            members[path] = found
    return Comparison(
        attributes=_different_attributes(a, b) if attributes else (),
        only_in_a=tuple(sorted(ours.keys() - theirs.keys())),
        only_in_b=tuple(sorted(theirs.keys() - ours.keys())),
        members=members,
    )


def _members(group: Group, prefix: str = "") -> Iterator[tuple[str, Array | Group]]:
    """All that is in a group; of what cannot be read nobody knows whether it is equal."""
    for name, metadata in group._entries():
        if isinstance(metadata, ZarrcError):
            raise metadata
        member = group._member(name, metadata)
        yield f"{prefix}{name}", member
        if isinstance(member, Group):
            yield from _members(member, f"{prefix}{name}/")


def _different_attributes(a: Any, b: Any) -> tuple[str, ...]:
    if not hasattr(b, "attrs"):
        return ()
    ours, theirs = dict(a.attrs), dict(b.attrs)
    return tuple(
        sorted(
            name
            for name in ours.keys() | theirs.keys()
            if name not in ours or name not in theirs or not _same_json(ours[name], theirs[name])
        )
    )


def _same_json(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and a != a and b != b:
        return True  # NaN, which other libraries store
    return bool(a == b)


def _compare_arrays(a: Array, b: Any, equal_nan: bool, elements: bool, attributes: bool) -> Comparison:
    found: dict[str, Any] = {
        "shape": a.shape != tuple(b.shape),
        "dtype": a.dtype.newbyteorder("=") != np.dtype(b.dtype).newbyteorder("="),
        "attributes": _different_attributes(a, b) if attributes else (),
    }
    if isinstance(b, Array):
        found["fill_value"] = not _same_fill(a, b)
        found["dimension_names"] = _names(a) != _names(b)
    if elements and not found["shape"]:
        found |= _compare_elements(a, b, equal_nan)
    return Comparison(**found)


def _names(a: Array) -> tuple[str | None, ...]:
    return a.metadata.dimension_names or (None,) * a.ndim


def _same_fill(a: Array, b: Array) -> bool:
    ours, theirs = a.metadata.fill_value, b.metadata.fill_value
    if ours is None or theirs is None:
        return ours is theirs
    return ours.dtype == theirs.dtype and is_all(ours, theirs)


def _compare_elements(a: Array, b: Any, equal_nan: bool) -> dict[str, Any]:
    n_different, first = 0, None
    limit = max(1, _BLOCK_NBYTES // max(1, a.dtype.itemsize))
    box = tuple((0, extent) for extent in a.shape)
    for block in blocks(a.metadata.chunk_grid, box, limit):
        ours, theirs = np.asarray(a[block]), np.asarray(b[block])
        different = _different(ours, theirs, equal_nan)
        n = int(np.count_nonzero(different))
        if n:
            n_different += n
            inside = np.unravel_index(int(np.argmax(different)), different.shape) if a.ndim else ()
            index = tuple(part.start + int(i) for part, i in zip(block, inside, strict=True))
            # Blocks come in the order of the chunks, not of the rows.
            first = index if first is None else min(first, index)
    if first is None:
        return {"n_different": 0}
    grid = a.metadata.inner_grid
    bounds = [grid.chunk_bounds(d, grid.chunk_of(d, i)) for d, i in enumerate(first)]
    region = tuple(
        slice(start, min(stop, extent)) for (start, stop), extent in zip(bounds, a.shape, strict=True)
    )
    return {"n_different": n_different, "first_index": first, "first_region": region}


def _different(a: Any, b: Any, equal_nan: bool) -> Any:
    different = np.asarray(a != b)
    if equal_nan and a.dtype.kind in "fcmM" and b.dtype.kind in "fcmM":
        isnan = np.isnat if a.dtype.kind in "mM" else np.isnan
        different &= ~(isnan(a) & isnan(b))
    return different
