# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A read's way by the cache of its handle: decoded chunks are found there, and kept for the next read.

A chunk is used again while nobody in this process has changed its object since (zc_changes.h), and a look at the file or the
blob in memory shows what it showed when the chunk was fetched.  Of other stores nothing is looked at.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from zarrc.engine.objects cimport PLACE_LOCAL, PLACE_MEMORY, PLACE_PYTHON, object_fetch, object_release, zc_object
from zarrc.engine.read_part cimport scatter_chunk, scatter_decode_whole, scatter_fill, zc_caching
from zarrc.kernels.chunk_cache cimport (
    cached_chunk_absent,
    cached_chunk_new,
    cached_chunk_unref,
    chunk_cache_count,
    chunk_cache_drop,
    chunk_cache_get,
    chunk_cache_put,
    chunk_cache_takes,
    chunk_name_inner,
    chunk_name_of,
    zc_cached_chunk,
)
from zarrc.kernels.local_io cimport local_close, local_identify_path, local_open_identified, local_pread
from zarrc.kernels.locks cimport lock_changes
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ENOMEM, ZC_ETOOLARGE, ZC_OK
from zarrc.kernels.table cimport blob_unref, table_get, zc_blob
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch

cdef extern from "zc_atomic.h":
    void zc_spin_lock(int *lock) noexcept nogil
    void zc_spin_unlock(int *lock) noexcept nogil

# A chunk that waits to be kept.
cdef struct zc_held:
    zc_held *next
    zc_chunk_name name
    zc_cached_chunk *chunk      # a reference

cdef enum:
    STAMP_NBYTES = 32
    SIZE_WORD = 2
    CTIME_WORD = 3
    # The clocks of file systems tick in milliseconds: 10 at 100 Hz, which no kernel is slower than.
    CLOCK_TICK_NS = 20000000


cdef int cached_init(zc_scatter *scatter, Objects objects, ChunkLayout layout, size_t n_chunks) except -1:
    cdef zc_caching *caching = &scatter.caching
    cdef int d
    # What is not encoded in memory is as near as a cache.
    if objects.c.chunks is NULL or (objects.c.place == PLACE_MEMORY and scatter.chain is not NULL
                                    and scatter.chain.n_steps == 0):
        return 0
    if not chunk_cache_takes(objects.c.chunks, layout.c.nbytes):
        chunk_cache_count(objects.c.chunks, 0, n_chunks)
        return 0
    objects.know_locks()
    caching.cache = objects.c.chunks
    # Chunks of a grid may differ in shape; in all else those of one handle agree.
    for d in range(layout.c.ndim):
        caching.layout = (caching.layout ^ <uint64_t>layout.c.shape[d]) * <uint64_t>0x1E3779B97F4A7C15
    # A read of more than the cache has room for would push out its own chunks, and all others.
    caching.keeps = (n_chunks <= (<size_t>-1) // (layout.c.nbytes + 1)
                     and chunk_cache_takes(objects.c.chunks, n_chunks * layout.c.nbytes))
    caching.keeps_absent = caching.keeps and objects.c.place == PLACE_PYTHON
    return 0


cdef void cached_object(const zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                        zc_cached_object *object_ret) noexcept nogil:
    memset(object_ret, 0, sizeof(zc_cached_object))
    if scatter.caching.cache is NULL:
        return
    object_ret.is_known = True
    object_ret.name = chunk_name_of(scatter.caching.cache, scatter.caching.layout, name, name_nbytes)
    # Versions in memory tell everything.
    if objects.place != PLACE_MEMORY:
        object_ret.changes = lock_changes(objects.lock_seed, name + objects.lock_from, name_nbytes - objects.lock_from)
    object_ret.has_stamp = objects.place == PLACE_PYTHON


cdef void cached_stamp(const zc_objects *objects, zc_cached_object *object, const uint64_t *stamp) noexcept nogil:
    cdef timespec now
    memcpy(object.stamp, stamp, STAMP_NBYTES)
    object.has_stamp = True
    if objects.place == PLACE_LOCAL:
        clock_gettime(CLOCK_REALTIME, &now)
        if <int64_t>stamp[CTIME_WORD] > <int64_t>now.tv_sec * 1000000000 + now.tv_nsec - CLOCK_TICK_NS:
            object.is_young = True


