"""The format-neutral model of arrays and groups: what the rest of zarrc knows of a document."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.pipeline import sharding_level
from zarrc.dtypes.base import DataType
from zarrc.frozen import changed, field, frozen
from zarrc.grids.base import ChunkGrid
from zarrc.grids.key_encoding import ChunkKeyEncoding
from zarrc.grids.regular import RegularChunkGrid
from zarrc.metadata.validation import check_array

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.codecs.sharding import ShardingCodec

__all__ = ["ArrayMetadata", "GroupMetadata", "NodeMetadata", "V2Fields"]

Endian = Literal["little", "big"]

_set = object.__setattr__


@frozen(kw_only=True)
class V2Fields:
    """What only a v2 document says.

    Parameters
    ----------
    order : {"C", "F"}
        Order of the elements inside a stored chunk.
    filters : tuple of Codec, optional
        The ``filters``, in the order of encoding; None for ``null``.
    compressor : Codec, optional
        The ``compressor``; None for ``null``.
    dimension_separator : {".", "/"}, optional
        As written; None where the document does not say (the chunk keys then use ".").
    has_zattrs : bool, default False
        Whether a ``.zattrs`` is stored already, so that empty attributes must be written too.
    """

    order: Literal["C", "F"] = "C"
    filters: tuple[Codec, ...] | None = None
    compressor: Codec | None = None
    dimension_separator: Literal[".", "/"] | None = None
    has_zattrs: bool = False

    def compared(self) -> tuple[Any, ...]:
        """What makes two arrays equal: the fields as documents hold them, without what the array decides."""
        filters = None if self.filters is None else [codec.to_v2_json() for codec in self.filters]
        return self.order, filters, None if self.compressor is None else self.compressor.to_v2_json()


class Derived:
    """What follows from an array's metadata and is worked out once, for all copies with other attributes."""

    __slots__ = ("layout", "level")

    def __init__(self) -> None:
        self.layout: Any = None
        """The engine's: how chunks are laid out."""
        self.level: tuple[ShardingCodec, tuple[int, ...]] | tuple[()] | None = None
        """The sharding codec and the shape of its inner chunks; empty without sharding, None if not known."""


class _HasDerived:
    __slots__ = ("derived",)

    derived: Derived


