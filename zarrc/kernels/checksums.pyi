from typing_extensions import Buffer

from zarrc.kernels.codec import CodecKernel

def crc32c(data: Buffer, value: int = 0, *, level: int = -1) -> int:
    """The CRC-32C of ``data``."""

def crc32c_level() -> int:
    """The best level that this machine has (see `crc32c`)."""

def crc32c_kernel() -> CodecKernel:
    """The codec's kernel: encoding appends the checksum as 4 bytes, little endian, and decoding checks it."""
