# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One version of a shard, open for reading.

A shard of a file is one open descriptor, a shard of a memory store one blob: whatever is stored under its name meanwhile, its index
and its inner chunks are of the same version.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport FAILED_SHARD
from zarrc.engine.objects cimport PLACE_LOCAL, object_fetch, object_release, zc_object
from zarrc.engine.shard_layout cimport shard_index_decode, shard_index_offset
from zarrc.kernels.chain cimport chain_decode_any, chain_object_limit
from zarrc.kernels.local_io cimport local_close, local_open, local_pread
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_ETOOLARGE, ZC_OK
from zarrc.kernels.table cimport blob_unref
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch


cdef zc_status view_open(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                         const char *name, size_t name_nbytes, int *step) noexcept nogil:
    cdef zc_object object
    cdef zc_status status
    memset(view, 0, sizeof(zc_shard_view))
    view.fd = -1
    if objects.place == PLACE_LOCAL:
        status = local_open(name, &view.fd, &view.nbytes, &worker.error_number)
        if status != ZC_OK:
            view.fd = -1
            return status
        view.owns_fd = True
    else:
        status = object_fetch(objects, worker, name, name_nbytes, 0, &object)
        if status != ZC_OK:
            return status
        view.blob, view.data, view.nbytes = object.blob, object.data, object.nbytes
    return _look_inside(view, shard, worker, step)


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
        status = _decode_whole(view, shard, worker)
        if status != ZC_OK:
            return status
    status = shard_index_offset(shard, worker, view.nbytes, &offset)
    if status != ZC_OK:
        return status
    # The object has an index of that size, so that it may be allocated.
    view.index = <zc_shard_entry *>malloc(shard.n_inner * sizeof(zc_shard_entry))
    if view.index is NULL:
        return ZC_ENOMEM
    view.owns_index = True
    status = view_read(view, worker, offset, shard.index_nbytes, &stored)
    if status != ZC_OK:
        return status
    worker.detail = b"the shard's index"
    status = shard_index_decode(shard, worker, stored, view.index)
    if status == ZC_OK:
        worker.detail = NULL
        step[0] = -1
    return status


cdef zc_status _decode_whole(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker) noexcept nogil:
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
        worker.detail = b"the codecs around the shard"
        status = chain_decode_any(shard.outer, worker, src, view.nbytes, &decoded, &nbytes, &failed)
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
