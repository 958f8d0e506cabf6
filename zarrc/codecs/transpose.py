"""The ``transpose`` codec: permutes the dimensions of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zarrc.codecs.base import ArrayArrayCodec, ChunkSpec
from zarrc.codecs.checks import integer
from zarrc.errors import MetadataError
from zarrc.frozen import changed, frozen
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["TransposeCodec"]


@frozen(kw_only=True)
class TransposeCodec(ArrayArrayCodec):
    """The ``transpose`` codec (array to array): permutes the dimensions of a chunk.

    Parameters
    ----------
    order : tuple of int
        A permutation of ``0 .. ndim-1``: dimension ``i`` of the result is dimension ``order[i]`` of the
        chunk. ``"C"`` and ``"F"`` (as drafts of v3 had them) mean the identity and the reversal, and become
        numbers as soon as the number of dimensions is known.

    Raises
    ------
    MetadataError
        If ``order`` is not a permutation.

    Notes
    -----
    Spec: zarr v3 codecs, ``transpose``.
    """

    name: ClassVar[str] = "transpose"

    order: tuple[int, ...] | str

    def __post_init__(self) -> None:
        if self.order in ("C", "F"):
            return
        if not isinstance(self.order, (tuple, list, np.ndarray)):
            raise MetadataError(
                f"transpose: order must be a permutation such as [1, 0], got {show(self.order)}",
                codec="transpose",
            )
        order = tuple(integer("transpose", "an item of order", item, 0, 2**31) for item in self.order)
        if sorted(order) != list(range(len(order))):
            allowed = f"each of 0 to {len(order) - 1} once"
            raise MetadataError(
                f"transpose: order must be a permutation ({allowed}), got {show(order)}", codec="transpose"
            )
        object.__setattr__(self, "order", order)

    def with_spec(self, spec: ChunkSpec) -> Self:
        """The codec, with "C" or "F" spelled out."""
        if not isinstance(self.order, str):
            return self
        order = range(len(spec.shape)) if self.order == "C" else reversed(range(len(spec.shape)))
        return changed(self, order=tuple(order))

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        """The permuted shape."""
        order = self.permutation(len(spec.shape))
        return ChunkSpec(tuple(spec.shape[axis] for axis in order), spec.dtype, spec.fill)

    def permutation(self, ndim: int) -> tuple[int, ...]:
        """``order`` as numbers, for a chunk of ``ndim`` dimensions."""
        if isinstance(self.order, str):
            order = tuple(range(ndim))
            return order if self.order == "C" else order[::-1]
        if len(self.order) != ndim:
            raise MetadataError(
                f"transpose: order {show(self.order)} has {len(self.order)} items, "
                f"the array has {ndim} dimensions",
                codec="transpose",
            )
        return self.order

    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """The permuted chunk, a view of ``data``."""
        return np.transpose(data, self.permutation(data.ndim))

    def decode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """The chunk of ``spec``, a view of ``data``."""
        order = self.permutation(data.ndim)
        return np.transpose(data, sorted(range(data.ndim), key=order.__getitem__))

    def configuration(self) -> dict[str, Any]:
        """``{"order": [...]}``."""
        return {"order": self.order if isinstance(self.order, str) else list(self.order)}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("order",))
        order = reading.required(configuration, "order")
        if isinstance(order, str) and order in ("C", "F"):
            what = "not permuted" if order == "C" else "all dimensions reversed"
            reading.at("order").assume(f"{order!r} is a form of v3's drafts", f"read as {what}")
        return cls(order=order)
