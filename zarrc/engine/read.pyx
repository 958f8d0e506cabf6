# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path: plan -> fetch -> decode -> scatter.

One task reads one part; it runs on the caller's thread and on the pool's. Local and memory stores are read by compiled
code. From any other store the caller's thread takes the objects as they come and hands them out in groups.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memset

from zarrc.errors import StoreError

from zarrc.engine.failure cimport keep_exception, keep_failure, poll_signals, raise_failure, zc_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for
from zarrc.engine.layout cimport layout_is_copied, layout_matches, layout_span, layout_strides, zc_layout
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    no_bytes,
    object_close,
    object_fetch,
    object_name,
    object_open,
    object_release,
    objects_fetch,
    zc_object,
    zc_objects,
)
from zarrc.engine.raw cimport raw_read, zc_raw_box
from zarrc.indexing.plan cimport plan_part, zc_part
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport chain_decode, chain_decode_range, zc_chain
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EINVAL, ZC_EPYTHON, ZC_OK, check, zc_status
from zarrc.kernels.strided cimport strided_copy, strided_copy_streamed, strided_fill, swap_bytes
from zarrc.kernels.table cimport ZC_TABLE_BATCH, zc_table_key
from zarrc.kernels.worker cimport zc_worker

cdef extern from "zc_atomic.h":
    void zc_raise_flag(int *flag) noexcept nogil

cdef enum:
    # Objects of a store in Python that are decoded together: few enough to hold in memory, but one for each thread.
    GROUP_OBJECTS = 64
    GROUP_NBYTES = 8 << 20
    # Requests that one get_many is given.
    REQUESTS = 1024
    # The longest name of an object in a batch of names.
    BATCH_KEY_NBYTES = 256
    # Results from here on do not stay in the caches until they are looked at.
    STREAMED_NBYTES = 16 << 20

# An object's bytes that a store in Python gave; data NULL: there is no such object.
ctypedef struct zc_at_hand:
    const uint8_t *data
    size_t nbytes

# Shared by the threads of one read; all but 'failure' and 'missing' is constant while it runs.
ctypedef struct zc_read_job:
    const zc_plan *plan
    const zc_layout *layout
    const zc_chain *chain       # NULL where a codec runs in Python
    const zc_objects *objects
    void *python_layout         # the ChunkLayout, borrowed
    uint8_t *result
    Py_ssize_t buffer_strides[MAX_NDIM]
    Py_ssize_t user_strides[MAX_NDIM]
    bint streamed               # the result is larger than the caches
    bint in_batches             # a memory store with names short enough
    bint missing_is_error
    const size_t *part_of       # item -> part, for objects at hand; NULL: the item is the part
    const zc_at_hand *at_hand   # item -> the object's bytes
    int missing
    zc_failure failure


cdef int read_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *result, int n_threads,
                    bint missing_is_error) except -1:
    cdef zc_read_job job
    memset(&job, 0, sizeof(job))
    job.plan = plan
    job.layout = &layout.c
    job.chain = NULL if layout.chain is None else &layout.chain.c
    job.objects = &objects.c
    job.python_layout = <void *>layout
    job.result = result
    job.streamed = _selected_nbytes(plan, layout.c.itemsize) >= STREAMED_NBYTES
    job.in_batches = (objects.c.place == PLACE_MEMORY
                      and objects.c.prefix_nbytes + 22 * <size_t>(plan.ndim + 1) < BATCH_KEY_NBYTES)
    job.missing_is_error = missing_is_error
    layout_strides(&layout.c, plan, job.buffer_strides, job.user_strides)
    if objects.c.place == PLACE_PYTHON:
        _read_from_python(&job, objects, layout, n_threads)
    else:
        _run(&job, plan.n_parts, n_threads)
    raise_failure(&job.failure, plan, objects, layout.chain)
    return job.missing


cdef size_t _selected_nbytes(const zc_plan *plan, size_t itemsize) noexcept nogil:
    """Of the result, which is in memory: the product does not overflow."""
    cdef size_t nbytes = itemsize
    cdef int d
    for d in range(plan.ndim):
        nbytes *= <size_t>plan.axis[d].count
    return nbytes


cdef int _run(zc_read_job *job, size_t n_items, int n_threads) except -1:
    cdef size_t nbytes = job.layout.nbytes
    cdef bint copied = (job.objects.place == PLACE_MEMORY and job.chain is not NULL and job.chain.n_steps == 0
                        and layout_is_copied(job.layout, job.plan, job.layout.read_swap_unit))
    cdef zc_status status
    with nogil:
        status = pool_run(_read_items, _poll, job, n_items, grain_of(nbytes),
                          threads_for(n_items, nbytes, copied, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_read_job *>context).failure)


cdef int _read_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_read_job *job = <zc_read_job *>context
    cdef size_t n
    while count > 0:
        n = 1
        if count > 1 and job.in_batches:
            n = min(count, <size_t>ZC_TABLE_BATCH)
        if (_read_batch(job, first, n, worker) if n > 1 else _read_item(job, first, worker)) != ZC_OK:
            return 1
        first += n
        count -= n
    return 0


