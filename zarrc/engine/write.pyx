# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The write path: gather -> encode -> replace.

A part that covers its chunk never reads it. Any other part is a read-modify-write under the lock of its object. A chunk
that equals the fill value bit for bit, inside the array, is removed instead of stored unless the array says otherwise. Large
chunks of uncompressed local files are gathered while they are written (raw_write.pyx).
"""

from contextlib import nullcontext

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.string cimport memset

from zarrc.engine.failure cimport keep_exception, keep_failure, poll_signals, raise_failure
from zarrc.engine.job cimport WRITE_GROUP_OBJECTS, detail_of, grain_of, threads_for, write_group_of
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    given_bytes,
    object_fetch,
    object_lock,
    object_name,
    object_put,
    object_release,
    object_remove,
    object_replace,
    object_unlock,
    zc_object,
    zc_object_lock,
    zc_objects,
)
from zarrc.engine.raw cimport zc_raw_box
from zarrc.engine.raw_write cimport raw_cut, raw_write, zc_raw_pieces
from zarrc.engine.write_part cimport (
    encoded_drop,
    gather_change,
    gather_covering,
    gather_init,
    gather_is_copied,
    gather_is_empty,
    gather_is_full,
    gather_to_blobs,
    zc_encoded,
    zc_gather,
)
from zarrc.indexing.plan cimport PLAN_BOXES, plan_part, zc_part
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EINVAL, ZC_EPYTHON, ZC_OK, check, zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker

# Shared by the threads of one write.
ctypedef struct zc_write_job:
    zc_gather gather
    const zc_objects *objects
    bint is_locked              # by the caller
    bint in_pieces              # a whole chunk goes to its uncompressed local file in these
    zc_raw_pieces pieces
    size_t first_part           # the part of item 0
    PyObject **encoded          # item -> bytes for a store in Python; NULL in it: remove the object


cdef int write_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *value, int n_threads,
                    bint write_empty_chunks, bint is_locked) except -1:
    cdef zc_write_job job
    memset(&job, 0, sizeof(job))
    gather_init(&job.gather, plan, layout, value, write_empty_chunks)
    job.objects = &objects.c
    job.is_locked = is_locked
    if objects.c.place == PLACE_MEMORY:
        gather_to_blobs(&job.gather)
    job.in_pieces = (plan.kind == PLAN_BOXES and objects.c.place == PLACE_LOCAL
                     and layout.chain is not None and layout.chain.c.n_steps == 0 and layout.c.n_bitrounds == 0
                     and layout.c.late_swap_unit == 0 and _cut(&job))
    if objects.c.place == PLACE_PYTHON:
        _write_to_python(&job, objects, n_threads)
    else:
        _run(&job, plan.n_parts, n_threads)
    raise_failure(&job.gather.failure, plan, objects, layout.chain)
    return 0


cdef bint _cut(zc_write_job *job) noexcept nogil:
    """Whether a whole chunk is better written in pieces, which are noted."""
    cdef zc_raw_box box
    box.ndim = job.gather.layout.ndim
    box.count = job.gather.layout.shape
    box.file_strides = job.gather.layout.strides
    box.strides = job.gather.user_strides
    box.itemsize = job.gather.layout.itemsize
    box.swap_unit = job.gather.layout.write_swap_unit
    return raw_cut(&job.pieces, &box)


cdef int _run(zc_write_job *job, size_t n_items, int n_threads) except -1:
    cdef size_t nbytes = job.gather.layout.nbytes
    cdef bint copied = job.gather.in_place and gather_is_copied(&job.gather)
    cdef zc_status status
    with nogil:
        status = pool_run(_write_items, _poll, job, n_items, grain_of(nbytes),
                          threads_for(n_items, nbytes, copied, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_write_job *>context).gather.failure)


cdef int _write_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_write_job *job = <zc_write_job *>context
    cdef size_t item, part_index
    cdef int step
    cdef zc_status status
    for item in range(first, first + count):
        part_index = job.first_part + item
        step = -1
        worker.detail = NULL
        if job.encoded is NULL:
            status = _write_part(job, part_index, worker, &step)
        else:
            status = _encode_for_python(job, item, part_index, worker, &step)
        if status != ZC_OK:
            keep_failure(&job.gather.failure, status, part_index, step, worker)
            return 1
    return 0


cdef zc_status _write_part(zc_write_job *job, size_t part_index, zc_worker *worker, int *step) noexcept nogil:
    """Local and memory stores."""
    cdef zc_part part
    cdef zc_object_lock lock
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes
    cdef zc_encoded encoded
    cdef zc_status status
    plan_part(job.gather.plan, part_index, &part)
    if part.is_empty:
        return ZC_OK
    name_nbytes = object_name(job.objects, part.chunk, job.gather.plan.ndim, name)
    if name_nbytes == 0:
        return ZC_EINVAL
    if job.in_pieces and gather_is_full(job.gather.layout, &part):
        return _write_in_pieces(job, &part, name, name_nbytes, worker)
    memset(&encoded, 0, sizeof(encoded))
    if part.covers:
        # Encoded before the lock is taken: only the replacing must not come between another's read and write.
        status = gather_covering(&job.gather, &part, part_index, worker, &encoded, step)
        if status == ZC_OK:
            status = _lock(job, &lock, worker, name, name_nbytes)
    else:
        status = _lock(job, &lock, worker, name, name_nbytes)
    if status == ZC_OK:
        if not part.covers:
            status = _modify(job, &part, part_index, name, name_nbytes, worker, &encoded, step)
        if status == ZC_OK:
            status = _store(job, &encoded, name, name_nbytes, worker)
        _unlock(job, &lock)
    encoded_drop(&encoded)
    return status


cdef inline zc_status _lock(const zc_write_job *job, zc_object_lock *lock, zc_worker *worker, const char *name,
                            size_t name_nbytes) noexcept nogil:
    return ZC_OK if job.is_locked else object_lock(job.objects, lock, worker, name, name_nbytes)


cdef inline void _unlock(const zc_write_job *job, zc_object_lock *lock) noexcept nogil:
    if not job.is_locked:
        object_unlock(lock)


cdef zc_status _store(const zc_write_job *job, zc_encoded *encoded, const char *name, size_t name_nbytes,
                      zc_worker *worker) noexcept nogil:
    """Under the object's lock."""
    cdef zc_blob *blob = encoded.blob
    if encoded.is_empty:
        return object_remove(job.objects, worker, name, name_nbytes)
    if blob is not NULL:
        encoded.blob = NULL
        return object_put(job.objects, name, name_nbytes, blob)
    return object_replace(job.objects, worker, name, name_nbytes, encoded.data, encoded.nbytes)


