"""What the read path and the write path share: how a job is cut into grains, and the objects of a store in Python."""

from libc.stdint cimport uint8_t

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
