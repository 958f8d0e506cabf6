# cython: language_level=3
# cython: freethreading_compatible=True
"""Decoded chunks that are kept for the next read: for each array handle a bounded cache."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from "zc_chunk_cache.h":
    ctypedef struct zc_chunk_cache_stats:
        uint64_t n_hits
        uint64_t n_misses
        uint64_t n_evictions
        size_t n_chunks
        size_t nbytes
        size_t max_nbytes
    zc_chunk_cache *zc_chunk_cache_new(size_t max_nbytes) noexcept nogil
    void zc_chunk_cache_free(zc_chunk_cache *cache) noexcept nogil
    int zc_chunk_cache_takes(const zc_chunk_cache *cache, size_t nbytes) noexcept nogil
    zc_chunk_name zc_chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key,
                                   size_t key_nbytes) noexcept nogil
    zc_chunk_name zc_chunk_name_inner(zc_chunk_name shard, uint64_t number) noexcept nogil
    zc_cached_chunk *zc_chunk_cache_get(zc_chunk_cache *cache, zc_chunk_name name, uint64_t changes) noexcept nogil
    zc_cached_chunk *zc_cached_chunk_new(size_t nbytes) noexcept nogil
    zc_cached_chunk *zc_cached_chunk_absent() noexcept nogil
    void zc_cached_chunk_unref(zc_cached_chunk *chunk) noexcept nogil
    void zc_chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk) noexcept nogil
    void zc_chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk) noexcept nogil
    void zc_chunk_cache_clear(zc_chunk_cache *cache) noexcept nogil
    void zc_chunk_cache_count(zc_chunk_cache *cache, size_t n_hits, size_t n_misses) noexcept nogil
    void zc_chunk_cache_look(zc_chunk_cache *cache, zc_chunk_cache_stats *stats_ret) noexcept nogil


cdef bint chunk_cache_takes(const zc_chunk_cache *cache, size_t nbytes) noexcept nogil:
    return zc_chunk_cache_takes(cache, nbytes) != 0


cdef zc_chunk_name chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key,
                                 size_t key_nbytes) noexcept nogil:
    return zc_chunk_name_of(cache, layout, key, key_nbytes)


cdef zc_chunk_name chunk_name_inner(zc_chunk_name shard, uint64_t number) noexcept nogil:
    return zc_chunk_name_inner(shard, number)


cdef zc_cached_chunk *chunk_cache_get(zc_chunk_cache *cache, zc_chunk_name name, uint64_t changes) noexcept nogil:
    return zc_chunk_cache_get(cache, name, changes)


cdef zc_cached_chunk *cached_chunk_new(size_t nbytes) noexcept nogil:
    return zc_cached_chunk_new(nbytes)


cdef zc_cached_chunk *cached_chunk_absent() noexcept nogil:
    return zc_cached_chunk_absent()


cdef void cached_chunk_unref(zc_cached_chunk *chunk) noexcept nogil:
    zc_cached_chunk_unref(chunk)


cdef void chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk) noexcept nogil:
    zc_chunk_cache_put(cache, name, chunk)


cdef void chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk) noexcept nogil:
    zc_chunk_cache_drop(cache, name, chunk)


cdef void chunk_cache_count(zc_chunk_cache *cache, size_t n_hits, size_t n_misses) noexcept nogil:
    zc_chunk_cache_count(cache, n_hits, n_misses)


@cython.final
cdef class ChunkCache:
    """Decoded chunks in at most ``max_nbytes`` bytes of memory; the least recently used go first.

    Every method may be called from any thread. A forked child has its own copy.
    """

    def __cinit__(self, size_t max_nbytes):
        self.cache = zc_chunk_cache_new(max_nbytes)
        if self.cache is NULL:
            raise MemoryError("a cache of chunks")

    def __dealloc__(self):
        zc_chunk_cache_free(self.cache)

    def __len__(self):
        return self.look()[3]

    def look(self):
        """(hits, misses, evictions, chunks, bytes of memory, the most bytes)."""
        cdef zc_chunk_cache_stats stats
        with nogil:
            zc_chunk_cache_look(self.cache, &stats)
        return stats.n_hits, stats.n_misses, stats.n_evictions, stats.n_chunks, stats.nbytes, stats.max_nbytes

    def clear(self):
        """Forget every chunk; what was counted stays."""
        with nogil:
            zc_chunk_cache_clear(self.cache)

    # --- for tests: the engine does this without the GIL

    def takes(self, size_t nbytes):
        """Whether a chunk of so many bytes can be kept."""
        return chunk_cache_takes(self.cache, nbytes)

    def put(self, bytes key not None, data, changes=0, stamp=(0, 0, 0, 0), inner=None, layout=0):
        """Keep the chunk, None for one that is not stored, in place of what the key had."""
        cdef zc_cached_chunk *chunk
        cdef zc_chunk_name name = self._name(key, inner, layout)
        cdef const uint8_t[::1] view
        cdef int i
        if data is None:
            chunk = zc_cached_chunk_absent()
        else:
            chunk = zc_cached_chunk_new(len(data))
        if chunk is NULL:
            raise MemoryError("a chunk to be kept")
        if data is not None and len(data):
            view = data
            memcpy(chunk.data, &view[0], view.shape[0])
        chunk.changes = changes
        for i in range(4):
            chunk.stamp[i] = stamp[i]
        with nogil:
            zc_chunk_cache_put(self.cache, name, chunk)
            zc_cached_chunk_unref(chunk)

    def get(self, bytes key not None, changes=0, inner=None, layout=0):
        """(data or None, stamp) of the key's chunk, or None; one with another number of changes is dropped."""
        cdef zc_chunk_name name = self._name(key, inner, layout)
        cdef uint64_t expected = changes
        cdef zc_cached_chunk *chunk
        with nogil:
            chunk = zc_chunk_cache_get(self.cache, name, expected)
            zc_chunk_cache_count(self.cache, chunk is not NULL, chunk is NULL)
        if chunk is NULL:
            return None
        try:
            data = None if chunk.data is NULL else PyBytes_FromStringAndSize(<const char *>chunk.data, chunk.nbytes)
            return data, tuple([chunk.stamp[i] for i in range(4)])
        finally:
            zc_cached_chunk_unref(chunk)

    def drop(self, bytes key not None, changes=0, inner=None, layout=0):
        """Forget what the key has."""
        cdef zc_chunk_name name = self._name(key, inner, layout)
        cdef zc_cached_chunk *chunk = zc_chunk_cache_get(self.cache, name, changes)
        zc_chunk_cache_drop(self.cache, name, chunk)
        zc_cached_chunk_unref(chunk)

    cdef zc_chunk_name _name(self, bytes key, inner, layout):
        cdef zc_chunk_name name = zc_chunk_name_of(self.cache, layout, key, len(key))
        return name if inner is None else zc_chunk_name_inner(name, inner)
