# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Write whole chunks to uncompressed local files piece by piece: out of a buffer in the cache, or straight from the value.

A chunk that is gathered as a whole and then written crosses memory twice. Measured on 256 MiB of uint16 to ext4, milliseconds
of processor time of two threads on a Zen processor with 512 KiB of L2 and 32 MiB of L3, the whole chunk first and pieces:
256^3 in a 512^3 array 121 and 106, the same transposed to (0, 2, 1) 139 and 108, rows of 64 bytes 115 and 99, rows of 16 KiB
(by ``writev``) 113 and 77.
"""

from libc.stdint cimport uint64_t

from zarrc.engine.objects cimport object_replace_pieces
from zarrc.engine.raw cimport raw_order_axes
from zarrc.kernels.local_io cimport zc_local_rows
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_OK
from zarrc.kernels.strided cimport strided_copy
from zarrc.kernels.worker cimport ZC_SCRATCH_CHUNK, zc_worker_scratch

cdef enum:
    # A piece stays in an L2 of 512 KiB, or nearly: 256 KiB measure 3 % more, 1 MiB and 2 MiB the same. The system wants
    # them long (its own pages are then too).
    PIECE_NBYTES = 512 << 10
    # Smaller chunks stay in the caches between the two steps: pieces measure 10 % less from 16 MiB on, the same at 8.
    GATHERED_NBYTES = 8 << 20
    # Rows that the system gathers itself: by writev 10 to 15 % less, for files of 1 MiB as of 32 (see zc_local.h).
    ROW_NBYTES = 4096
    # And so much of them in a call: two rows of 4 KiB at a time take 2 to 3 times as long as the buffer.
    ROWS_NBYTES = 256 << 10
    # The bytes of the value in one place that a piece must have, else too many of its cache lines are loaded for several
    # pieces. A transpose in pieces with runs of 4 bytes takes 5.6 times as long as one of the whole chunk, with 128
    # bytes 1.05 to 1.25, with 256 bytes 0.8.
    RUN_NBYTES = 256

# One chunk on its way.
ctypedef struct zc_raw_chunk:
    const zc_raw_pieces *pieces
    const uint8_t *src
    zc_worker *worker


cdef bint raw_cut(zc_raw_pieces *pieces, const zc_raw_box *box) noexcept nogil:
    cdef int run_from
    pieces.ndim = raw_order_axes(box, pieces.count, pieces.file_strides, pieces.strides)
    pieces.itemsize = box.itemsize
    pieces.swap_unit = box.swap_unit
    pieces.nbytes = pieces.count[0] * <size_t>pieces.file_strides[0]
    run_from = _run_from(pieces)
    if pieces.nbytes <= PIECE_NBYTES or _is_broadcast(pieces) or (run_from == 0 and pieces.swap_unit == 0):
        return False
    pieces.is_rows = (pieces.swap_unit == 0 and pieces.file_strides[run_from - 1] >= ROW_NBYTES
                      and pieces.count[run_from - 1] * <size_t>pieces.file_strides[run_from - 1] >= ROWS_NBYTES)
    if pieces.is_rows:
        pieces.cut = run_from - 1
        pieces.most = pieces.count[run_from - 1]
        return True
    pieces.cut = 0
    while pieces.cut < pieces.ndim - 1 and pieces.file_strides[pieces.cut] > PIECE_NBYTES:
        pieces.cut += 1
    # At least one: an element can be longer than a piece.
    pieces.most = min(max(PIECE_NBYTES // <size_t>pieces.file_strides[pieces.cut], <size_t>1), pieces.count[pieces.cut])
    return pieces.nbytes >= GATHERED_NBYTES and _has_runs(pieces)


cdef int _run_from(const zc_raw_pieces *pieces) noexcept nogil:
    """The axes from here on are one run of bytes in the value, as they are in the file."""
    cdef int k = pieces.ndim
    while k > 0 and pieces.strides[k - 1] == pieces.file_strides[k - 1]:
        k -= 1
    return k


cdef bint _is_broadcast(const zc_raw_pieces *pieces) noexcept nogil:
    """Whether the value is smaller than the chunk, which may then be larger than memory: an error, not a full disk."""
    cdef int k
    for k in range(pieces.ndim):
        if pieces.strides[k] == 0 and pieces.count[k] > 1:
            return True
    return False


cdef bint _has_runs(const zc_raw_pieces *pieces) noexcept nogil:
    """Whether the pieces, one after the other, go through the value in runs and not in columns."""
    cdef Py_ssize_t stride
    cdef int k
    for k in range(pieces.cut + 1):
        stride = pieces.strides[k] if pieces.strides[k] > 0 else -pieces.strides[k]
        if <size_t>stride * (pieces.most if k == pieces.cut else <size_t>1) < RUN_NBYTES:
            return False
    return True


cdef zc_status raw_write(const zc_raw_pieces *pieces, const zc_objects *objects, zc_worker *worker, const char *name,
                         const uint8_t *src) noexcept nogil:
    cdef zc_raw_chunk chunk
    chunk.pieces = pieces
    chunk.src = src
    chunk.worker = worker
    return object_replace_pieces(objects, worker, name, _next_piece, &chunk, pieces.nbytes)


cdef zc_status _next_piece(void *context, uint64_t offset, zc_local_rows *rows_ret) noexcept nogil:
    cdef const zc_raw_chunk *chunk = <const zc_raw_chunk *>context
    cdef const zc_raw_pieces *pieces = chunk.pieces
    cdef const uint8_t *src = chunk.src
    cdef int k = pieces.cut
    cdef size_t rest = <size_t>offset
    cdef size_t i = 0
    cdef size_t n
    cdef int d
    for d in range(k + 1):
        i = rest // <size_t>pieces.file_strides[d]
        rest -= i * <size_t>pieces.file_strides[d]
        src += <Py_ssize_t>i * pieces.strides[d]
    n = min(pieces.most, pieces.count[k] - i)
    if not pieces.is_rows:
        return _gather(chunk, n, src, rows_ret)
    rows_ret.src, rows_ret.stride, rows_ret.row_nbytes, rows_ret.n_rows = src, pieces.strides[k], pieces.file_strides[k], n
    return ZC_OK


cdef zc_status _gather(const zc_raw_chunk *chunk, size_t n, const uint8_t *src, zc_local_rows *rows_ret) noexcept nogil:
    """'n' neighbours along the axis that is cut, with all of the axes inside it."""
    cdef const zc_raw_pieces *pieces = chunk.pieces
    cdef int k = pieces.cut
    cdef int ndim = pieces.ndim - k
    cdef size_t nbytes = n * <size_t>pieces.file_strides[k]
    cdef uint8_t *piece = zc_worker_scratch(chunk.worker, ZC_SCRATCH_CHUNK, nbytes)
    cdef size_t count[MAX_NDIM]
    cdef int d
    if piece is NULL:
        return ZC_ENOMEM
    count[0] = n
    for d in range(1, ndim):
        count[d] = pieces.count[k + d]
    strided_copy(piece, &pieces.file_strides[k], src, &pieces.strides[k], count, ndim, pieces.itemsize, pieces.swap_unit)
    rows_ret.src, rows_ret.stride, rows_ret.row_nbytes, rows_ret.n_rows = piece, nbytes, nbytes, 1
    return ZC_OK
