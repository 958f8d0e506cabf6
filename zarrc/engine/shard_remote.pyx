# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path of sharded arrays on stores in Python."""

cdef int read_remote_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *result, int n_threads,
                            config) except -1:
    raise NotImplementedError
