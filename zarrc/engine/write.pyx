# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The write path: gather -> encode -> replace.

A part that covers its chunk never reads it. Any other part is a read-modify-write under the lock of its object. A chunk
that equals the fill value bit for bit, inside the array, is removed instead of stored unless the array says otherwise. Large
chunks of uncompressed local files are gathered while they are written (raw_write.pyx).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport keep_exception, keep_failure, poll_signals, raise_failure, zc_failure
from zarrc.engine.job cimport WRITE_GROUP_OBJECTS, detail_of, grain_of, threads_for, write_group_of
from zarrc.engine.layout cimport layout_is_copied, layout_matches, layout_span, layout_strides, zc_layout
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    given_bytes,
    object_cut,
    object_drop,
    object_fetch,
    object_lock,
    object_name,
    object_new,
    object_put,
    object_release,
    object_remove,
    object_replace,
    zc_object,
    zc_objects,
)
from zarrc.engine.raw cimport zc_raw_box
from zarrc.engine.raw_write cimport raw_cut, raw_write, zc_raw_pieces
from zarrc.indexing.plan cimport plan_part, zc_part
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.bitround cimport bitround_inplace
from zarrc.kernels.chain cimport (
    chain_decode,
    chain_encode,
    chain_encode_own,
    chain_keeps_place,
    chain_own_nbytes,
    zc_chain,
)
from zarrc.kernels.locks cimport lock_release, zc_lock
from zarrc.kernels.memory cimport LARGE_NBYTES
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EINVAL, ZC_ENOMEM, ZC_EPYTHON, ZC_OK, check, zc_status
from zarrc.kernels.strided cimport strided_copy, strided_copy_streamed, strided_equals, strided_fill, swap_bytes
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport ZC_SCRATCH_CHUNK, lease_worker, return_worker, zc_worker, zc_worker_scratch

cdef extern from "zc_atomic.h":
    void zc_raise_flag(int *flag) noexcept nogil
    bint zc_flag_is_raised(const int *flag) noexcept nogil

cdef enum:
    # Chunks from here on do not stay in a core's own caches until they are looked at.
    STREAMED_NBYTES = 1 << 20

# Shared by the threads of one write; all but 'failure', 'blobs_are_wide' and '*encoded' is constant while it runs.
ctypedef struct zc_write_job:
    const zc_plan *plan
    const zc_layout *layout
    const zc_chain *chain       # NULL where a codec runs in Python
    const zc_objects *objects
    void *python_layout         # the ChunkLayout, borrowed
    uint8_t *value
    Py_ssize_t buffer_strides[MAX_NDIM]
    Py_ssize_t user_strides[MAX_NDIM]
    bint write_empty_chunks
    bint in_place               # an object of a memory store is made where it stays
    bint streamed               # and is not looked at again
    bint in_blobs               # large encoded chunks are made where a memory store keeps them
    int blobs_are_wide          # but not where that would be more room than a chunk takes
    bint in_pieces              # a whole chunk goes to its uncompressed local file in these
    zc_raw_pieces pieces
    size_t first_part           # the part of item 0
    PyObject **encoded          # item -> bytes for a store in Python; NULL in it: remove the object
    zc_failure failure

# What became of a chunk on its way to its object.
ctypedef struct zc_encoded:
    bint is_empty               # nothing to store
    zc_blob *blob               # that has 'data', where they were made in place (owned), else NULL
    const uint8_t *data
    size_t nbytes
    PyObject *owner             # of 'data' where Python encoded it (owned), else NULL


