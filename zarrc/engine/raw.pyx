# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Read a box of an uncompressed local file: in pieces that stay in the cache, or straight into the result's rows.

A chunk that is read whole and then scattered crosses memory twice. Measured on 256 MiB of 256^3 uint16 (page cache, one
core, milliseconds of processor time): whole chunks then rows 90, pieces then rows 50, pieces then rows stored past the
cache 33, ``preadv`` into rows of 512 bytes 65. From some 2 KiB on the kernel fills rows faster than a second copy does,
but not where they are not aligned (AMD Zen 3, 64 MiB in calls of 40 KB: 3.5 aligned, 26 at malloc's 16 bytes, 7 by way of
an aligned piece).
"""

from libc.stdint cimport uintptr_t

from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.local_io cimport local_pread, local_pread_rows
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_OK
from zarrc.kernels.strided cimport strided_copy, strided_copy_streamed, swap_bytes
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch

cdef enum:
    # A piece and the rows it goes to stay in an L2 of 512 KiB; 64 KiB to 1 MiB measure the same within 5 %.
    PIECE_NBYTES = 256 << 10
    # A gap that is skipped costs a call (0.3 us); reading it costs 0.1 us a KiB.
    GAP_NBYTES = 4096
    # Rows that the kernel fills itself.
    ROW_NBYTES = 2048
    # What the kernel's string moves want of their destination, and the bytes from which it matters.
    ALIGNMENT = 32
    ALIGNED_NBYTES = 512

# A box with its axes in the order of the file, outermost first, without those of one item (but one axis at least).
ctypedef struct zc_walk:
    int fd
    int ndim
    size_t count[MAX_NDIM]
    Py_ssize_t file_strides[MAX_NDIM]
    Py_ssize_t strides[MAX_NDIM]
    size_t span[MAX_NDIM + 1]   # bytes of the file from the first item of the axes from here on to one past their last
    int whole_from              # the axes from here on are one piece at most, without a gap worth skipping
    int row_from                # the axes from here on are one run of bytes on both sides
    const zc_raw_box *box
    zc_worker *worker


cdef zc_status raw_read(int fd, uint64_t offset, uint8_t *dst, const zc_raw_box *box, zc_worker *worker) noexcept nogil:
    cdef zc_walk walk
    cdef zc_status status
    walk.fd = fd
    walk.box = box
    walk.worker = worker
    walk.ndim = raw_order_axes(box, walk.count, walk.file_strides, walk.strides)
    _measure(&walk, box.itemsize)
    if walk.row_from == 0 and _takes(dst, 0, walk.span[0]) and (box.swap_unit == 0 or walk.span[0] <= PIECE_NBYTES):
        status = local_pread(fd, offset, dst, walk.span[0], &worker.error_number)
        swap_bytes(dst, walk.span[0], box.swap_unit)
        return status
    return _read_axes(&walk, 0, offset, dst)


cdef int raw_order_axes(const zc_raw_box *box, size_t *count, Py_ssize_t *file_strides,
                        Py_ssize_t *strides) noexcept nogil:
    """Insertion by file stride: the axes come in order, or nearly."""
    cdef int ndim = 0
    cdef int d, at
    for d in range(box.ndim):
        if box.count[d] == 1:
            continue
        at = ndim
        while at > 0 and file_strides[at - 1] < box.file_strides[d]:
            count[at] = count[at - 1]
            file_strides[at] = file_strides[at - 1]
            strides[at] = strides[at - 1]
            at -= 1
        count[at] = box.count[d]
        file_strides[at] = box.file_strides[d]
        strides[at] = box.strides[d]
        ndim += 1
    if ndim > 0:
        return ndim
    count[0] = 1
    file_strides[0] = strides[0] = box.itemsize
    return 1


cdef void _measure(zc_walk *walk, size_t itemsize) noexcept nogil:
    cdef size_t inner = itemsize
    cdef bint is_row = True
    cdef bint is_whole = True
    cdef int k
    walk.span[walk.ndim] = itemsize
    walk.whole_from = walk.row_from = walk.ndim
    for k in range(walk.ndim - 1, -1, -1):
        walk.span[k] = (walk.count[k] - 1) * <size_t>walk.file_strides[k] + inner
        is_row = is_row and walk.file_strides[k] == <Py_ssize_t>inner and walk.strides[k] == <Py_ssize_t>inner
        is_whole = is_whole and walk.span[k] <= PIECE_NBYTES and _gap(walk, k) <= GAP_NBYTES
        if is_row:
            walk.row_from = k
        if is_whole:
            walk.whole_from = k
        inner = walk.span[k]


cdef inline bint _takes(const uint8_t *dst, Py_ssize_t stride, size_t nbytes) noexcept nogil:
    """Whether rows of so many bytes, so far apart, are well filled by a system call."""
    return nbytes < ALIGNED_NBYTES or (<uintptr_t>dst | <uintptr_t>stride) % ALIGNMENT == 0


cdef inline size_t _gap(const zc_walk *walk, int k) noexcept nogil:
    """Bytes between what two neighbours along axis k span."""
    return <size_t>walk.file_strides[k] - walk.span[k + 1] if <size_t>walk.file_strides[k] > walk.span[k + 1] else 0


cdef zc_status _read_axes(const zc_walk *walk, int k, uint64_t offset, uint8_t *dst) noexcept nogil:
    """The axes from k on."""
    cdef size_t at_once = 1
    cdef size_t i = 0
    cdef size_t n
    cdef zc_status status = ZC_OK
    if (walk.row_from <= k + 1 and walk.span[k + 1] >= ROW_NBYTES and walk.box.swap_unit == 0
            and _takes(dst, walk.strides[k], walk.span[k + 1])):
        return local_pread_rows(walk.fd, offset, walk.file_strides[k], dst, walk.strides[k], walk.span[k + 1], walk.count[k],
                                &walk.worker.error_number)
    if walk.whole_from <= k:
        return _read_piece(walk, k, walk.count[k], offset, dst)
    if walk.whole_from == k + 1 and walk.span[k + 1] <= PIECE_NBYTES and _gap(walk, k) <= GAP_NBYTES:
        # At least one: what lies inside is no longer than a piece. (One element can be longer.)
        at_once = 1 + (PIECE_NBYTES - walk.span[k + 1]) // <size_t>walk.file_strides[k]
    while i < walk.count[k] and status == ZC_OK:
        n = min(at_once, walk.count[k] - i)
        if n == 1 and k + 1 < walk.ndim:
            status = _read_axes(walk, k + 1, offset, dst)
        else:
            status = _read_piece(walk, k, n, offset, dst)
        i += n
        # Nowhere past the last one, which need not be in the caller's memory.
        if i < walk.count[k]:
            offset += n * <uint64_t>walk.file_strides[k]
            dst += <Py_ssize_t>n * walk.strides[k]
    return status


cdef zc_status _read_piece(const zc_walk *walk, int k, size_t n, uint64_t offset, uint8_t *dst) noexcept nogil:
    """'n' neighbours along axis k, with all of the axes inside it."""
    cdef const zc_raw_box *box = walk.box
    cdef size_t nbytes = (n - 1) * <size_t>walk.file_strides[k] + walk.span[k + 1]
    cdef uint8_t *piece = zc_worker_scratch(walk.worker, ZC_SCRATCH_ENCODED, nbytes)
    cdef size_t count[MAX_NDIM]
    cdef int ndim = walk.ndim - k
    cdef int i
    cdef zc_status status
    if piece is NULL:
        return ZC_ENOMEM
    status = local_pread(walk.fd, offset, piece, nbytes, &walk.worker.error_number)
    if status != ZC_OK:
        return status
    count[0] = n
    for i in range(1, ndim):
        count[i] = walk.count[k + i]
    if box.streamed:
        strided_copy_streamed(dst, &walk.strides[k], piece, &walk.file_strides[k], count, ndim, box.itemsize, box.swap_unit)
    else:
        strided_copy(dst, &walk.strides[k], piece, &walk.file_strides[k], count, ndim, box.itemsize, box.swap_unit)
    return ZC_OK
