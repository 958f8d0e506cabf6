# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One version of a shard, open for reading.

A shard of a file is one open descriptor, a shard of a memory store one blob: whatever is stored under its name meanwhile, its
index and its inner chunks are of the same version. Files to which somebody appends are read by the rules in
zc_local_append.h.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport FAILED_AROUND, FAILED_SHARD
from zarrc.engine.objects cimport PLACE_LOCAL, object_fetch, zc_object
from zarrc.engine.shard_layout cimport shard_index_decode, shard_index_offset
from zarrc.kernels.chain cimport chain_decode_any, chain_object_limit
from zarrc.kernels.local_io cimport (
    ZC_UNDO_NONE,
    ZC_UNDO_VALID,
    local_close,
    local_duplicate,
    local_identify_fd,
    local_identify_path,
    local_open_identified,
    local_pread,
    local_repair,
    local_undo_exists,
    local_undo_free,
    local_undo_read,
    zc_local_undo,
)
from zarrc.kernels.shard_cache cimport (
    open_shard_new,
    open_shard_unref,
    shard_cache_drop,
    shard_cache_get,
    shard_cache_put,
)
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, ZC_ECORRUPT, ZC_ENOMEM, ZC_ETOOLARGE, ZC_OK
from zarrc.kernels.table cimport blob_unref
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch

cdef enum:
    # How often a file is looked at again that changes while its index is read.
    ROUNDS = 1000
    SIZE_WORD = 2
    CTIME_WORD = 3


cdef zc_status view_open(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                         const char *name, size_t name_nbytes, int *step) noexcept nogil:
    cdef zc_status status = ZC_ECANCELLED
    cdef int i
    if objects.place != PLACE_LOCAL:
        return _open_blob(view, objects, shard, worker, name, name_nbytes, step)
    for i in range(ROUNDS):
        if status != ZC_ECANCELLED:
            return status
        if i:
            view_close(view)
        _clear(view)
        step[0] = -1
        status = _open_file(view, objects, shard, worker, name, name_nbytes, step)
    if status == ZC_ECANCELLED:
        worker.detail = b"the shard changes all the time"
        status = ZC_ECORRUPT
    return status


cdef void _clear(zc_shard_view *view) noexcept nogil:
    memset(view, 0, sizeof(zc_shard_view))
    view.fd = -1


cdef zc_status _open_blob(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                          const char *name, size_t name_nbytes, int *step) noexcept nogil:
    cdef zc_object object
    cdef zc_status status = object_fetch(objects, worker, name, name_nbytes, 0, &object)
    _clear(view)
    if status != ZC_OK:
        return status
    view.blob, view.data, view.nbytes = object.blob, object.data, object.nbytes
    view.identity[0] = object.blob.version
    view.is_settled = True
    if _is_kept(view, objects, shard, name, name_nbytes):
        return ZC_OK
    status = _look_inside(view, shard, worker, step)
    if status == ZC_OK:
        _keep(view, objects, shard, name, name_nbytes)
    return status


cdef zc_status _open_file(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                          const char *name, size_t name_nbytes, int *step) noexcept nogil:
    """ZC_ECANCELLED: it changed meanwhile."""
    cdef zc_local_undo undo
    cdef zc_status status
    if objects.shards is not NULL:
        status = local_identify_path(name, view.identity, &worker.error_number)
        if status != ZC_OK:
            return status
        if _is_kept(view, objects, shard, name, name_nbytes):
            return ZC_OK
    status = local_open_identified(name, &view.fd, view.identity, &worker.error_number)
    if status != ZC_OK:
        view.fd = -1
        return status
    view.owns_fd = True
    view.nbytes = view.identity[SIZE_WORD]
    if local_undo_exists(name):
        status = local_undo_read(name, view.identity[0], view.identity[1], shard.index_nbytes, &undo, &worker.error_number)
        if status == ZC_OK and undo.state == ZC_UNDO_VALID:
            status = _as_of(view, shard, worker, &undo, step)
            local_undo_free(&undo)
            return status
        if status == ZC_OK:
            local_undo_free(&undo)
            status = ZC_ECANCELLED if undo.state == ZC_UNDO_NONE else ZC_OK
        if status == ZC_OK:
            # Nothing was appended yet: the file is as it is, unless it changes now.
            status = _look_inside(view, shard, worker, step)
            return ZC_ECANCELLED if _has_changed(view, shard, worker) else status
        return status
    status = _look_inside(view, shard, worker, step)
    if view.owned is not NULL:
        return status           # read whole
    if local_undo_exists(name) or _has_changed(view, shard, worker):
        return ZC_ECANCELLED
    view.is_settled = True
    if status == ZC_OK:
        _keep(view, objects, shard, name, name_nbytes)
    return status