cdef zc_status _write_in_pieces(const zc_write_job *job, const zc_part *part, const char *name, size_t name_nbytes,
                                zc_worker *worker) noexcept nogil:
    """A whole chunk, gathered while it is written: under its lock, as the bare writing is."""
    cdef const uint8_t *value = job.gather.value + part.result_offset
    cdef bint is_empty = gather_is_empty(&job.gather, part, value, job.gather.user_strides, job.gather.layout.user_fill)
    cdef zc_object_lock lock
    cdef zc_status status = _lock(job, &lock, worker, name, name_nbytes)
    if status != ZC_OK:
        return status
    if is_empty:
        status = object_remove(job.objects, worker, name, name_nbytes)
    else:
        status = raw_write(&job.pieces, job.objects, worker, name, value)
    _unlock(job, &lock)
    return status


cdef zc_status _modify(zc_write_job *job, const zc_part *part, size_t part_index, const char *name, size_t name_nbytes,
                       zc_worker *worker, zc_encoded *encoded, int *step) noexcept nogil:
    """The stored chunk, or one of fill, with the part changed."""
    cdef zc_object object
    cdef zc_status status = object_fetch(job.objects, worker, name, name_nbytes, job.gather.layout.object_limit, &object)
    if status == ZC_ABSENT:
        return gather_change(&job.gather, part, part_index, NULL, 0, worker, encoded, step)
    if status == ZC_OK:
        status = gather_change(&job.gather, part, part_index, object.data, object.nbytes, worker, encoded, step)
        object_release(&object)
    return status


cdef int _write_to_python(zc_write_job *job, Objects objects, int n_threads) except -1:
    """Encode a group of chunks on all threads, then hand it to the store; changed chunks go one by one."""
    cdef PyObject *encoded[WRITE_GROUP_OBJECTS]
    cdef size_t most = write_group_of(job.gather.layout.nbytes, n_threads)
    cdef size_t first = 0
    cdef size_t n, i
    while first < job.gather.plan.n_parts and job.gather.failure.status == ZC_OK:
        n = _covering_from(job.gather.plan, first, most)
        if n == 0:
            if not _is_empty_part(job.gather.plan, first):
                _modify_in_python(job, objects, first)
            first += 1
            continue
        memset(encoded, 0, sizeof(encoded))
        job.first_part = first
        job.encoded = encoded
        try:
            _run(job, n, n_threads)
            if job.gather.failure.status == ZC_OK:
                _hand_over(job, objects, first, n, encoded)
        finally:
            for i in range(n):
                Py_XDECREF(encoded[i])
        first += n
    return 0


