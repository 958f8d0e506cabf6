"""The ``blosc`` codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.codecs.checks import integer, one_of
from zarrc.errors import MetadataError
from zarrc.frozen import changed, frozen
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["BLOSC_MAX_NBYTES", "BloscCodec"]

BLOSC_MAX_NBYTES = 2**31 - 1 - 16
"""BLOSC_MAX_BUFFERSIZE of blosc.h: INT_MAX less the header."""

_CNAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
_AUTO_SHUFFLE = -1
_NUMCODECS_DEFAULTS = {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
# The container's header has one byte for it; above, c-blosc itself takes 1.
_MAX_TYPESIZE = 255


@frozen(kw_only=True)
class BloscCodec(BytesBytesCodec):
    """The ``blosc`` codec (bytes to bytes): one Blosc 1 container per chunk.

    Parameters
    ----------
    typesize : int, optional
        Size of an element, in bytes, for the shuffle; by default the data type's.
    cname : {"zstd", "lz4", "lz4hc", "blosclz", "zlib", "snappy"}, default "zstd"
        The compressor inside.
    clevel : int, default 5
        Compression level, 0 (none) to 9.
    shuffle : {"noshuffle", "shuffle", "bitshuffle"}, optional
        By default ``"bitshuffle"`` for elements of one byte, else ``"shuffle"``. numcodecs' 0, 1, 2 and -1
        (the default) are taken too.
    blocksize : int, default 0
        Bytes that are compressed at a time; 0 lets the codec choose.

    Raises
    ------
    MetadataError
        If a value is out of range.

    Notes
    -----
    Spec: zarr v3 codecs, ``blosc``.
    """

    name: ClassVar[str] = "blosc"
    aliases: ClassVar[tuple[str, ...]] = ("numcodecs.blosc",)
    v2_id: ClassVar[str | None] = "blosc"

    typesize: int | None = None
    cname: str = "zstd"
    clevel: int = 5
    shuffle: str | None = None
    blocksize: int = 0

    def __post_init__(self) -> None:
        if self.typesize is not None:
            object.__setattr__(self, "typesize", integer("blosc", "typesize", self.typesize, 1, 2**31 - 1))
        object.__setattr__(self, "cname", one_of("blosc", "cname", _plain(self.cname), _CNAMES))
        object.__setattr__(self, "clevel", integer("blosc", "clevel", self.clevel, 0, 9))
        object.__setattr__(self, "shuffle", _shuffle_name(_plain(self.shuffle)))
        object.__setattr__(
            self, "blocksize", integer("blosc", "blocksize", self.blocksize, 0, BLOSC_MAX_NBYTES)
        )

    def with_spec(self, spec: ChunkSpec) -> Self:
        """The codec with the data type's ``typesize`` and the ``shuffle`` that suits it, if none is set."""
        if self.typesize is not None and self.shuffle is not None:
            return self
        itemsize = spec.dtype.itemsize if spec.dtype.itemsize <= _MAX_TYPESIZE else 1
        typesize = itemsize if self.typesize is None else self.typesize
        shuffle = self.shuffle or ("bitshuffle" if itemsize == 1 else "shuffle")
        return changed(self, typesize=typesize, shuffle=shuffle)

    def check_nbytes(self, nbytes: int) -> None:
        """Refuse what one container cannot hold."""
        if nbytes > BLOSC_MAX_NBYTES:
            raise MetadataError(
                f"blosc: a chunk of {nbytes} bytes is above the format's limit of {BLOSC_MAX_NBYTES}; "
                "use smaller chunks or another codec",
                codec=self.name,
            )

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.compressors import blosc

        codec = self.with_spec(spec)
        assert codec.typesize is not None
        assert codec.shuffle is not None
        typesize = codec.typesize if codec.typesize <= _MAX_TYPESIZE else 1
        return blosc(self.cname, self.clevel, _SHUFFLES.index(codec.shuffle), typesize, self.blocksize)

    def configuration(self) -> dict[str, Any]:
        """All five fields; those that the array decides only once it has (`with_spec`)."""
        decided = {"shuffle": self.shuffle, "typesize": self.typesize}
        configuration = {"cname": self.cname, "clevel": self.clevel, **decided, "blocksize": self.blocksize}
        return {name: value for name, value in configuration.items() if value is not None}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("typesize", "cname", "clevel", "shuffle", "blocksize"))
        return cls(
            typesize=_typesize(configuration, reading),
            cname=reading.defaulted(configuration, "cname", "zstd"),
            clevel=reading.defaulted(configuration, "clevel", 5),
            shuffle=_shuffle(configuration, reading),
            blocksize=reading.defaulted(configuration, "blocksize", 0),
        )

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 compressor; the typesize there is always the data type's."""
        shuffle = _AUTO_SHUFFLE if self.shuffle is None else _SHUFFLES.index(self.shuffle)
        return {
            "id": "blosc",
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": shuffle,
            "blocksize": self.blocksize,
        }

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 compressor."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("cname", "clevel", "shuffle", "blocksize", "typesize"))
        fields = {**_NUMCODECS_DEFAULTS, **configuration}
        return cls(**fields)


def _plain(value: object) -> Any:
    """The value of an enumeration's member (zarr-python has some), else ``value``."""
    return getattr(value, "value", value)


def _shuffle_name(shuffle: object) -> str | None:
    """The name of a shuffle given by name or number; None for the default."""
    if shuffle is None or (shuffle == _AUTO_SHUFFLE and not isinstance(shuffle, (bool, float))):
        return None
    if isinstance(shuffle, int):
        return _SHUFFLES[integer("blosc", "shuffle", shuffle, _AUTO_SHUFFLE, 2)]
    return one_of("blosc", "shuffle", shuffle, _SHUFFLES)


def _shuffle(configuration: Mapping[str, Any], reading: Reading) -> Any:
    """The shuffle of a v3 document, where numcodecs' numbers and none at all are not legal."""
    shuffle = reading.defaulted(configuration, "shuffle", None)
    if isinstance(shuffle, int) and not isinstance(shuffle, bool):
        name = _shuffle_name(shuffle) or "the data type's default"
        reading.at("shuffle").assume(f"{shuffle} is numcodecs' number", f"read as {show(name)}")
    return shuffle


def _typesize(configuration: Mapping[str, Any], reading: Reading) -> Any:
    """The typesize of a v3 document, which must say it if it shuffles."""
    typesize = configuration.get("typesize")
    if typesize is None and configuration.get("shuffle") not in ("noshuffle", 0):
        reading.assume("'typesize' is missing", "read as the size of the data type")
    return typesize
