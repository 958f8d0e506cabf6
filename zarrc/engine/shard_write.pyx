# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The write path of sharded arrays."""

cdef int write_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *value, int n_threads,
                      config) except -1:
    raise NotImplementedError