cdef int write_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *value, int n_threads,
                    bint write_empty_chunks) except -1:
    cdef zc_write_job job
    memset(&job, 0, sizeof(job))
    job.plan = plan
    job.layout = &layout.c
    job.chain = NULL if layout.chain is None else &layout.chain.c
    job.objects = &objects.c
    job.python_layout = <void *>layout
    job.value = value
    job.write_empty_chunks = write_empty_chunks
    job.in_place = objects.c.place == PLACE_MEMORY and job.chain is not NULL and chain_keeps_place(job.chain)
    job.streamed = (job.in_place and layout.chain.c.n_steps == 0 and layout.c.n_bitrounds == 0
                    and layout.c.late_swap_unit == 0 and layout.c.nbytes >= STREAMED_NBYTES)
    job.in_blobs = (objects.c.place == PLACE_MEMORY and job.chain is not NULL and not job.in_place
                    and job.chain.buffer_nbytes >= LARGE_NBYTES)
    layout_strides(&layout.c, plan, job.buffer_strides, job.user_strides)
    job.in_pieces = (objects.c.place == PLACE_LOCAL and job.chain is not NULL and job.chain.n_steps == 0
                     and layout.c.n_bitrounds == 0 and layout.c.late_swap_unit == 0 and _cut(&job))
    if objects.c.place == PLACE_PYTHON:
        _write_to_python(&job, objects, n_threads)
    else:
        _run(&job, plan.n_parts, n_threads)
    raise_failure(&job.failure, plan, objects, layout.chain)
    return 0


cdef bint _cut(zc_write_job *job) noexcept nogil:
    """Whether a whole chunk is better written in pieces, which are noted."""
    cdef zc_raw_box box
    box.ndim = job.layout.ndim
    box.count = job.layout.shape
    box.file_strides = job.layout.strides
    box.strides = job.user_strides
    box.itemsize = job.layout.itemsize
    box.swap_unit = job.layout.write_swap_unit
    return raw_cut(&job.pieces, &box)


cdef int _run(zc_write_job *job, size_t n_items, int n_threads) except -1:
    cdef size_t nbytes = job.layout.nbytes
    cdef bint copied = (job.in_place and job.chain.n_steps == 0
                        and layout_is_copied(job.layout, job.plan, job.layout.write_swap_unit))
    cdef zc_status status
    with nogil:
        status = pool_run(_write_items, _poll, job, n_items, grain_of(nbytes),
                          threads_for(n_items, nbytes, copied, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_write_job *>context).failure)


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
            keep_failure(&job.failure, status, part_index, step, worker)
            return 1
    return 0


cdef zc_status _write_part(zc_write_job *job, size_t part_index, zc_worker *worker, int *step) noexcept nogil:
    """Local and memory stores."""
    cdef zc_part part
    cdef zc_lock lock
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes
    cdef zc_encoded encoded
    cdef zc_status status
    plan_part(job.plan, part_index, &part)
    name_nbytes = object_name(job.objects, part.chunk, job.plan.ndim, name)
    if name_nbytes == 0:
        return ZC_EINVAL
    if job.in_pieces and _is_full(job.layout, &part):
        return _write_in_pieces(job, &part, name, name_nbytes, worker)
    memset(&encoded, 0, sizeof(encoded))
    if part.covers:
        # Encoded before the lock is taken: only the replacing must not come between another's read and write.
        status = _encode_covering(job, &part, part_index, worker, &encoded, step)
        object_lock(job.objects, &lock, name, name_nbytes)
    else:
        object_lock(job.objects, &lock, name, name_nbytes)
        status = _modify(job, &part, part_index, name, name_nbytes, worker, &encoded, step)
    if status == ZC_OK:
        if encoded.is_empty:
            status = object_remove(job.objects, worker, name, name_nbytes)
        elif encoded.blob is not NULL:
            status = object_put(job.objects, name, name_nbytes, encoded.blob)
            encoded.blob = NULL
        else:
            status = object_replace(job.objects, worker, name, name_nbytes, encoded.data, encoded.nbytes)
    lock_release(&lock)
    if encoded.blob is not NULL:
        object_drop(encoded.blob)
    if encoded.owner is not NULL:
        with gil:
            Py_XDECREF(encoded.owner)
    return status


cdef zc_status _write_in_pieces(const zc_write_job *job, const zc_part *part, const char *name, size_t name_nbytes,
                                zc_worker *worker) noexcept nogil:
    """A whole chunk, gathered while it is written: under its lock, as the bare writing is."""
    cdef const uint8_t *value = job.value + part.result_offset
    cdef bint is_empty = _is_empty(job, part, value, job.user_strides, job.layout.user_fill)
    cdef zc_lock lock
    cdef zc_status status
    object_lock(job.objects, &lock, name, name_nbytes)
    if is_empty:
        status = object_remove(job.objects, worker, name, name_nbytes)
    else:
        status = raw_write(&job.pieces, job.objects, worker, name, value)
    lock_release(&lock)
    return status


