# cython: language_level=3
# cython: freethreading_compatible=True
"""The shards whose index was read before: for each array handle a bounded cache."""

cimport cython
from libc.string cimport memcpy

cdef extern from "zc_shard_cache.h":
    zc_open_shard *zc_open_shard_new(int fd, const uint64_t *stamp, size_t n_pairs, uint64_t object_nbytes) noexcept nogil
    void zc_open_shard_ref(zc_open_shard *shard) noexcept nogil
    void zc_open_shard_unref(zc_open_shard *shard) noexcept nogil
    zc_shard_cache *zc_shard_cache_new(size_t max_open, size_t max_nbytes) noexcept nogil
    void zc_shard_cache_free(zc_shard_cache *cache) noexcept nogil
    zc_open_shard *zc_shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
                                      const uint64_t *stamp) noexcept nogil
    void zc_shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard) noexcept nogil
    void zc_shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes) noexcept nogil
    void zc_shard_cache_clear(zc_shard_cache *cache) noexcept nogil
    size_t zc_shard_cache_count(zc_shard_cache *cache) noexcept nogil
    size_t zc_shard_cache_descriptors() noexcept nogil


cdef zc_open_shard *open_shard_new(int fd, const uint64_t *stamp, size_t n_pairs, uint64_t object_nbytes) noexcept nogil:
    return zc_open_shard_new(fd, stamp, n_pairs, object_nbytes)


cdef void open_shard_ref(zc_open_shard *shard) noexcept nogil:
    zc_open_shard_ref(shard)


cdef void open_shard_unref(zc_open_shard *shard) noexcept nogil:
    zc_open_shard_unref(shard)


cdef zc_open_shard *shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
                                    const uint64_t *stamp) noexcept nogil:
    return zc_shard_cache_get(cache, key, key_nbytes, stamp)


cdef void shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard) noexcept nogil:
    zc_shard_cache_put(cache, key, key_nbytes, shard)


cdef void shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes) noexcept nogil:
    zc_shard_cache_drop(cache, key, key_nbytes)


cdef void shard_cache_clear(zc_shard_cache *cache) noexcept nogil:
    zc_shard_cache_clear(cache)


def n_descriptors():
    """How many descriptors all caches of the process keep open."""
    return zc_shard_cache_descriptors()


cdef int _stamp(object words, uint64_t *stamp_ret) except -1:
    if len(words) != 4:
        raise ValueError(f"a stamp has 4 words, got {len(words)}")
    stamp_ret[0], stamp_ret[1], stamp_ret[2], stamp_ret[3] = words[0], words[1], words[2], words[3]
    return 0


@cython.final
cdef class OpenShard:
    """A shard as it was found once; its descriptor stays open as long as this object or a cache has it.

    Parameters
    ----------
    pairs : buffer of uint64
        Offset and size of each inner chunk, one after the other; copied.
    stamp : sequence of int
        Four words that tell one content of the object from the next.
    object_nbytes : int
        Size of the object.
    fd : int, default -1
        A descriptor, owned by the shard from then on; -1 for none.
    """

    def __init__(self, const uint64_t[::1] pairs not None, stamp, uint64_t object_nbytes, int fd=-1):
        cdef uint64_t words[4]
        cdef size_t n = pairs.shape[0] // 2
        if pairs.shape[0] % 2 != 0 or self.shard is not NULL:
            raise ValueError("pairs: an even number of words, given once")
        _stamp(stamp, words)
        self.shard = zc_open_shard_new(fd, words, n, object_nbytes)
        if self.shard is NULL:
            raise MemoryError(f"an index of {n} inner chunks")
        if n > 0:
            memcpy(self.shard.pairs, &pairs[0], n * 16)

    def __dealloc__(self):
        zc_open_shard_unref(self.shard)

    cdef zc_open_shard *there(self) except NULL:
        if self.shard is NULL:
            raise ValueError("a shard that was never given its index")
        return self.shard

    @property
    def fd(self):
        return self.there().fd

    @property
    def object_nbytes(self):
        return self.there().object_nbytes

    @property
    def stamp(self):
        return tuple([self.there().stamp[i] for i in range(4)])

    @property
    def pairs(self):
        """(offset, nbytes) of each inner chunk."""
        cdef size_t i
        cdef zc_open_shard *shard = self.there()
        return [(shard.pairs[2 * i], shard.pairs[2 * i + 1]) for i in range(shard.n_pairs)]


@cython.final
cdef class ShardCache:
    """At most ``max_open`` shards of ``max_nbytes`` bytes of memory in all; the least recently used go first.

    Keys are bytes. Every method may be called from any thread. A forked child has its own copy.
    """

    def __cinit__(self, size_t max_open, size_t max_nbytes):
        self.cache = zc_shard_cache_new(max_open, max_nbytes)
        if self.cache is NULL:
            raise MemoryError("a cache of shards")

    def __dealloc__(self):
        zc_shard_cache_free(self.cache)

    def __len__(self):
        return zc_shard_cache_count(self.cache)

    def get(self, bytes key not None, stamp):
        """The key's `OpenShard` of that stamp, or None; one of another stamp is dropped."""
        cdef uint64_t words[4]
        cdef OpenShard result = OpenShard.__new__(OpenShard)
        cdef const char *text = key
        cdef size_t nbytes = len(key)
        _stamp(stamp, words)
        with nogil:
            result.shard = zc_shard_cache_get(self.cache, text, nbytes, words)
        return None if result.shard is NULL else result

    def put(self, bytes key not None, OpenShard shard not None):
        """Keep ``shard`` in place of what the key had, if it is within the bounds."""
        cdef const char *text = key
        cdef size_t nbytes = len(key)
        cdef zc_open_shard *given = shard.there()
        with nogil:
            zc_shard_cache_put(self.cache, text, nbytes, given)

    def drop(self, bytes key not None):
        """Forget what the key has."""
        zc_shard_cache_drop(self.cache, key, len(key))

    def clear(self):
        """Forget everything."""
        with nogil:
            zc_shard_cache_clear(self.cache)