cdef void cached_inside(const zc_cached_object *shard, size_t number, zc_cached_object *inner_ret) noexcept nogil:
    inner_ret[0] = shard[0]
    inner_ret.name = chunk_name_inner(shard.name, number)


cdef void _look(const zc_objects *objects, const char *name, size_t name_nbytes, zc_cached_object *object) noexcept nogil:
    """What is stored now under the name; zeros, which no chunk has, if that is not known."""
    cdef zc_blob *blob
    cdef int errno = 0
    memset(object.stamp, 0, STAMP_NBYTES)
    if objects.place == PLACE_LOCAL:
        if local_identify_path(name, object.stamp, &errno) != ZC_OK:
            memset(object.stamp, 0, STAMP_NBYTES)
    else:
        blob = table_get(objects.table, name, name_nbytes)
        if blob is not NULL:
            object.stamp[0] = blob.version
            blob_unref(blob)
    object.has_stamp = True


cdef bint cached_serve(zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                       zc_cached_object *object, const zc_part *part) noexcept nogil:
    cdef zc_cached_chunk *chunk
    cdef bint served = False
    if not object.is_known:
        return False
    chunk = chunk_cache_get(scatter.caching.cache, object.name, object.changes)
    if chunk is not NULL:
        if not object.has_stamp:
            _look(objects, name, name_nbytes, object)
        if memcmp(chunk.stamp, object.stamp, STAMP_NBYTES) != 0:
            chunk_cache_drop(scatter.caching.cache, object.name, chunk)
        elif chunk.data is NULL:
            served = scatter_fill(scatter, part) == ZC_OK
        elif not chunk.is_young:
            scatter_chunk(scatter, part, chunk.data)
            served = True
        cached_chunk_unref(chunk)
    # What is fetched now in order to be kept is counted when it is decoded.
    chunk_cache_count(scatter.caching.cache, served, not served and not scatter.caching.keeps)
    return served


cdef zc_status cached_decode(zc_scatter *scatter, const zc_cached_object *object, const zc_part *part, const uint8_t *src,
                             size_t src_nbytes, size_t part_index, zc_worker *worker, int *step) noexcept nogil:
    cdef zc_cached_chunk *chunk = cached_chunk_new(scatter.layout.nbytes)
    cdef zc_status status = ZC_OK
    if chunk is NULL:
        return ZC_ENOMEM
    if not _has_decoded(scatter, object, src, src_nbytes, chunk):
        chunk_cache_count(scatter.caching.cache, 0, 1)
        status = scatter_decode_whole(scatter, src, src_nbytes, chunk.data, part_index, worker, step)
    if status != ZC_OK:
        cached_chunk_unref(chunk)
        return status
    scatter_chunk(scatter, part, chunk.data)
    _keep(scatter, object, chunk)
    return ZC_OK


cdef bint _has_decoded(zc_scatter *scatter, const zc_cached_object *object, const uint8_t *src, size_t src_nbytes,
                       zc_cached_chunk *chunk) noexcept nogil:
    """Whether the cache has, of a file that was young then, what the same bytes were decoded to: it is in 'chunk' now."""
    cdef zc_cached_chunk *kept = NULL
    cdef bint was_young
    cdef bint found = False
    if object.is_known:
        kept = chunk_cache_get(scatter.caching.cache, object.name, object.changes)
    was_young = kept is not NULL and kept.is_young
    if was_young or object.is_young:
        chunk.source = chunk_name_of(scatter.caching.cache, 0, <const char *>src, src_nbytes)
        chunk.source_nbytes = src_nbytes
        chunk.is_young = object.is_young
    if was_young:
        found = kept.source_nbytes == src_nbytes and memcmp(&kept.source, &chunk.source, sizeof(zc_chunk_name)) == 0
        if found:
            memcpy(chunk.data, kept.data, chunk.nbytes)
            chunk_cache_count(scatter.caching.cache, 1, 0)
    cached_chunk_unref(kept)
    return found