cdef zc_status _encode_covering(zc_write_job *job, const zc_part *part, size_t part_index, zc_worker *worker,
                                zc_encoded *encoded, int *step) noexcept nogil:
    """A whole chunk out of the value alone."""
    cdef const zc_layout *layout = job.layout
    cdef const uint8_t *value = job.value + part.result_offset
    cdef uint8_t *buffer
    if (layout_matches(layout, job.plan, part) and layout.write_swap_unit == 0 and layout.n_bitrounds == 0
            and job.chain is not NULL and not job.in_place):
        # The value's own memory is the chunk.
        encoded.is_empty = _is_empty(job, part, value, layout.strides, layout.user_fill)
        return ZC_OK if encoded.is_empty else _encode(job, worker, value, NULL, encoded, step)
    buffer = _new_buffer(job, worker, encoded)
    if buffer is NULL:
        return ZC_ENOMEM
    if not _is_full(layout, part):
        _fill_buffer(layout, buffer)
    _gather(job, part, buffer)
    encoded.is_empty = _is_empty(job, part, buffer, layout.strides, layout.buffer_fill)
    return ZC_OK if encoded.is_empty else _encode_buffer(job, buffer, part_index, worker, encoded, step)


cdef zc_status _modify(zc_write_job *job, const zc_part *part, size_t part_index, const char *name, size_t name_nbytes,
                       zc_worker *worker, zc_encoded *encoded, int *step) noexcept nogil:
    """The stored chunk, or one of fill, with the part changed."""
    cdef zc_object object
    cdef zc_status status = object_fetch(job.objects, worker, name, name_nbytes, job.layout.object_limit, &object)
    if status == ZC_ABSENT:
        return _change(job, part, part_index, NULL, 0, worker, encoded, step)
    if status == ZC_OK:
        status = _change(job, part, part_index, &object, object.nbytes, worker, encoded, step)
        object_release(&object)
    return status


cdef zc_status _change(zc_write_job *job, const zc_part *part, size_t part_index, const zc_object *old, size_t old_nbytes,
                       zc_worker *worker, zc_encoded *encoded, int *step) noexcept nogil:
    """'old' (NULL: a chunk that is not stored) with the part changed, encoded anew."""
    cdef const zc_layout *layout = job.layout
    cdef uint8_t *buffer = _new_buffer(job, worker, encoded)
    cdef zc_part whole = part[0]
    cdef zc_status status
    cdef int d
    if buffer is NULL:
        return ZC_ENOMEM
    if old is NULL:
        _fill_buffer(layout, buffer)
    else:
        status = _decode_to_buffer(job, old.data, old_nbytes, part_index, buffer, worker, step)
        if status != ZC_OK:
            return status
    _gather(job, part, buffer)
    for d in range(layout.ndim):
        whole.start[d] = 0
        whole.count[d] = <size_t>min(job.plan.axis[d].chunk_extent,
                                     job.plan.axis[d].extent - part.chunk[d] * job.plan.axis[d].chunk_extent)
    encoded.is_empty = _is_empty(job, &whole, buffer, layout.strides, layout.buffer_fill)
    return ZC_OK if encoded.is_empty else _encode_buffer(job, buffer, part_index, worker, encoded, step)


cdef zc_status _decode_to_buffer(zc_write_job *job, const uint8_t *src, size_t src_nbytes, size_t part_index,
                                 uint8_t *buffer, zc_worker *worker, int *step) noexcept nogil:
    cdef const uint8_t *where = NULL
    cdef zc_status status
    if job.chain is NULL:
        return _decode_in_python(job, src, src_nbytes, part_index, buffer)
    status = chain_decode(job.chain, worker, src, src_nbytes, buffer, &where, step)
    if status == ZC_OK:
        swap_bytes(buffer, job.layout.nbytes, job.layout.late_swap_unit)
    return status