cdef zc_status _read_item(zc_read_job *job, size_t item, zc_worker *worker) noexcept nogil:
    cdef size_t part_index = item if job.part_of is NULL else job.part_of[item]
    cdef zc_part part
    cdef int step = -1
    cdef zc_status status
    worker.detail = NULL
    plan_part(job.plan, part_index, &part)
    if job.at_hand is NULL:
        status = _read_part(job, &part, part_index, worker, &step)
    elif job.at_hand[item].data is NULL:
        status = _fill_part(job, &part)
    else:
        status = _decode_part(job, &part, job.at_hand[item].data, job.at_hand[item].nbytes, part_index, worker, &step)
    if status != ZC_OK:
        keep_failure(&job.failure, status, part_index, step, worker)
    return status


cdef zc_status _read_part(zc_read_job *job, const zc_part *part, size_t part_index, zc_worker *worker,
                          int *step) noexcept nogil:
    """Local and memory stores."""
    cdef zc_object object
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes = object_name(job.objects, part.chunk, job.plan.ndim, name)
    cdef zc_status status
    if name_nbytes == 0:
        return ZC_EINVAL
    if job.objects.place == PLACE_LOCAL and job.chain is not NULL and job.chain.n_steps == 0:
        return _read_raw_part(job, part, name, worker)
    status = object_fetch(job.objects, worker, name, name_nbytes, job.layout.object_limit, &object)
    if status == ZC_ABSENT:
        return _fill_part(job, part)
    if status == ZC_OK:
        status = _decode_part(job, part, object.data, object.nbytes, part_index, worker, step)
        object_release(&object)
    return status


cdef zc_status _read_batch(zc_read_job *job, size_t first, size_t n, zc_worker *worker) noexcept nogil:
    """Parts of a memory store, whose objects are looked up together."""
    cdef zc_part part[ZC_TABLE_BATCH]
    cdef char names[ZC_TABLE_BATCH][BATCH_KEY_NBYTES]
    cdef zc_table_key keys[ZC_TABLE_BATCH]
    cdef zc_object object[ZC_TABLE_BATCH]
    cdef zc_status status = ZC_OK
    cdef int step = -1
    cdef size_t i
    for i in range(n):
        plan_part(job.plan, first + i, &part[i])
        keys[i].data = names[i]
        keys[i].nbytes = object_name(job.objects, part[i].chunk, job.plan.ndim, names[i])
    objects_fetch(job.objects, keys, n, object)
    worker.detail = NULL
    for i in range(n):
        if status == ZC_OK:
            if object[i].blob is NULL:
                status = _fill_part(job, &part[i])
            else:
                status = _decode_part(job, &part[i], object[i].data, object[i].nbytes, first + i, worker, &step)
            if status != ZC_OK:
                keep_failure(&job.failure, status, first + i, step, worker)
        object_release(&object[i])
    return status


cdef zc_status _fill_part(zc_read_job *job, const zc_part *part) noexcept nogil:
    zc_raise_flag(&job.missing)
    if job.missing_is_error:
        return ZC_ABSENT
    strided_fill(job.result + part.result_offset, job.user_strides, part.count, job.plan.ndim, job.layout.itemsize,
                 job.layout.user_fill)
    return ZC_OK


cdef zc_status _read_raw_part(zc_read_job *job, const zc_part *part, const char *name, zc_worker *worker) noexcept nogil:
    """An uncompressed file: no more of it than the part spans is read."""
    cdef size_t first = 0
    cdef size_t end = 0
    cdef int fd = -1
    cdef zc_raw_box box
    cdef zc_status status = object_open(worker, name, job.layout.nbytes, &fd)
    if status == ZC_ABSENT:
        return _fill_part(job, part)
    if status != ZC_OK:
        return status
    box.ndim = job.plan.ndim
    box.count = part.count
    box.file_strides = job.buffer_strides
    box.strides = job.user_strides
    box.itemsize = job.layout.itemsize
    box.swap_unit = job.layout.read_swap_unit
    box.streamed = job.streamed
    layout_span(job.layout, job.plan, part, &first, &end)
    status = raw_read(fd, first, job.result + part.result_offset, &box, worker)
    object_close(fd)
    return status


cdef zc_status _decode_part(zc_read_job *job, const zc_part *part, const uint8_t *src, size_t src_nbytes, size_t part_index,
                            zc_worker *worker, int *step) noexcept nogil:
    cdef const zc_layout *layout = job.layout
    cdef uint8_t *target = job.result + part.result_offset
    cdef const uint8_t *data = NULL
    cdef size_t first, end
    cdef zc_status status
    if job.chain is NULL:
        return _decode_in_python(job, part, src, src_nbytes, part_index)
    if layout_matches(layout, job.plan, part):
        status = chain_decode(job.chain, worker, src, src_nbytes, target, &data, step)
        swap_bytes(target, layout.nbytes, layout.read_swap_unit if status == ZC_OK else 0)
        return status
    layout_span(layout, job.plan, part, &first, &end)
    status = chain_decode_range(job.chain, worker, src, src_nbytes, first, end, &data, step)
    if status == ZC_OK:
        _scatter(job, part, data)
    return status


