# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One chunk of a copy: its stored object goes from a local or memory store to another as it is, without Python.

A file is copied by the system, and two memory stores share the bytes. What cannot be an encoding of the chunk is refused
before the target is touched.
"""

from libc.string cimport memcpy

from zarrc.engine.failure cimport keep_exception, keep_failure
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    object_fetch,
    object_lock,
    object_name,
    object_release,
    object_remove,
    object_root,
    object_replace,
    object_unlock,
    zc_object,
    zc_object_lock,
)
from zarrc.kernels.chain cimport chain_decode
from zarrc.kernels.local_io cimport (
    ZC_UNDO_NONE,
    ZC_UNDO_VALID,
    local_close,
    local_copy,
    local_identify_fd,
    local_open,
    local_open_identified,
    local_pread,
    local_repair,
    local_undo_exists,
    local_undo_free,
    local_undo_read,
    zc_local_undo,
)
from zarrc.kernels.status cimport (
    ZC_ABSENT,
    ZC_ECORRUPT,
    ZC_EINVAL,
    ZC_ELENGTH,
    ZC_ENOMEM,
    ZC_EPYTHON,
    ZC_ETOOLARGE,
    ZC_ETRUNCATED,
    ZC_OK,
)
from zarrc.kernels.table cimport blob_data, blob_new, blob_share, blob_unref, table_put, zc_blob
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch

cdef enum:
    # What a file passes through where the system does not copy it: as much as fits in L2.
    BUFFER_NBYTES = 256 << 10
    # How often a shard is copied again that changes meanwhile.
    ROUNDS = 100
    SIZE_WORD = 2               # of a file's identity


cdef int copy_chunks(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_copy_job *job = <zc_copy_job *>context
    cdef size_t item
    cdef int step, side
    cdef zc_status status
    for item in range(job.first_item + first, job.first_item + first + count):
        step, side = -1, AT_SOURCE
        worker.detail = NULL
        status = _copy_chunk(job, item, worker, &step, &side)
        if status != ZC_OK:
            keep_failure(&job.failure, status, 2 * item + side, step, worker)
            return 1
    return 0


cdef void copy_chunk_at(const zc_copy_job *job, size_t item, int64_t *chunk) noexcept nogil:
    cdef int d
    for d in range(job.ndim - 1, -1, -1):
        if job.chunks is NULL:
            chunk[d] = <int64_t>(item % <size_t>job.n_chunks[d])
            item //= <size_t>job.n_chunks[d]
        else:
            chunk[d] = job.chunks[item * job.ndim + d]


cdef zc_status _copy_chunk(zc_copy_job *job, size_t item, zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef int64_t chunk[MAX_NDIM]
    cdef char name[MAX_KEY_NBYTES]
    cdef char target[MAX_KEY_NBYTES]
    cdef size_t name_nbytes, target_nbytes
    cdef zc_object object
    cdef uint64_t nbytes = 0
    cdef int fd = -1
    cdef zc_status status
    copy_chunk_at(job, item, chunk)
    name_nbytes = object_name(job.source, chunk, job.ndim, name)
    target_nbytes = object_name(job.target, chunk, job.ndim, target)
    if name_nbytes == 0 or target_nbytes == 0:
        return ZC_EINVAL
    if job.source.place == PLACE_LOCAL and job.is_shard and not job.only_removes:
        return _copy_shard(job, name, item, target, target_nbytes, worker, step, side)
    if job.source.place == PLACE_LOCAL:
        status = local_open(name, &fd, &nbytes, &worker.error_number)
    else:
        status = object_fetch(job.source, worker, name, name_nbytes, job.limit, &object)
    if status == ZC_ABSENT:
        side[0] = AT_TARGET
        return _remove(job, worker, target, target_nbytes)
    if status != ZC_OK:
        return status
    if job.only_removes:
        status = ZC_OK
    elif fd >= 0:
        status = _copy_file(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    else:
        status = _copy_blob(job, &object, item, target, target_nbytes, worker, step, side)
    if fd >= 0:
        local_close(fd)
    else:
        object_release(&object)
    return status


cdef zc_status _copy_shard(zc_copy_job *job, const char *name, size_t item, const char *target, size_t target_nbytes,
                           zc_worker *worker, int *step, int *side) noexcept nogil:
    """One version of a file to which somebody may be appending: what changed meanwhile is copied once more."""
    cdef zc_local_undo undo
    cdef uint64_t identity[4]
    cdef uint64_t now[4]
    cdef int fd = -1
    cdef int round_
    cdef bint is_unfinished
    cdef zc_status status = ZC_OK
    for round_ in range(ROUNDS):
        side[0] = AT_SOURCE
        status = local_open_identified(name, &fd, identity, &worker.error_number)
        if status == ZC_ABSENT:
            side[0] = AT_TARGET
            return _remove(job, worker, target, target_nbytes)
        if status != ZC_OK:
            return status
        undo.state = ZC_UNDO_NONE
        is_unfinished = local_undo_exists(name)
        if is_unfinished:
            status = local_undo_read(name, identity[0], identity[1], identity[SIZE_WORD], &undo, &worker.error_number)
        if status == ZC_OK and undo.state == ZC_UNDO_VALID:
            # What was before stays as it was, whatever happens to the file from here on.
            status = _copy_undone(job, fd, &undo, item, target, target_nbytes, worker, step, side)
            local_undo_free(&undo)
            local_close(fd)
            return status
        if status == ZC_OK:
            status = _copy_file(job, fd, identity[SIZE_WORD], item, target, target_nbytes, worker, step, side)
        if status == ZC_OK:
            status = local_identify_fd(fd, now, &worker.error_number)
        local_close(fd)
        if (now[SIZE_WORD] == identity[SIZE_WORD] if status == ZC_OK else status != ZC_ETRUNCATED):
            if is_unfinished or not local_undo_exists(name):
                return status
    return status if status != ZC_OK else ZC_ECORRUPT


cdef zc_status _copy_undone(zc_copy_job *job, int fd, const zc_local_undo *undo, size_t item, const char *target,
                            size_t target_nbytes, zc_worker *worker, int *step, int *side) noexcept nogil:
    """The shard as of its undo record."""
    cdef uint64_t now[4]
    cdef uint8_t *data = NULL
    cdef zc_blob *blob = NULL
    cdef zc_status status = local_identify_fd(fd, now, &worker.error_number)
    if status == ZC_OK and undo.nbytes > now[SIZE_WORD]:
        worker.detail = b"the undo record beside the shard is of another one"
        status = ZC_ECORRUPT
    if status == ZC_OK:
        data = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, undo.nbytes)
        status = ZC_ENOMEM if data is NULL else local_pread(fd, 0, data, undo.nbytes, &worker.error_number)
    if status == ZC_OK and undo.index is not NULL:
        memcpy(data, undo.index, min(<uint64_t>undo.index_nbytes, undo.nbytes))
    if status == ZC_OK:
        status = check_object(job, data, undo.nbytes, item, worker, step)
    if status != ZC_OK:
        return status
    if job.target.place == PLACE_LOCAL:
        return _replace(job, data, undo.nbytes, target, target_nbytes, worker, side)
    blob = blob_new(undo.nbytes)
    if blob is NULL:
        return ZC_ENOMEM
    memcpy(blob_data(blob), data, undo.nbytes)
    return _put(job, blob, target, target_nbytes, worker, side)


cdef zc_status _lock_target(zc_copy_job *job, zc_object_lock *lock, zc_worker *worker, const char *target,
                            size_t target_nbytes) noexcept nogil:
    """Also take back what somebody did not finish to append there: its record must not meet another file."""
    cdef zc_status status = object_lock(job.target, lock, worker, target, target_nbytes)
    if status == ZC_OK and job.is_shard and job.target.place == PLACE_LOCAL and local_undo_exists(target):
        status = local_repair(target, <size_t>-1, &worker.error_number)
        if status == ZC_ABSENT:
            status = ZC_OK
        if status != ZC_OK:
            object_unlock(lock)
    return status


cdef zc_status _remove(zc_copy_job *job, zc_worker *worker, const char *target, size_t nbytes) noexcept nogil:
    cdef zc_object_lock lock
    cdef zc_status status
    if job.is_new:
        return ZC_OK
    status = _lock_target(job, &lock, worker, target, nbytes)
    if status != ZC_OK:
        return status
    status = object_remove(job.target, worker, target, nbytes)
    object_unlock(&lock)
    return status


cdef zc_status _check_size(const zc_copy_job *job, uint64_t nbytes, zc_worker *worker) noexcept nogil:
    """Refuse what cannot be an encoding of its chunk, by the size alone."""
    if job.exact:
        return ZC_OK if nbytes == job.limit else ZC_ELENGTH
    if nbytes > job.limit:
        worker.detail = b"the object is larger than any encoding of its chunk"
        return ZC_ETOOLARGE
    if nbytes < job.least:
        worker.detail = b"the object is shorter than its index"
        return ZC_ETRUNCATED
    if nbytes == 0 and job.chain is not NULL and job.chain.n_steps > 0:
        worker.detail = b"the object is empty"      # what a power cut can leave
        return ZC_ETRUNCATED
    return ZC_OK


cdef zc_status check_object(zc_copy_job *job, const uint8_t *data, size_t nbytes, size_t item, zc_worker *worker,
                             int *step) noexcept nogil:
    """Refuse what cannot be an encoding of its chunk."""
    cdef const uint8_t *where = NULL
    cdef zc_status status = _check_size(job, nbytes, worker)
    if status != ZC_OK or not job.verify:
        return status
    if job.chain is not NULL:
        return chain_decode(job.chain, worker, data, nbytes, NULL, &where, step)
    with gil:
        try:
            (<ChunkLayout>job.python_layout).decode_chunk(data, nbytes)
        except BaseException as error:
            keep_exception(&job.failure, 2 * item + AT_SOURCE, error)
            return ZC_EPYTHON
    return ZC_OK


cdef zc_status _copy_file(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target, size_t target_nbytes,
                          zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_status status = _check_size(job, nbytes, worker)
    if status != ZC_OK:
        return status
    if job.target.place == PLACE_MEMORY:
        return _file_to_table(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    if job.verify:
        return _file_verified(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    return _file_to_file(job, fd, nbytes, target, target_nbytes, worker, side)


cdef zc_status _file_to_file(zc_copy_job *job, int fd, uint64_t nbytes, const char *target, size_t target_nbytes,
                             zc_worker *worker, int *side) noexcept nogil:
    cdef uint8_t *buffer = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, BUFFER_NBYTES)
    cdef zc_object_lock lock
    cdef zc_status status
    if buffer is NULL:
        return ZC_ENOMEM
    side[0] = AT_TARGET
    status = _lock_target(job, &lock, worker, target, target_nbytes)
    if status != ZC_OK:
        return status
    side[0] = AT_SOURCE
    status = local_copy(fd, nbytes, target, object_root(job.target), buffer, BUFFER_NBYTES, &worker.error_number)
    object_unlock(&lock)
    if status != ZC_ETRUNCATED:
        side[0] = AT_TARGET
    return status


cdef zc_status _file_verified(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target,
                              size_t target_nbytes, zc_worker *worker, int *step, int *side) noexcept nogil:
    """What was decoded is what is passed on: the file could change."""
    cdef uint8_t *data = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, nbytes)
    cdef zc_status status = ZC_ENOMEM if data is NULL else local_pread(fd, 0, data, nbytes, &worker.error_number)
    if status == ZC_OK:
        status = check_object(job, data, nbytes, item, worker, step)
    if status == ZC_OK:
        status = _replace(job, data, nbytes, target, target_nbytes, worker, side)
    return status


cdef zc_status _file_to_table(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target,
                              size_t target_nbytes, zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_blob *blob = blob_new(nbytes)
    cdef zc_status status
    if blob is NULL:
        return ZC_ENOMEM
    status = local_pread(fd, 0, blob_data(blob), nbytes, &worker.error_number)
    if status == ZC_OK:
        status = check_object(job, blob_data(blob), nbytes, item, worker, step)
    if status != ZC_OK:
        blob_unref(blob)
        return status
    return _put(job, blob, target, target_nbytes, worker, side)


cdef zc_status _copy_blob(zc_copy_job *job, const zc_object *object, size_t item, const char *target, size_t target_nbytes,
                          zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_status status = check_object(job, object.data, object.nbytes, item, worker, step)
    cdef zc_blob *blob
    if status != ZC_OK:
        return status
    if job.target.place == PLACE_LOCAL:
        return _replace(job, object.data, object.nbytes, target, target_nbytes, worker, side)
    blob = blob_share(object.blob)
    return ZC_ENOMEM if blob is NULL else _put(job, blob, target, target_nbytes, worker, side)


cdef zc_status _replace(zc_copy_job *job, const uint8_t *data, size_t nbytes, const char *target, size_t target_nbytes,
                        zc_worker *worker, int *side) noexcept nogil:
    cdef zc_object_lock lock
    cdef zc_status status
    side[0] = AT_TARGET
    status = _lock_target(job, &lock, worker, target, target_nbytes)
    if status != ZC_OK:
        return status
    status = object_replace(job.target, worker, target, target_nbytes, data, nbytes)
    object_unlock(&lock)
    return status


cdef zc_status _put(zc_copy_job *job, zc_blob *blob, const char *target, size_t target_nbytes, zc_worker *worker,
                    int *side) noexcept nogil:
    """Make 'blob', whose reference is taken over, the target's object."""
    cdef zc_object_lock lock
    cdef zc_status status
    side[0] = AT_TARGET
    status = _lock_target(job, &lock, worker, target, target_nbytes)
    if status != ZC_OK:
        blob_unref(blob)
        return status
    status = table_put(job.target.table, target, target_nbytes, blob)
    object_unlock(&lock)
    return status
