# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: freethreading_compatible=True
"""A shard's index, and the byte ranges that are read of a shard."""

from libc.stddef cimport size_t
from libc.stdint cimport UINT64_MAX, uint8_t, uint64_t
from libc.string cimport memcpy

from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECORRUPT, ZC_OK, check, zc_status


cdef zc_status shard_entry(const zc_shard_entry *index, size_t i, uint64_t object_nbytes,
                           zc_shard_entry *entry_ret) noexcept nogil:
    cdef uint64_t offset = index[i].offset
    cdef uint64_t nbytes = index[i].nbytes
    if offset == UINT64_MAX or nbytes == UINT64_MAX:
        return ZC_ABSENT if offset == nbytes else ZC_ECORRUPT
    # Compared by subtraction: offset + nbytes can wrap around 2^64.
    if offset > object_nbytes or nbytes > object_nbytes - offset:
        return ZC_ECORRUPT
    entry_ret.offset = offset
    entry_ret.nbytes = nbytes
    return ZC_OK


cdef inline bint _before(const zc_shard_range *a, const zc_shard_range *b) noexcept nogil:
    if a.offset != b.offset:
        return a.offset < b.offset
    if a.nbytes != b.nbytes:
        return a.nbytes < b.nbytes
    return a.item < b.item


cdef bint _insertion_sort(zc_shard_range *ranges, size_t n) noexcept nogil:
    """Sort what needs few moves, otherwise stop with the ranges in another order: whether they are sorted."""
    cdef size_t i, at
    # An inner chunk that was appended later than its neighbours costs one move for each range behind it in the index.
    cdef size_t moves_left = 8 * n
    cdef zc_shard_range moved
    for i in range(1, n):
        if not _before(&ranges[i], &ranges[i - 1]):
            continue
        moved = ranges[i]
        at = i
        while at > 0 and _before(&moved, &ranges[at - 1]):
            ranges[at] = ranges[at - 1]
            at -= 1
        ranges[at] = moved
        if i - at > moves_left:
            return False
        moves_left -= i - at
    return True


cdef inline void _sift_down(zc_shard_range *heap, size_t root, size_t n) noexcept nogil:
    """Restore the heap of 'n' ranges whose parents come last, below 'root'."""
    cdef zc_shard_range moved = heap[root]
    cdef size_t child = 2 * root + 1
    while child < n:
        if child + 1 < n and _before(&heap[child], &heap[child + 1]):
            child += 1
        if not _before(&moved, &heap[child]):
            break
        heap[root] = heap[child]
        root = child
        child = 2 * root + 1
    heap[root] = moved


