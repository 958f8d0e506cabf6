# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: freethreading_compatible=True
"""The built-in compressors: zstd, gzip, zlib, lz4, blosc, snappy."""

from libc.stdint cimport uint8_t

from zarrc.kernels.codec cimport CodecKernel, make_kernel, zc_bound, zc_range, zc_run
from zarrc.kernels.status cimport check, zc_status
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker

cdef extern from "zc_zstd.h":
    ctypedef struct zc_zstd_config "struct zc_zstd_config":
        int level
        int checksum
    zc_run zc_zstd_encode
    zc_run zc_zstd_decode
    zc_bound zc_zstd_bound
    zc_range zc_zstd_range

cdef extern from "zc_deflate.h":
    ctypedef struct zc_deflate_config "struct zc_deflate_config":
        int level
    zc_run zc_gzip_encode
    zc_run zc_gzip_decode
    zc_bound zc_gzip_bound
    zc_run zc_zlib_encode
    zc_run zc_zlib_decode
    zc_bound zc_zlib_bound

cdef extern from "zc_lz4.h":
    ctypedef struct zc_lz4_config "struct zc_lz4_config":
        int acceleration
    zc_run zc_lz4_encode
    zc_run zc_lz4_decode
    zc_bound zc_lz4_bound
    zc_range zc_lz4_range

cdef extern from "zc_snappy.h":
    zc_run zc_snappy_encode
    zc_run zc_snappy_decode
    zc_bound zc_snappy_bound

cdef extern from "zc_blosc.h":
    ctypedef enum zc_blosc_compressor "enum zc_blosc_compressor":
        ZC_BLOSC_WITH_BLOSCLZ
        ZC_BLOSC_WITH_LZ4
        ZC_BLOSC_WITH_LZ4HC
        ZC_BLOSC_WITH_SNAPPY
        ZC_BLOSC_WITH_ZLIB
        ZC_BLOSC_WITH_ZSTD
    ctypedef enum zc_blosc_shuffle "enum zc_blosc_shuffle":
        pass
    ctypedef struct zc_blosc_config "struct zc_blosc_config":
        zc_blosc_compressor compressor
        int clevel
        zc_blosc_shuffle shuffle
        int typesize
        size_t blocksize
    enum:
        ZC_BLOSC_SHUFFLED
        ZC_BLOSC_STORED
        ZC_BLOSC_BITSHUFFLED
        ZC_BLOSC_NOT_SPLIT
        ZC_BLOSC_MAX_TYPESIZE
    ctypedef struct zc_blosc_header "struct zc_blosc_header":
        unsigned flags
        int format
        size_t typesize
        size_t nbytes
        size_t blocksize
        size_t cbytes
        size_t n_blocks
    zc_status zc_blosc_read_header(zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                   zc_blosc_header *header_ret) noexcept nogil
    zc_run zc_blosc_encode
    zc_run zc_blosc_decode
    zc_bound zc_blosc_bound
    zc_range zc_blosc_range

cdef extern from "zc_blosc_shuffle.h":
    ctypedef struct zc_blosc_planes "struct zc_blosc_planes":
        size_t typesize
        size_t n_elements
        const uint8_t *plane[255]
    void zc_blosc_shuffle_init() noexcept nogil
    void zc_blosc_unshuffle_at(int level, const zc_blosc_planes *planes, size_t start, size_t stop,
                               uint8_t *dst) noexcept nogil
    zc_status zc_blosc_bitunshuffle_at(int level, zc_worker *worker, const zc_blosc_planes *planes, size_t start,
                                       size_t stop, uint8_t *dst) noexcept nogil

# The choice of kernels is not locked, so it is made here, where the import lock is held.
zc_blosc_shuffle_init()

_BLOSC_COMPRESSORS = {
    "blosclz": ZC_BLOSC_WITH_BLOSCLZ,
    "lz4": ZC_BLOSC_WITH_LZ4,
    "lz4hc": ZC_BLOSC_WITH_LZ4HC,
    "snappy": ZC_BLOSC_WITH_SNAPPY,
    "zlib": ZC_BLOSC_WITH_ZLIB,
    "zstd": ZC_BLOSC_WITH_ZSTD,
}
_BLOSC_FORMATS = ("blosclz", "lz4", "snappy", "zlib", "zstd")


