"""What reads, writes and copies share: how a job is cut into grains or groups, and how many threads it is worth."""

from zarrc.kernels.status cimport ZC_ECANCELLED, zc_status

# Items that a thread takes at once, for items that touch about 'item_nbytes' bytes each.
cdef inline size_t grain_of(size_t item_nbytes) noexcept nogil:
    # About 64 KiB a time: tiny chunks would else spend their time on the shared counter.
    return min(max((<size_t>1 << 16) // max(item_nbytes, <size_t>1), <size_t>1), <size_t>64)

# Threads worth waking for 'n' items of 'item_nbytes' bytes, which a task decodes, or reads from files, or (copied) only
# copies in memory, in rows.  Waking one costs some 10 to 50 microseconds, and two cores that copy share the memory's speed: 1 MiB
# takes as long with two threads as with one and half as much processor time again, 4 MiB takes 0.85 of the time.
cdef inline int threads_for(size_t n, size_t item_nbytes, bint copied, int n_threads) noexcept nogil:
    if n < 2 or n <= (<size_t>1 << (22 if copied else 18)) // (item_nbytes + 512):
        return 1
    return n_threads

cdef enum:
    # Objects that are handed to a store in Python together, and the bytes of their chunks: there may be more of those
    # where that is one chunk for each thread.
    WRITE_GROUP_OBJECTS = 1024
    WRITE_GROUP_NBYTES = 64 << 20
    COPY_GROUP_OBJECTS = 256

# Whether another of 'next_nbytes' bytes would be too much for such a group of 'n' with 'nbytes'.
cdef inline bint group_is_full(size_t n, size_t nbytes, size_t next_nbytes, int n_threads) noexcept nogil:
    return n >= WRITE_GROUP_OBJECTS or (n >= <size_t>n_threads and nbytes + next_nbytes > <size_t>WRITE_GROUP_NBYTES)

# Chunks of 'nbytes' bytes that a copy passes on together.
cdef inline size_t write_group_of(size_t nbytes, int n_threads) noexcept nogil:
    return min(max(<size_t>WRITE_GROUP_NBYTES // max(nbytes, <size_t>1), <size_t>n_threads), <size_t>COPY_GROUP_OBJECTS)

# Of several jobs whose items are numbered through, the first that ends after 'item'; jobs may have none.
cdef inline size_t job_at(const size_t *ends, size_t n_jobs, size_t item) noexcept nogil:
    cdef size_t low = 0
    cdef size_t middle
    while low < n_jobs:
        middle = low + (n_jobs - low) // 2
        if ends[middle] > item:
            n_jobs = middle
        else:
            low = middle + 1
    return low

# More about the status of a job as a whole: ZC_ECANCELLED has one cause there.
cdef inline const char *detail_of(zc_status status) noexcept nogil:
    if status == ZC_ECANCELLED:
        return b"in a child that was forked in the middle of it"
    return NULL