cdef void _heap_sort(zc_shard_range *ranges, size_t n) noexcept nogil:
    cdef size_t i
    cdef zc_shard_range last
    for i in range(n // 2, 0, -1):
        _sift_down(ranges, i - 1, n)
    for i in range(n, 1, -1):
        last = ranges[i - 1]
        ranges[i - 1] = ranges[0]
        ranges[0] = last
        _sift_down(ranges, 0, i - 1)


cdef void shard_sort(zc_shard_range *ranges, size_t n) noexcept nogil:
    # The offsets come from stored bytes: heapsort has no order that is slow, needs no memory and no depth.
    if not _insertion_sort(ranges, n):
        _heap_sort(ranges, n)


cdef inline bint _join(zc_shard_run *run, uint64_t offset, uint64_t nbytes, uint64_t gap,
                       uint64_t limit) noexcept nogil:
    """Take the range that starts at 'offset', not before the run, into the run if it may: whether it was."""
    # All is counted from the run's start, and ends are never added up: they can wrap around 2^64.
    cdef uint64_t from_start = offset - run.offset
    if from_start <= run.nbytes and nbytes <= run.nbytes - from_start:
        run.n += 1
        return True
    if from_start > run.nbytes and from_start - run.nbytes > gap:
        return False
    if nbytes > limit or from_start > limit - nbytes:
        return False
    run.nbytes = from_start + nbytes
    run.n += 1
    return True


cdef size_t shard_coalesce(const zc_shard_range *ranges, size_t n, uint64_t gap, uint64_t limit,
                           zc_shard_run *runs_ret) noexcept nogil:
    cdef size_t n_runs = 0
    cdef size_t i
    for i in range(n):
        if n_runs > 0 and _join(&runs_ret[n_runs - 1], ranges[i].offset, ranges[i].nbytes, gap, limit):
            continue
        runs_ret[n_runs].offset = ranges[i].offset
        runs_ret[n_runs].nbytes = ranges[i].nbytes
        runs_ret[n_runs].first = i
        runs_ret[n_runs].n = 1
        n_runs += 1
    return n_runs


# zc.h refuses machines that are not little-endian, so that the words are already as they are stored.
cdef void shard_index_load(zc_shard_entry *index, const uint8_t *src, size_t n) noexcept nogil:
    if n > 0:
        memcpy(index, src, n * sizeof(zc_shard_entry))


cdef void shard_index_store(uint8_t *dst, const zc_shard_entry *index, size_t n) noexcept nogil:
    if n > 0:
        memcpy(dst, index, n * sizeof(zc_shard_entry))


# The same on NumPy arrays, one row an entry, a range or a run (size_t has 64 bits wherever zarrc runs).

def entry(const uint64_t[:, ::1] index, size_t i, uint64_t object_nbytes):
    """The place ``(offset, nbytes)`` of inner chunk ``i`` in a shard of ``object_nbytes`` bytes, None if it is absent.

    Raises
    ------
    CorruptChunkError
        If the place leaves the shard.
    """
    _check_columns(index.shape[1], 2)
    if i >= <size_t>index.shape[0]:
        raise IndexError(f"entry {i} of {index.shape[0]}")
    cdef zc_shard_entry found
    cdef zc_status status = shard_entry(<const zc_shard_entry *>&index[0, 0], i, object_nbytes, &found)
    if status == ZC_ABSENT:
        return None
    check(status, NULL, 0, "sharding_indexed")
    return found.offset, found.nbytes


def sort(uint64_t[:, ::1] ranges):
    """Sort ``ranges``, rows of offset, nbytes and item, in place."""
    _check_columns(ranges.shape[1], 3)
    if ranges.shape[0] > 0:
        shard_sort(<zc_shard_range *>&ranges[0, 0], ranges.shape[0])


def coalesce(const uint64_t[:, ::1] ranges, uint64_t gap, uint64_t limit, uint64_t[:, ::1] runs):
    """Join sorted ``ranges`` to ``runs``, rows of offset, nbytes, first range and number of ranges: how many they are."""
    _check_columns(ranges.shape[1], 3)
    _check_columns(runs.shape[1], 4)
    if runs.shape[0] < ranges.shape[0]:
        raise ValueError(f"room for {runs.shape[0]} runs, {ranges.shape[0]} are needed")
    if ranges.shape[0] == 0:
        return 0
    return shard_coalesce(<const zc_shard_range *>&ranges[0, 0], ranges.shape[0], gap, limit,
                          <zc_shard_run *>&runs[0, 0])


def load(uint64_t[:, ::1] index, const uint8_t[::1] src):
    """Fill ``index`` with the entries that the bytes ``src`` of a decoded index hold."""
    _check_columns(index.shape[1], 2)
    if src.shape[0] != 16 * index.shape[0]:
        raise ValueError(f"{index.shape[0]} entries have 16 bytes each, got {src.shape[0]}")
    if src.shape[0] > 0:
        shard_index_load(<zc_shard_entry *>&index[0, 0], &src[0], index.shape[0])


def store(uint8_t[::1] dst, const uint64_t[:, ::1] index):
    """Write the entries ``index`` to ``dst`` as they are stored."""
    _check_columns(index.shape[1], 2)
    if dst.shape[0] != 16 * index.shape[0]:
        raise ValueError(f"{index.shape[0]} entries have 16 bytes each, got {dst.shape[0]}")
    if dst.shape[0] > 0:
        shard_index_store(&dst[0], <const zc_shard_entry *>&index[0, 0], index.shape[0])


cdef int _check_columns(Py_ssize_t n, Py_ssize_t needed) except -1:
    if n != needed:
        raise ValueError(f"rows of {needed} words are needed, not of {n}")
    return 0