cdef void _keep(zc_scatter *scatter, const zc_cached_object *object, zc_cached_chunk *chunk) noexcept nogil:
    """Takes over the caller's reference."""
    cdef zc_held *held = NULL
    if object.is_known:
        chunk.changes = object.changes
        memcpy(chunk.stamp, object.stamp, STAMP_NBYTES)
        if not scatter.caching.holds:
            chunk_cache_put(scatter.caching.cache, object.name, chunk)
        else:
            held = <zc_held *>malloc(sizeof(zc_held))
    if held is NULL:
        cached_chunk_unref(chunk)
        return
    held.name, held.chunk = object.name, chunk
    zc_spin_lock(&scatter.caching.lock)
    held.next = <zc_held *>scatter.caching.held
    scatter.caching.held = held
    zc_spin_unlock(&scatter.caching.lock)


cdef void cached_hold(zc_scatter *scatter) noexcept nogil:
    scatter.caching.holds = True


cdef void cached_release(zc_scatter *scatter, bint keep) noexcept nogil:
    cdef zc_held *held
    while scatter.caching.held is not NULL:
        held = <zc_held *>scatter.caching.held
        scatter.caching.held = held.next
        if keep:
            chunk_cache_put(scatter.caching.cache, held.name, held.chunk)
        cached_chunk_unref(held.chunk)
        free(held)


cdef bint cached_has(const zc_scatter *scatter, const zc_cached_object *object) noexcept nogil:
    cdef zc_cached_chunk *chunk = chunk_cache_get(scatter.caching.cache, object.name, object.changes)
    cached_chunk_unref(chunk)
    return chunk is not NULL


cdef bint cached_is_absent(const zc_scatter *scatter, const zc_cached_object *object) noexcept nogil:
    cdef zc_cached_chunk *chunk = chunk_cache_get(scatter.caching.cache, object.name, object.changes)
    cdef bint is_absent = chunk is not NULL and chunk.data is NULL
    cached_chunk_unref(chunk)
    if is_absent:
        chunk_cache_count(scatter.caching.cache, 1, 0)
    return is_absent


cdef void cached_absent(zc_scatter *scatter, const zc_cached_object *object) noexcept nogil:
    cdef zc_cached_chunk *chunk
    if not scatter.caching.keeps_absent:
        return
    chunk_cache_count(scatter.caching.cache, 0, 1)
    chunk = cached_chunk_absent()
    if chunk is not NULL:
        _keep(scatter, object, chunk)


cdef zc_status cached_fetch(zc_scatter *scatter, const zc_objects *objects, const char *name, size_t name_nbytes,
                            zc_cached_object *object, const zc_part *part, size_t part_index, zc_worker *worker,
                            int *step) noexcept nogil:
    cdef zc_object fetched
    cdef uint64_t stamp[4]
    cdef zc_status status
    memset(stamp, 0, STAMP_NBYTES)
    if objects.place == PLACE_LOCAL:
        status = _fetch_file(worker, name, scatter.layout.object_limit, &fetched, stamp)
    else:
        status = object_fetch(objects, worker, name, name_nbytes, scatter.layout.object_limit, &fetched)
        if status == ZC_OK:
            stamp[0] = fetched.blob.version
    if status == ZC_ABSENT:
        return scatter_fill(scatter, part)
    if status != ZC_OK:
        return status
    cached_stamp(objects, object, stamp)
    status = cached_decode(scatter, object, part, fetched.data, fetched.nbytes, part_index, worker, step)
    object_release(&fetched)
    return status


cdef zc_status _fetch_file(zc_worker *worker, const char *name, size_t limit, zc_object *object_ret,
                           uint64_t *stamp_ret) noexcept nogil:
    """As object_fetch does, with the identity of the file that was read."""
    cdef uint8_t *data = NULL
    cdef int fd = -1
    cdef zc_status status = local_open_identified(name, &fd, stamp_ret, &worker.error_number)
    if status != ZC_OK:
        return status
    object_ret.blob = NULL
    object_ret.nbytes = stamp_ret[SIZE_WORD]
    if stamp_ret[SIZE_WORD] > limit:
        status = ZC_ETOOLARGE
        worker.detail = b"the object is larger than any encoding of its chunk"
    else:
        data = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, object_ret.nbytes)
        status = ZC_ENOMEM if data is NULL else local_pread(fd, 0, data, object_ret.nbytes, &worker.error_number)
    local_close(fd)
    object_ret.data = data
    return status