cdef void _scatter(const zc_read_job *job, const zc_part *part, const uint8_t *first) noexcept nogil:
    """Copy the part, whose first element is at 'first', to the result."""
    cdef uint8_t *target = job.result + part.result_offset
    cdef size_t itemsize = job.layout.itemsize
    cdef size_t swap_unit = job.layout.read_swap_unit
    if job.streamed:
        strided_copy_streamed(target, job.user_strides, first, job.buffer_strides, part.count, job.plan.ndim, itemsize,
                              swap_unit)
    else:
        strided_copy(target, job.user_strides, first, job.buffer_strides, part.count, job.plan.ndim, itemsize, swap_unit)


cdef zc_status _decode_in_python(zc_read_job *job, const zc_part *part, const uint8_t *src, size_t src_nbytes,
                                 size_t part_index) noexcept nogil:
    with gil:
        try:
            _decode_with(<ChunkLayout>job.python_layout, job, part, src, src_nbytes)
        except BaseException as error:
            keep_exception(&job.failure, part_index, error)
            return ZC_EPYTHON
    return ZC_OK


cdef int _decode_with(ChunkLayout layout, zc_read_job *job, const zc_part *part, const uint8_t *src,
                      size_t src_nbytes) except -1:
    cdef size_t first, end
    cdef const uint8_t[::1] view = layout.decode_chunk(src, src_nbytes)
    layout_span(job.layout, job.plan, part, &first, &end)
    _scatter(job, part, &view[first])
    return 0


cdef int _read_from_python(zc_read_job *job, Objects objects, ChunkLayout layout, int n_threads) except -1:
    """Ask the store for the objects, and decode them in groups while it goes on fetching."""
    cdef size_t first = 0
    cdef size_t end
    while first < job.plan.n_parts and job.failure.status == ZC_OK:
        end = min(first + REQUESTS, job.plan.n_parts)
        _read_requests(job, objects, first, [objects.key_of_part(job.plan, i) for i in range(first, end)], n_threads)
        first = end
    return 0


cdef int _read_requests(zc_read_job *job, Objects objects, size_t first, list keys, int n_threads) except -1:
    """The parts from the 'first' on, whose objects have these keys."""
    cdef _Group group = _new_group(job, n_threads)
    # An answer that never comes would leave the result as it was allocated.
    unanswered = dict(enumerate(keys))
    for index, blob in objects.store.get_many([(key, None) for key in keys]):
        key = unanswered.pop(index, None)
        if key is None:
            raise StoreError(f"the store answered request {index!r}, which is not open")
        group.add(first + <size_t>index, blob, key)
        if job.failure.status != ZC_OK:
            return 0
    group.flush()
    for key in unanswered.values():
        raise StoreError("the store did not answer a request", key=key)
    return 0


cdef class _Group:
    """Objects at hand that wait to be decoded together."""

    cdef zc_read_job *job
    cdef int n_threads
    cdef size_t n
    cdef size_t nbytes
    cdef size_t part_of[GROUP_OBJECTS]
    cdef zc_at_hand at_hand[GROUP_OBJECTS]
    cdef Py_buffer views[GROUP_OBJECTS]
    cdef size_t n_views

    def __dealloc__(self):
        self._release()

    cdef int add(self, size_t part_index, blob, key) except -1:
        cdef Py_buffer *view
        self.at_hand[self.n].data = NULL
        self.at_hand[self.n].nbytes = 0
        if blob is not None:
            view = &self.views[self.n_views]
            try:
                PyObject_GetBuffer(blob, view, PyBUF_SIMPLE)
            except (TypeError, ValueError, BufferError) as error:     # no buffer, or not a contiguous one
                raise no_bytes(blob, key) from error
            self.n_views += 1
            # An empty object is an object: its data is not NULL.
            self.at_hand[self.n].data = <const uint8_t *>view.buf if view.buf is not NULL else <const uint8_t *>b""
            self.at_hand[self.n].nbytes = view.len
        self.part_of[self.n] = part_index
        self.nbytes += self.at_hand[self.n].nbytes
        self.n += 1
        if self.n == GROUP_OBJECTS or (self.nbytes >= GROUP_NBYTES and self.n >= <size_t>self.n_threads):
            self.flush()
        return 0

    cdef int flush(self) except -1:
        if self.n:
            self.job.part_of = self.part_of
            self.job.at_hand = self.at_hand
            _run(self.job, self.n, self.n_threads)
        self._release()
        return 0

    cdef void _release(self):
        while self.n_views:
            self.n_views -= 1
            PyBuffer_Release(&self.views[self.n_views])
        self.n = 0
        self.nbytes = 0


cdef _Group _new_group(zc_read_job *job, int n_threads):
    cdef _Group group = _Group.__new__(_Group)
    group.job = job
    group.n_threads = n_threads
    return group
