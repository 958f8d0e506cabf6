from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

from zarrc.kernels.codec import CodecKernel

@final
class Chain:
    """The bytes-to-bytes codecs of an array, in encoding order, for chunks of ``decoded_nbytes`` bytes."""

    def __init__(self, kernels: Sequence[CodecKernel], decoded_nbytes: int) -> None: ...
    @property
    def kernels(self) -> tuple[CodecKernel, ...]: ...
    def encode(self, data: Buffer) -> bytes: ...
    def decode(self, data: Buffer) -> bytes: ...
    def decode_range(self, data: Buffer, first: int, end: int) -> bytes: ...