cdef uint8_t *_new_buffer(const zc_write_job *job, zc_worker *worker, zc_encoded *encoded) noexcept nogil:
    """Where a chunk is put together, with room for its checksum; NULL when memory is short."""
    if job.in_place:
        return object_new(job.chain.encoded_nbytes, &encoded.blob)
    return zc_worker_scratch(worker, ZC_SCRATCH_CHUNK,
                             job.layout.nbytes if job.chain is NULL else chain_own_nbytes(job.chain))


cdef bint _is_full(const zc_layout *layout, const zc_part *part) noexcept nogil:
    """Whether the part has every element of the stored chunk, those past the array's edge included."""
    cdef int d
    for d in range(layout.ndim):
        if part.count[d] != layout.shape[d]:
            return False
    return True


cdef void _fill_buffer(const zc_layout *layout, uint8_t *buffer) noexcept nogil:
    strided_fill(buffer, layout.strides, layout.shape, layout.ndim, layout.itemsize, layout.buffer_fill)


cdef void _gather(const zc_write_job *job, const zc_part *part, uint8_t *buffer) noexcept nogil:
    cdef size_t first, end
    cdef const uint8_t *value = job.value + part.result_offset
    cdef size_t itemsize = job.layout.itemsize
    cdef size_t swap_unit = job.layout.write_swap_unit
    layout_span(job.layout, job.plan, part, &first, &end)
    if job.streamed:
        strided_copy_streamed(buffer + first, job.buffer_strides, value, job.user_strides, part.count, job.plan.ndim, itemsize,
                              swap_unit)
    else:
        strided_copy(buffer + first, job.buffer_strides, value, job.user_strides, part.count, job.plan.ndim, itemsize,
                     swap_unit)


cdef bint _is_empty(const zc_write_job *job, const zc_part *inside, const uint8_t *data, const Py_ssize_t *strides,
                    const uint8_t *fill) noexcept nogil:
    """Whether the chunk's part inside the array equals the fill value bit for bit."""
    if job.write_empty_chunks or not job.layout.has_fill:
        return False
    return strided_equals(data, strides, inside.count, job.layout.ndim, job.layout.itemsize, fill)


