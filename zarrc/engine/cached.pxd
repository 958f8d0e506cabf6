"""A read's way by the cache of its handle: decoded chunks are found there, and kept for the next read."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport Objects, zc_objects
from zarrc.engine.read_part cimport zc_scatter
from zarrc.indexing.plan cimport zc_part
from zarrc.kernels.chunk_cache cimport zc_chunk_name
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# A stored object, and what tells whether chunks that were decoded from it before are of what is stored now.
ctypedef struct zc_cached_object:
    bint is_known           # else its chunks are neither looked for nor kept
    bint has_stamp
    bint is_young           # the stamp may not tell a change yet: bytes are compared too
    zc_chunk_name name      # of its chunk; those of a shard's are made from it
    uint64_t changes        # in this process, before anything of it was fetched
    uint64_t stamp[4]       # as zc_chunk_cache.h says

# Let the read go by the cache of 'objects', if there is one: 'n_chunks' are how many chunks it may need.
cdef int cached_init(zc_scatter *scatter, Objects objects, ChunkLayout layout, size_t n_chunks) except -1

# Before anything of the object is fetched.
cdef void cached_object(const zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                        zc_cached_object *object_ret) noexcept nogil

# The stamp of what was fetched.  A file that changed just now may change again without another stamp.
cdef void cached_stamp(const zc_objects *objects, zc_cached_object *object, const uint64_t *stamp) noexcept nogil

# The object that the inner chunk of that number is for its own inner chunks.
cdef void cached_inside(const zc_cached_object *shard, size_t number, zc_cached_object *inner_ret) noexcept nogil

# Read the part from the cache; whether its chunk was there and is known to be up to date.  'name' is the stored object's.
cdef bint cached_serve(zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                       zc_cached_object *object, const zc_part *part) noexcept nogil

# Decode all of a chunk, whose part is read, and keep it; or find it in the cache after all, decoded from the same bytes.
cdef zc_status cached_decode(zc_scatter *scatter, const zc_cached_object *object, const zc_part *part, const uint8_t *src,
                             size_t src_nbytes, size_t part_index, zc_worker *worker, int *step) noexcept nogil

# A chunk that is not stored, of an object of which it would take a request to learn that once more.
cdef void cached_absent(zc_scatter *scatter, const zc_cached_object *object) noexcept nogil

# A stored chunk of a local or memory store that was not in the cache.
cdef zc_status cached_fetch(zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                            zc_cached_object *object, const zc_part *part, size_t part_index, zc_worker *worker,
                            int *step) noexcept nogil

# What the read decodes is held back until it is known to be of one version: then it is kept, or let go.
cdef void cached_hold(zc_scatter *scatter) noexcept nogil
cdef void cached_release(zc_scatter *scatter, bint keep) noexcept nogil

# Whether the chunk is in the cache (of a store that is not looked at), and whether as one that is not stored.
cdef bint cached_has(const zc_scatter *scatter, const zc_cached_object *object) noexcept nogil
cdef bint cached_is_absent(const zc_scatter *scatter, const zc_cached_object *object) noexcept nogil
