"""The shards whose index was read before, without the GIL.  The contracts are in zc_shard_cache.h."""

from libc.stdint cimport uint64_t

from zarrc.kernels.shard_cache_type cimport zc_shard_cache

cdef extern from "zc_shard_cache.h":
    ctypedef struct zc_open_shard:
        int fd
        uint64_t stamp[4]
        uint64_t object_nbytes
        size_t n_pairs
        uint64_t *pairs

cdef zc_open_shard *open_shard_new(int fd, const uint64_t *stamp, size_t n_pairs, uint64_t object_nbytes) noexcept nogil
cdef void open_shard_ref(zc_open_shard *shard) noexcept nogil
cdef void open_shard_unref(zc_open_shard *shard) noexcept nogil

cdef zc_open_shard *shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
                                    const uint64_t *stamp) noexcept nogil
cdef void shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard) noexcept nogil
cdef void shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes) noexcept nogil
cdef void shard_cache_clear(zc_shard_cache *cache) noexcept nogil


# A reference to a shard; `shard` is NULL only before it is set.
cdef class OpenShard:
    cdef zc_open_shard *shard
    cdef zc_open_shard *there(self) except NULL


# An array handle's cache; `cache` is never NULL.
cdef class ShardCache:
    cdef zc_shard_cache *cache