cdef zc_status _encode_buffer(zc_write_job *job, uint8_t *buffer, size_t part_index, zc_worker *worker, zc_encoded *encoded,
                              int *step) noexcept nogil:
    """Round and swap our own buffer in place, then encode it."""
    cdef const zc_layout *layout = job.layout
    cdef int i
    for i in range(layout.n_bitrounds):
        bitround_inplace(&layout.bitround[i], buffer, layout.nbytes // layout.itemsize)
    swap_bytes(buffer, layout.nbytes, layout.late_swap_unit)
    if job.chain is not NULL:
        return _encode(job, worker, buffer, buffer, encoded, step)
    return _encode_in_python(job, buffer, part_index, encoded)


cdef zc_status _encode(zc_write_job *job, zc_worker *worker, const uint8_t *src, uint8_t *own, zc_encoded *encoded,
                       int *step) noexcept nogil:
    """Run the chain; 'own' is 'src' if that may be changed, else NULL."""
    cdef uint8_t *dst = NULL
    cdef zc_blob *blob
    cdef zc_status status
    if job.in_blobs and not zc_flag_is_raised(&job.blobs_are_wide):
        dst = object_new(job.chain.buffer_nbytes, &encoded.blob)
        if dst is NULL:
            return ZC_ENOMEM
    if own is not NULL:
        status = chain_encode_own(job.chain, worker, own, dst, &encoded.data, &encoded.nbytes, step)
    else:
        status = chain_encode(job.chain, worker, src, dst, &encoded.data, &encoded.nbytes, step)
    if status == ZC_OK and dst is not NULL:
        blob = encoded.blob
        encoded.blob = object_cut(blob, encoded.nbytes)
        if encoded.blob is not blob:
            zc_raise_flag(&job.blobs_are_wide)
    return status


cdef zc_status _encode_in_python(zc_write_job *job, const uint8_t *buffer, size_t part_index,
                                 zc_encoded *encoded) noexcept nogil:
    with gil:
        try:
            data = (<ChunkLayout>job.python_layout).encode_chunk(buffer)
        except BaseException as error:
            keep_exception(&job.failure, part_index, error)
            return ZC_EPYTHON
        Py_INCREF(data)
        encoded.owner = <PyObject *>data
        encoded.data = <const uint8_t *>PyBytes_AS_STRING(data)
        encoded.nbytes = PyBytes_GET_SIZE(data)
    return ZC_OK


cdef zc_status _decode_in_python(zc_write_job *job, const uint8_t *src, size_t src_nbytes, size_t part_index,
                                 uint8_t *buffer) noexcept nogil:
    with gil:
        try:
            _decode_with(<ChunkLayout>job.python_layout, src, src_nbytes, buffer)
        except BaseException as error:
            keep_exception(&job.failure, part_index, error)
            return ZC_EPYTHON
    return ZC_OK


cdef int _decode_with(ChunkLayout layout, const uint8_t *src, size_t src_nbytes, uint8_t *buffer) except -1:
    cdef const uint8_t[::1] view = layout.decode_chunk(src, src_nbytes)
    memcpy(buffer, &view[0], view.shape[0])
    return 0


cdef int _write_to_python(zc_write_job *job, Objects objects, int n_threads) except -1:
    """Encode a group of chunks on all threads, then hand it to the store; changed chunks go one by one."""
    cdef PyObject *encoded[WRITE_GROUP_OBJECTS]
    cdef size_t most = write_group_of(job.layout.nbytes, n_threads)
    cdef size_t first = 0
    cdef size_t n, i
    while first < job.plan.n_parts and job.failure.status == ZC_OK:
        n = _covering_from(job.plan, first, most)
        if n == 0:
            _modify_in_python(job, objects, first)
            first += 1
            continue
        memset(encoded, 0, sizeof(encoded))
        job.first_part = first
        job.encoded = encoded
        try:
            _run(job, n, n_threads)
            if job.failure.status == ZC_OK:
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


cdef zc_status _encode_for_python(zc_write_job *job, size_t item, size_t part_index, zc_worker *worker,
                                  int *step) noexcept nogil:
    cdef zc_part part
    cdef zc_encoded encoded
    cdef zc_status status
    plan_part(job.plan, part_index, &part)
    memset(&encoded, 0, sizeof(encoded))
    status = _encode_covering(job, &part, part_index, worker, &encoded, step)
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
            keep_exception(&job.failure, part_index, error)
            return NULL
        Py_INCREF(data)
        return <PyObject *>data


cdef int _hand_over(zc_write_job *job, Objects objects, size_t first, size_t n, PyObject **encoded) except -1:
    stored, empty = [], []
    cdef size_t i
    for i in range(n):
        key = objects.key_of_part(job.plan, first + i)
        if encoded[i] is NULL:
            empty.append(key)
        else:
            stored.append((key, <object>encoded[i]))
    with objects.locked([key for key, _ in stored] + empty):
        objects.store.set_many(stored)
        objects.store.delete_many(empty)
    return 0


cdef int _modify_in_python(zc_write_job *job, Objects objects, size_t part_index) except -1:
    """Read, change and write one object of a store in Python, under its lock."""
    cdef PyObject *encoded = NULL
    key = objects.key_of_part(job.plan, part_index)
    with objects.locked([key]):
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
    cdef zc_object old
    cdef zc_encoded encoded
    cdef const uint8_t[::1] view
    cdef int step = -1
    cdef bint is_stored = blob is not None
    cdef zc_status status
    cdef zc_worker *worker
    memset(&old, 0, sizeof(old))
    memset(&encoded, 0, sizeof(encoded))
    if is_stored:
        view = blob
        old.data, old.nbytes = &view[0] if view.shape[0] else NULL, view.shape[0]
    plan_part(job.plan, part_index, &part)
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the write")
    with nogil:
        status = _change(job, &part, part_index, &old if is_stored else NULL, old.nbytes, worker, &encoded, &step)
        if status == ZC_OK and not encoded.is_empty:
            encoded_ret[0] = _as_bytes(job, part_index, &encoded)
            status = ZC_EPYTHON if encoded_ret[0] is NULL else ZC_OK
        if status != ZC_OK:
            keep_failure(&job.failure, status, part_index, step, worker)
        return_worker(worker)
    return status != ZC_OK