cdef size_t _covering_from(const zc_plan *plan, size_t first, size_t most) noexcept nogil:
    """How many parts from the 'first' on cover their chunks, up to 'most'."""
    cdef zc_part part
    cdef size_t n = 0
    while n < most and first + n < plan.n_parts:
        plan_part(plan, first + n, &part)
        if not part.covers:
            break
        n += 1
    return n


cdef bint _is_empty_part(const zc_plan *plan, size_t index) noexcept nogil:
    cdef zc_part part
    plan_part(plan, index, &part)
    return part.is_empty


cdef zc_status _encode_for_python(zc_write_job *job, size_t item, size_t part_index, zc_worker *worker,
                                  int *step) noexcept nogil:
    cdef zc_part part
    cdef zc_encoded encoded
    cdef zc_status status
    plan_part(job.gather.plan, part_index, &part)
    memset(&encoded, 0, sizeof(encoded))
    status = gather_covering(&job.gather, &part, part_index, worker, &encoded, step)
    if status == ZC_OK and not encoded.is_empty:
        job.encoded[item] = _as_bytes(job, part_index, &encoded)
        if job.encoded[item] is NULL:
            return ZC_EPYTHON
    return status


cdef PyObject *_as_bytes(zc_write_job *job, size_t part_index, zc_encoded *encoded) noexcept nogil:
    """The encoded bytes as an owned bytes object; NULL when memory is short."""
    if encoded.owner is not NULL:
        return encoded.owner
    with gil:
        try:
            data = PyBytes_FromStringAndSize(<const char *>encoded.data, encoded.nbytes)
        except BaseException as error:
            keep_exception(&job.gather.failure, part_index, error)
            return NULL
        Py_INCREF(data)
        return <PyObject *>data


cdef int _hand_over(zc_write_job *job, Objects objects, size_t first, size_t n, PyObject **encoded) except -1:
    stored, empty = [], []
    cdef size_t i
    for i in range(n):
        key = objects.key_of_part(job.gather.plan, first + i)
        if encoded[i] is NULL:
            empty.append(key)
        else:
            stored.append((key, <object>encoded[i]))
    with nullcontext() if job.is_locked else objects.locked([key for key, _ in stored] + empty):
        objects.store.set_many(stored)
        objects.store.delete_many(empty)
    return 0


cdef int _modify_in_python(zc_write_job *job, Objects objects, size_t part_index) except -1:
    """Read, change and write one object of a store in Python, under its lock."""
    cdef PyObject *encoded = NULL
    key = objects.key_of_part(job.gather.plan, part_index)
    with nullcontext() if job.is_locked else objects.locked([key]):
        if _change_in_python(job, part_index, given_bytes(objects.store.get(key), key), &encoded):
            return 0
        if encoded is NULL:
            objects.store.delete(key)
            return 0
        try:
            objects.store.set(key, <object>encoded)
        finally:
            Py_XDECREF(encoded)
    return 0


cdef bint _change_in_python(zc_write_job *job, size_t part_index, blob, PyObject **encoded_ret) except -1:
    """Change the old bytes 'blob' (None: not stored); whether that failed. NULL in '*encoded_ret': nothing to store."""
    cdef zc_part part
    cdef const uint8_t *old = NULL
    cdef size_t old_nbytes = 0
    cdef zc_encoded encoded
    cdef const uint8_t[::1] view
    cdef int step = -1
    cdef zc_status status
    cdef zc_worker *worker
    memset(&encoded, 0, sizeof(encoded))
    if blob is not None:
        view = blob
        # An empty object is an object: its data is not NULL.
        old, old_nbytes = &view[0] if view.shape[0] else <const uint8_t *>b"", view.shape[0]
    plan_part(job.gather.plan, part_index, &part)
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the write")
    with nogil:
        status = gather_change(&job.gather, &part, part_index, old, old_nbytes, worker, &encoded, &step)
        if status == ZC_OK and not encoded.is_empty:
            encoded_ret[0] = _as_bytes(job, part_index, &encoded)
            status = ZC_EPYTHON if encoded_ret[0] is NULL else ZC_OK
        if status != ZC_OK:
            keep_failure(&job.gather.failure, status, part_index, step, worker)
        return_worker(worker)
    return status != ZC_OK