cdef int in_range(str what, value, int low, int high) except? -1:
    """``value`` as an int if it is one of [low, high], else ValueError."""
    if not low <= value <= high:
        raise ValueError(f"{what} must be in [{low}, {high}], got {value}")
    return value


def zstd(level: int = 0, checksum: bool = False) -> CodecKernel:
    """Zstandard: one frame with its content size; decodes any sequence of frames.

    Parameters
    ----------
    level : int, default 0
        -131072 to 22; 0 is zstd's own default.
    checksum : bool, default False
        Whether the frame carries a checksum of the content. Decoding checks it where there is one.
    """
    cdef zc_zstd_config config
    config.level = in_range("zstd level", level, -131072, 22)
    config.checksum = bool(checksum)
    return make_kernel("zstd", zc_zstd_encode, zc_zstd_decode, zc_zstd_bound, False, &config, sizeof(config),
                       zc_zstd_range)


def gzip(level: int = 5) -> CodecKernel:
    """Gzip (RFC 1952): one member; decodes any number of members.

    Parameters
    ----------
    level : int, default 5
        0 (stored) to 9; -1 is zlib's default, 6.
    """
    cdef zc_deflate_config config
    config.level = in_range("gzip level", level, -1, 9)
    return make_kernel("gzip", zc_gzip_encode, zc_gzip_decode, zc_gzip_bound, False, &config, sizeof(config))


def zlib(level: int = 1) -> CodecKernel:
    """Zlib (RFC 1950).

    Parameters
    ----------
    level : int, default 1
        0 (stored) to 9; -1 is zlib's default, 6.
    """
    cdef zc_deflate_config config
    config.level = in_range("zlib level", level, -1, 9)
    return make_kernel("zlib", zc_zlib_encode, zc_zlib_decode, zc_zlib_bound, False, &config, sizeof(config))


def lz4(acceleration: int = 1) -> CodecKernel:
    """LZ4 as numcodecs stores it: the decoded length (u32, little-endian), then one LZ4 block.

    Parameters
    ----------
    acceleration : int, default 1
        Higher is faster and less dense; below 1 means 1, and LZ4 caps it at 65537.
    """
    cdef zc_lz4_config config
    config.acceleration = in_range("lz4 acceleration", acceleration, -2**31, 2**31 - 1)
    return make_kernel("lz4", zc_lz4_encode, zc_lz4_decode, zc_lz4_bound, False, &config, sizeof(config),
                       zc_lz4_range)


def snappy() -> CodecKernel:
    """Snappy's raw block format."""
    return make_kernel("snappy", zc_snappy_encode, zc_snappy_decode, zc_snappy_bound, False, NULL, 0)


def blosc(cname: str = "lz4", clevel: int = 5, shuffle: int = 1, typesize: int = 1, blocksize: int = 0) -> CodecKernel:
    """Blosc 1 chunks, which c-blosc 1.x and numcodecs read and write too.

    Parameters
    ----------
    cname : str, default "lz4"
        "blosclz", "lz4", "lz4hc", "snappy", "zlib" or "zstd".
    clevel : int, default 5
        0 (stored) to 9.
    shuffle : int, default 1
        0 none, 1 bytes, 2 bits.
    typesize : int, default 1
        Bytes per element, at least 1; the format has no room for more than 255, which become 1, as in c-blosc.
    blocksize : int, default 0
        Bytes per block; 0 chooses.
    """
    cdef zc_blosc_config config
    if cname not in _BLOSC_COMPRESSORS:
        raise ValueError(f"blosc cname must be one of {', '.join(sorted(_BLOSC_COMPRESSORS))}, got {cname!r}")
    if typesize < 1:
        raise ValueError(f"blosc typesize must be at least 1, got {typesize}")
    config.compressor = <zc_blosc_compressor><int>_BLOSC_COMPRESSORS[cname]
    config.clevel = in_range("blosc clevel", clevel, 0, 9)
    config.shuffle = <zc_blosc_shuffle>in_range("blosc shuffle", shuffle, 0, 2)
    config.typesize = typesize if typesize <= ZC_BLOSC_MAX_TYPESIZE else 1
    config.blocksize = in_range("blosc blocksize", blocksize, 0, 2**31 - 1)
    return make_kernel("blosc", zc_blosc_encode, zc_blosc_decode, zc_blosc_bound, False, &config, sizeof(config),
                       zc_blosc_range)