cdef bint _has_changed(const zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker) noexcept nogil:
    """Whether its index may be of another version than its size; a shard that was read whole is in memory."""
    cdef uint64_t now[4]
    if view.owned is not NULL:
        return False
    if local_identify_fd(view.fd, now, &worker.error_number) != ZC_OK or now[SIZE_WORD] != view.identity[SIZE_WORD]:
        return True
    # An index at the start may have been written over, by one who was killed, and put back by the next.
    return shard.index_at_start and now[CTIME_WORD] != view.identity[CTIME_WORD]


cdef zc_status _as_of(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, const zc_local_undo *undo,
                      int *step) noexcept nogil:
    """The shard as it was before what somebody appends to it, or did not finish."""
    cdef uint64_t now[4]
    cdef zc_status status
    if undo.nbytes > view.nbytes:
        # An append may have been finished, and the next one begun, since the shard was opened.
        status = local_identify_fd(view.fd, now, &worker.error_number)
        if status != ZC_OK:
            return status
        view.nbytes = now[SIZE_WORD]
    if undo.nbytes > view.nbytes or undo.index_at_start != shard.index_at_start or (
            shard.index_at_start and undo.index_nbytes != shard.index_nbytes):
        worker.detail = b"the undo record beside the shard is of another one"
        return ZC_ECORRUPT
    view.nbytes = undo.nbytes
    if not shard.index_at_start:
        return _look_inside(view, shard, worker, step)
    return view_index(view, shard, worker, undo.index, step)


cdef bint _is_kept(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, const char *name,
                   size_t name_nbytes) noexcept nogil:
    if objects.shards is NULL or shard.outer is not NULL:
        return False
    view.shared = shard_cache_get(objects.shards, name, name_nbytes, view.identity)
    if view.shared is NULL:
        return False
    view.index = <zc_shard_entry *>view.shared.pairs
    view.is_settled = True
    if objects.place == PLACE_LOCAL:
        view.fd, view.nbytes = view.shared.fd, view.shared.object_nbytes
    return True


cdef void _keep(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, const char *name,
                size_t name_nbytes) noexcept nogil:
    """Give descriptor and index to the cache, for this view and the next."""
    if objects.shards is NULL or shard.outer is not NULL:
        return
    view.shared = open_shard_new(view.fd, view.identity, shard.n_inner, view.nbytes)
    if view.shared is NULL:
        return
    memcpy(view.shared.pairs, view.index, shard.n_inner * sizeof(zc_shard_entry))
    free(view.index)
    view.index = <zc_shard_entry *>view.shared.pairs
    view.owns_index = view.owns_fd = False
    shard_cache_put(objects.shards, name, name_nbytes, view.shared)


cdef void view_remember(const zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, const char *name,
                        size_t name_nbytes, const uint64_t *identity, const zc_shard_entry *index) noexcept nogil:
    cdef zc_open_shard *shared
    cdef int fd
    if objects.shards is NULL or view.fd < 0:
        return
    fd = local_duplicate(view.fd)
    if fd < 0:
        return
    shared = open_shard_new(fd, identity, shard.n_inner, identity[SIZE_WORD])
    if shared is NULL:
        local_close(fd)
        return
    memcpy(shared.pairs, index, shard.n_inner * sizeof(zc_shard_entry))
    shard_cache_put(objects.shards, name, name_nbytes, shared)
    open_shard_unref(shared)


cdef void view_forget(const zc_objects *objects, const char *name, size_t name_nbytes) noexcept nogil:
    if objects.shards is not NULL:
        shard_cache_drop(objects.shards, name, name_nbytes)


cdef zc_status view_repair(const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                           const char *name) noexcept nogil:
    cdef zc_status status
    if objects.place != PLACE_LOCAL or not local_undo_exists(name):
        return ZC_OK
    status = local_repair(name, shard.index_nbytes, &worker.error_number)
    return ZC_OK if status == ZC_ABSENT else status