@frozen(kw_only=True, eq=False)
class ArrayMetadata(_HasDerived):
    """The metadata of an array, of either format.

    Parameters
    ----------
    zarr_format : {2, 3}
    shape : tuple of int
        Shape of the array, in elements.
    data_type : DataType
    endian : {"little", "big"}
        v2: byte order of the stored elements. v3: always "little"; the ``bytes`` codec says how elements are
        stored.
    chunk_grid : ChunkGrid
    chunk_key_encoding : ChunkKeyEncoding
    fill_value : numpy.ndarray, optional
        0-d, read-only, native byte order; None only in v2 (``null``).
    codecs : tuple of Codec
        The whole chain, from the array to the stored bytes; for v2 built from order, filters, dtype and
        compressor.
    attributes : Mapping
        The user's attributes, as JSON values.
    dimension_names : tuple of (str or None), optional
    extra_fields : Mapping
        Unknown fields of the document that may be ignored; written back as they were.
    assumed : tuple of str
        Lenient readings that were applied to the document.
    v2 : V2Fields, optional
        What only a v2 document says; None in v3.

    Raises
    ------
    MetadataError
        If a part breaks the specification, or the parts do not fit together.
    """

    VALUES: ClassVar[tuple[str, ...]] = ("attributes", "extra_fields")
    """The fields whose values can be changed in place."""

    zarr_format: Literal[2, 3]
    shape: tuple[int, ...]
    data_type: DataType
    chunk_grid: ChunkGrid
    chunk_key_encoding: ChunkKeyEncoding
    fill_value: npt.NDArray[Any] | None
    codecs: tuple[Codec, ...]
    endian: Endian = "little"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dimension_names: tuple[str | None, ...] | None = None
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    v2: V2Fields | None = None

    def __post_init__(self) -> None:
        check_array(self)
        if self.fill_value is not None and self.fill_value.flags.writeable:
            fill = self.fill_value.copy()
            fill.flags.writeable = False
            object.__setattr__(self, "fill_value", fill)
        object.__setattr__(self, "derived", Derived())

    @classmethod
    def of_checked(cls, **fields: Any) -> Self:
        """The metadata of all these fields, which the caller has checked as `check_array` does.

        For the reader of documents, which checks each field as it meets it, to name its place: to check twice
        costs a tenth of an open.
        """
        made = object.__new__(cls)
        for name, value in fields.items():
            _set(made, name, value)
        _set(made, "derived", Derived())
        return made

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy with other values of the fields ``VALUES``, given by name."""
        made = object.__new__(type(self))
        # By the slots themselves, in half the time of setattr: every open of a known document comes here.
        for put, value in zip(_PUT_COPIED, _copied(self), strict=True):
            put(made, value)
        for name in self.VALUES:
            _set(made, name, values[name])
        return made

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def chunks(self) -> tuple[Any, ...]:
        """Shape of a chunk, in elements: of an inner chunk (the outermost, of several levels) in shards.

        Where the chunks along an axis have extents of their own, a tuple of all of them in the place of an
        int: what ``chunks=`` takes to make the same again. (Of more than 2^20 chunks, one after another, it
        is a tuple of (extent, number of chunks), which ``chunks=`` takes too.)
        """
        level = self._level()
        return level[1] if level else self.chunk_grid.chunks

    @property
    def shards(self) -> tuple[Any, ...] | None:
        """Shape of a shard, in elements, as for `chunks`; None where chunks are stored one by one."""
        return self.chunk_grid.chunks if self._level() else None

    @property
    def inner_grid(self) -> ChunkGrid:
        """The grid of what is encoded alone: of inner chunks in shards, otherwise the ``chunk_grid``."""
        level = self._level()
        return RegularChunkGrid(level[1]) if level else self.chunk_grid

    @property
    def sharding(self) -> ShardingCodec | None:
        """The sharding codec; None where chunks are stored one by one, or only as whole shards.

        The latter where an array-to-array codec of which only the author knows what it does to an inner
        chunk comes before it: any but ``transpose`` and ``bitround``.
        """
        level = self._level()
        return level[0] if level else None

    def _level(self) -> tuple[ShardingCodec, tuple[int, ...]] | tuple[()]:
        derived = self.derived
        if derived.level is None:
            derived.level = sharding_level(self.codecs, self.chunk_grid.largest_shape)
        return derived.level

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type as NumPy says it: in v2 with the declared byte order, in v3 native."""
        if self.zarr_format == 2 and self.data_type.swap_unit > 1:
            return self.data_type.numpy.newbyteorder("<" if self.endian == "little" else ">")
        return self.data_type.numpy

    @property
    def chunk_spec(self) -> ChunkSpec:
        """A chunk of the grid (or shard) as the first codec sees it, the largest if they differ.

        A missing fill value is zero there.
        """
        return self._spec(self.chunk_grid.largest_shape)

    def spec_of(self, coords: tuple[int, ...]) -> ChunkSpec:
        """The chunk (or shard) with these coordinates in the grid as the first codec sees it."""
        return self._spec(self.chunk_grid.shape_of(coords))

    def _spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        fill = self.data_type.default_fill() if self.fill_value is None else self.fill_value
        return ChunkSpec(shape, self.data_type.numpy, fill)

    @property
    def filters(self) -> tuple[Codec, ...]:
        """The array-to-array codecs, those of the inner chunks in shards; in v2 the filters."""
        if self.v2 is not None:
            return self.v2.filters or ()
        return tuple(codec for codec in self._chunk_codecs() if codec.kind == "array_to_array")

    @property
    def serializer(self) -> Codec | None:
        """The array-to-bytes codec, that of the inner chunks in shards; None in v2, which has none."""
        if self.v2 is not None:
            return None
        return next(codec for codec in self._chunk_codecs() if codec.kind == "array_to_bytes")

    @property
    def compressors(self) -> tuple[Codec, ...]:
        """The bytes-to-bytes codecs, those of the inner chunks in shards; in v2 the compressor, if any."""
        if self.v2 is not None:
            return () if self.v2.compressor is None else (self.v2.compressor,)
        return tuple(codec for codec in self._chunk_codecs() if codec.kind == "bytes_to_bytes")

    def _chunk_codecs(self) -> tuple[Codec, ...]:
        """The chain of a chunk; as in zarr-python the outer one where there are codecs around sharding."""
        sharding = self.sharding if len(self.codecs) == 1 else None
        return self.codecs if sharding is None else sharding.codecs

    def evolve(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        if self.v2 is not None and self.attributes and "v2" not in changes:
            changes["v2"] = changed(self.v2, has_zattrs=True)
        return changed(self, **changes)

    def to_documents(self, *, indent: int | None = 2) -> dict[str, bytes]:
        """The documents to store, by their names relative to the node, in canonical form.

        Parameters
        ----------
        indent : int, optional
            Spaces a level; None for one line.

        Returns
        -------
        dict
            ``{"zarr.json": ...}``, or ``{".zarray": ..., ".zattrs": ...}`` (``.zattrs`` only where it is
            needed).

        Raises
        ------
        AttributesError
            If the attributes hold what JSON cannot say (such as a NaN that was read from an illegal
            document).
        """
        # The documents import the model.
        if self.zarr_format == 3:
            from zarrc.metadata.v3 import array_documents
        else:
            from zarrc.metadata.v2 import array_documents
        return array_documents(self, indent=indent)

    def _compared(self) -> tuple[Any, ...]:
        fill = self.fill_value
        return (
            (
                self.zarr_format,
                self.shape,
                self.data_type,
                self.endian,
                self.chunk_grid,
                self.chunk_key_encoding,
            ),
            (self.codecs, None if fill is None else fill.tobytes(), self.dimension_names),
            (dict(self.attributes), dict(self.extra_fields)),
            None if self.v2 is None else self.v2.compared(),
        )

    def __eq__(self, other: object) -> bool:
        # The bits of the fill value count; how the document came to be read (assumed, has_zattrs) does not.
        return self._compared() == other._compared() if isinstance(other, ArrayMetadata) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_array, ({name: getattr(self, name) for name in _ARRAY_FIELDS},)


_ARRAY_FIELDS: tuple[str, ...] = tuple(vars(ArrayMetadata)["__slots__"])
_COPIED = ("derived", *(name for name in _ARRAY_FIELDS if name not in ArrayMetadata.VALUES))
_PUT_COPIED: tuple[Any, ...] = tuple(getattr(ArrayMetadata, name).__set__ for name in _COPIED)
_copied = attrgetter(*_COPIED)


def _rebuild_array(fields: dict[str, Any]) -> ArrayMetadata:
    return ArrayMetadata(**fields)


@frozen(kw_only=True)
class GroupMetadata:
    """The metadata of a group, of either format.

    Parameters
    ----------
    zarr_format : {2, 3}
    attributes : Mapping
        The user's attributes, as JSON values.
    consolidated : Mapping, optional
        The ``consolidated_metadata`` of a v3 group, as it was read.
    extra_fields : Mapping
        Unknown fields of the document that may be ignored; written back as they were.
    assumed : tuple of str
        Lenient readings that were applied to the document.
    has_zattrs : bool, default False
        v2: whether a ``.zattrs`` is stored already, so that empty attributes must be written too.
    """

    VALUES: ClassVar[tuple[str, ...]] = ("attributes", "consolidated", "extra_fields")
    """The fields whose values can be changed in place."""

    zarr_format: Literal[2, 3]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    consolidated: Mapping[str, Any] | None = None
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    has_zattrs: bool = False

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy with other values of the fields ``VALUES``, given by name."""
        return type(self)(
            zarr_format=self.zarr_format, assumed=self.assumed, has_zattrs=self.has_zattrs, **values
        )

    def evolve(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        if self.zarr_format == 2 and self.attributes:
            changes.setdefault("has_zattrs", True)
        return changed(self, **changes)

    def to_documents(self, *, indent: int | None = 2) -> dict[str, bytes]:
        """The documents to store: ``zarr.json``, or ``.zgroup`` and (where it is needed) ``.zattrs``."""
        if self.zarr_format == 3:
            from zarrc.metadata.v3 import group_documents
        else:
            from zarrc.metadata.v2 import group_documents
        return group_documents(self, indent=indent)


NodeMetadata = ArrayMetadata | GroupMetadata