def blosc_info(const uint8_t[::1] data not None) -> dict:
    """What the header of a Blosc chunk says.

    Returns
    -------
    dict
        ``nbytes`` (decoded), ``cbytes``, ``blocksize``, ``typesize``, ``format`` ("lz4" for lz4hc too), ``shuffle``
        (0 none, 1 bytes, 2 bits), ``stored`` and ``split`` (whether blocks are one stream per byte of an element).

    Raises
    ------
    CorruptChunkError
        If it is not the header of a whole chunk.
    """
    cdef zc_blosc_header header
    cdef size_t src_nbytes = data.shape[0]
    cdef const uint8_t *src = &data[0] if src_nbytes else NULL
    cdef zc_worker *worker = lease_worker()
    cdef zc_status status
    if worker is NULL:
        raise MemoryError("a worker")
    try:
        status = zc_blosc_read_header(worker, src, src_nbytes, &header)
        check(status, worker.detail, 0, "blosc")
    finally:
        return_worker(worker)
    return {
        "nbytes": header.nbytes,
        "cbytes": header.cbytes,
        "blocksize": header.blocksize,
        "typesize": header.typesize,
        "format": _BLOSC_FORMATS[header.format] if header.format < len(_BLOSC_FORMATS) else "unknown",
        "shuffle": 2 if header.flags & ZC_BLOSC_BITSHUFFLED else 1 if header.flags & ZC_BLOSC_SHUFFLED else 0,
        "stored": bool(header.flags & ZC_BLOSC_STORED),
        "split": not header.flags & ZC_BLOSC_NOT_SPLIT,
    }


def blosc_unfilter(const uint8_t[:, ::1] planes not None, start: int, stop: int, out: bytearray, *,
                   bint bits=False, int level=-1) -> None:
    """Undo Blosc's filter of one block for a range of its bytes (tests of the kernels).

    Parameters
    ----------
    planes : buffer of bytes in two dimensions
        As many rows as an element has bytes, at most 255; as many columns as there are elements.
    start, stop : int
        The range, inside the block.
    out : bytearray
        Where its ``stop - start`` bytes go.
    bits : bool, default False
        Whether it is the bit shuffle; the number of elements divides by eight then.
    level : int, default -1
        The SIMD level to use at most, -1 for the machine's best.
    """
    cdef zc_blosc_planes c
    cdef size_t first = start
    cdef size_t end = stop
    cdef uint8_t[::1] dst = out
    cdef zc_status status
    cdef zc_worker *worker
    c.typesize = planes.shape[0]
    c.n_elements = planes.shape[1]
    if not (1 <= c.typesize <= 255 and first < end <= c.typesize * c.n_elements and end - first == <size_t>dst.shape[0]):
        raise ValueError("a range that is not inside the block, or not as long as the output")
    for j in range(c.typesize):
        c.plane[j] = &planes[j, 0]
    if not bits:
        zc_blosc_unshuffle_at(level, &c, first, end, &dst[0])
        return
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker")
    try:
        status = zc_blosc_bitunshuffle_at(level, worker, &c, first, end, &dst[0])
        check(status, worker.detail, 0, "blosc")
    finally:
        return_worker(worker)


def decode_into(CodecKernel kernel not None, const uint8_t[::1] data not None, uint8_t[::1] out not None) -> int:
    """Decode ``data`` to the front of ``out``, which the engine's buffers do too; returns how many bytes there are.

    Raises
    ------
    CorruptChunkError
        If ``data`` is not valid, or decodes to more than ``out`` can hold.
    """
    cdef size_t src_nbytes = data.shape[0]
    cdef size_t capacity = out.shape[0]
    cdef const uint8_t *src = &data[0] if src_nbytes else NULL
    cdef uint8_t *dst = &out[0] if capacity else NULL
    cdef size_t dst_nbytes = 0
    cdef zc_worker *worker = lease_worker()
    cdef zc_status status
    if worker is NULL:
        raise MemoryError("a worker")
    try:
        with nogil:
            status = kernel.run_decode(kernel.config, worker, src, src_nbytes, dst, capacity, &dst_nbytes)
        check(status, worker.detail, worker.error_number, kernel.name)
    finally:
        return_worker(worker)
    return dst_nbytes