cdef zc_status view_bytes(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, const uint8_t *data,
                          uint64_t nbytes, int *step) noexcept nogil:
    memset(view, 0, sizeof(zc_shard_view))
    view.fd = -1
    view.data, view.nbytes = data, nbytes
    return _look_inside(view, shard, worker, step)


cdef zc_status view_inside(zc_shard_view *view, const zc_shard_view *outer, const zc_shard_layout *nested, zc_worker *worker,
                           const zc_shard_entry *entry, int *step) noexcept nogil:
    memset(view, 0, sizeof(zc_shard_view))
    view.fd = outer.fd
    view.data = NULL if outer.data is NULL else outer.data + entry.offset
    view.start, view.nbytes = outer.start + entry.offset, entry.nbytes
    return _look_inside(view, nested, worker, step)


cdef zc_status _look_inside(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, int *step) noexcept nogil:
    """Undo the codecs around the shard, and read its index."""
    cdef const uint8_t *stored = NULL
    cdef uint64_t offset = 0
    cdef zc_status status
    step[0] = FAILED_SHARD
    worker.detail = NULL
    if shard.outer is not NULL:
        status = _decode_whole(view, shard, worker, step)
        if status != ZC_OK:
            return status
    status = shard_index_offset(shard, worker, view.nbytes, &offset)
    if status != ZC_OK:
        return status
    status = view_read(view, worker, offset, shard.index_nbytes, &stored)
    if status != ZC_OK:
        return status
    return view_index(view, shard, worker, stored, step)


cdef zc_status view_index(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, const uint8_t *stored,
                          int *step) noexcept nogil:
    cdef zc_status status
    # The object has an index of that size, so that it may be allocated.
    view.index = <zc_shard_entry *>malloc(shard.n_inner * sizeof(zc_shard_entry))
    if view.index is NULL:
        return ZC_ENOMEM
    view.owns_index = True
    step[0] = FAILED_SHARD
    worker.detail = b"the shard's index"
    status = shard_index_decode(shard, worker, stored, view.index)
    if status == ZC_OK:
        worker.detail = NULL
        step[0] = -1
    return status


cdef zc_status _decode_whole(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, int *step) noexcept nogil:
    cdef const uint8_t *src = NULL
    cdef const uint8_t *decoded = NULL
    cdef size_t nbytes = 0
    cdef int failed = -1
    cdef zc_status status
    if view.nbytes > chain_object_limit(shard.outer):
        worker.detail = b"the object is larger than any encoding of its shard"
        return ZC_ETOOLARGE
    status = view_read(view, worker, 0, view.nbytes, &src)
    if status == ZC_OK:
        status = chain_decode_any(shard.outer, worker, src, view.nbytes, &decoded, &nbytes, &failed)
        if status != ZC_OK and failed >= 0 and not shard.is_inner:
            step[0] = FAILED_AROUND - failed
    if status != ZC_OK:
        return status
    worker.detail = NULL
    view.owned = <uint8_t *>malloc(nbytes or 1)
    if view.owned is NULL:
        return ZC_ENOMEM
    memcpy(view.owned, decoded, nbytes)
    if view.owns_fd:
        local_close(view.fd)
        view.owns_fd = False
    view.fd, view.start, view.data, view.nbytes = -1, 0, view.owned, nbytes
    return ZC_OK


cdef void view_close(zc_shard_view *view) noexcept nogil:
    if view.owns_fd:
        local_close(view.fd)
    if view.owns_index:
        free(view.index)
    free(view.owned)
    if view.blob is not NULL:
        blob_unref(view.blob)
    open_shard_unref(view.shared)
    memset(view, 0, sizeof(zc_shard_view))
    view.fd = -1


cdef zc_status view_read(const zc_shard_view *view, zc_worker *worker, uint64_t offset, size_t nbytes,
                         const uint8_t **data_ret) noexcept nogil:
    cdef uint8_t *scratch
    if view.data is not NULL:
        data_ret[0] = view.data + offset
        return ZC_OK
    scratch = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, nbytes)
    if scratch is NULL:
        return ZC_ENOMEM
    data_ret[0] = scratch
    return local_pread(view.fd, view.start + offset, scratch, nbytes, &worker.error_number)
