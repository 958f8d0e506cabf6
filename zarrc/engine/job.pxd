"""What the read path and the write path share: how a job is cut into grains, and how many threads it is worth."""

from zarrc.kernels.status cimport ZC_ECANCELLED, zc_status

# Items that a thread takes at once, for items that touch about 'item_nbytes' bytes each.
cdef inline size_t grain_of(size_t item_nbytes) noexcept nogil:
    # About 64 KiB a time: tiny chunks would else spend their time on the shared counter.
    return min(max((<size_t>1 << 16) // max(item_nbytes, <size_t>1), <size_t>1), <size_t>64)

# Threads worth waking for 'n' items of 'item_nbytes' bytes; waking one costs some 10 microseconds, which is what copying
# 100 KB costs.
cdef inline int threads_for(size_t n, size_t item_nbytes, int n_threads) noexcept nogil:
    if n < 2 or n <= (<size_t>1 << 18) // (item_nbytes + 512):
        return 1
    return n_threads

# More about the status of a job as a whole: ZC_ECANCELLED has one cause there.
cdef inline const char *detail_of(zc_status status) noexcept nogil:
    if status == ZC_ECANCELLED:
        return b"in a child that was forked in the middle of it"
    return NULL
