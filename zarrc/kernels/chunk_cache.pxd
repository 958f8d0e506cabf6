"""Decoded chunks that are kept for the next read, without the GIL.  The contracts are in zc_chunk_cache.h."""

from libc.stdint cimport uint8_t, uint64_t

cdef extern from "zc_chunk_cache.h":
    ctypedef struct zc_chunk_cache:
        pass
    ctypedef struct zc_chunk_name:
        uint64_t words[2]
    ctypedef struct zc_cached_chunk:
        uint8_t *data
        size_t nbytes
        uint64_t changes
        uint64_t stamp[4]
        int is_young
        zc_chunk_name source
        size_t source_nbytes

cdef bint chunk_cache_takes(const zc_chunk_cache *cache, size_t nbytes) noexcept nogil
cdef zc_chunk_name chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key,
                                 size_t key_nbytes) noexcept nogil
cdef zc_chunk_name chunk_name_inner(zc_chunk_name shard, uint64_t number) noexcept nogil
cdef zc_cached_chunk *chunk_cache_get(zc_chunk_cache *cache, zc_chunk_name name, uint64_t changes) noexcept nogil
cdef zc_cached_chunk *cached_chunk_new(size_t nbytes) noexcept nogil
cdef zc_cached_chunk *cached_chunk_absent() noexcept nogil
cdef void cached_chunk_unref(zc_cached_chunk *chunk) noexcept nogil
cdef void chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk) noexcept nogil
cdef void chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk) noexcept nogil
cdef void chunk_cache_count(zc_chunk_cache *cache, size_t n_hits, size_t n_misses) noexcept nogil


# An array handle's cache; `cache` is never NULL.
cdef class ChunkCache:
    cdef zc_chunk_cache *cache
    cdef zc_chunk_name _name(self, bytes key, inner, layout)
