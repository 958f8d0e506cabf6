# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path: plan -> fetch -> decode -> scatter.

One task reads one part; it runs on the caller's thread and on the pool's. Local and memory stores are read by compiled
code. From any other store the caller's thread takes the objects as they come and hands them out in groups.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libc.string cimport memset

from zarrc.errors import StoreError

from zarrc.engine.cached cimport (
    cached_absent,
    cached_decode,
    cached_fetch,
    cached_init,
    cached_object,
    cached_serve,
    zc_cached_object,
)
from zarrc.engine.failure cimport keep_failure, poll_signals, raise_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for
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
from zarrc.engine.read_part cimport scatter_decode, scatter_fill, scatter_init, scatter_is_copied, scatter_raw, zc_scatter
from zarrc.indexing.plan cimport PLAN_MASK, plan_nbytes, plan_part, zc_part
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EINVAL, ZC_OK, check, zc_status
from zarrc.kernels.table cimport ZC_TABLE_BATCH, zc_table_key
from zarrc.kernels.worker cimport zc_worker

cdef enum:
    # Objects of a store in Python that are decoded together: few enough to hold in memory, but one for each thread.
    GROUP_OBJECTS = 64
    GROUP_NBYTES = 8 << 20
    # Requests that one get_many is given.
    REQUESTS = 1024
    # What the caller's thread takes from the cache by itself: to wake another takes as long as some 20 chunks.
    SERVED_PARTS = 256
    SERVED_NBYTES = 1 << 20
    # The longest name of an object in a batch of names.
    BATCH_KEY_NBYTES = 256

# An object's bytes that a store in Python gave; data NULL: there is no such object.
ctypedef struct zc_at_hand:
    const uint8_t *data
    size_t nbytes
    uint64_t changes            # of the object, from before it was asked for (cached.pxd)

# Shared by the threads of one read.
ctypedef struct zc_read_job:
    zc_scatter scatter
    const zc_objects *objects
    bint in_batches             # a memory store with names short enough
    const size_t *part_of       # item -> part, for objects at hand; NULL: the item is the part
    const zc_at_hand *at_hand   # item -> the object's bytes
    bint is_served              # what was in the cache has been read


cdef int read_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *result, int n_threads,
                    bint missing_is_error) except -1:
    cdef zc_read_job job
    memset(&job, 0, sizeof(job))
    scatter_init(&job.scatter, plan, layout, result, plan_nbytes(plan, layout.c.itemsize), missing_is_error)
    job.objects = &objects.c
    job.in_batches = (objects.c.place == PLACE_MEMORY
                      and objects.c.prefix_nbytes + 22 * <size_t>(plan.ndim + 1) < BATCH_KEY_NBYTES)
    cached_init(&job.scatter, objects, layout, plan.n_parts)
    if objects.c.place == PLACE_PYTHON:
        _read_from_python(&job, objects, layout, n_threads)
    elif job.scatter.caching.cache is not NULL:
        _run_cached(&job, n_threads)
    else:
        _run(&job, plan.n_parts, n_threads)
    raise_failure(&job.scatter.failure, plan, objects, layout.chain)
    return job.scatter.missing


cdef int _run(zc_read_job *job, size_t n_items, int n_threads) except -1:
    cdef size_t nbytes = job.scatter.layout.nbytes
    cdef bint copied = job.objects.place == PLACE_MEMORY and scatter_is_copied(&job.scatter)
    cdef zc_status status
    with nogil:
        status = pool_run(_read_items, _poll, job, n_items, grain_of(nbytes),
                          threads_for(n_items, nbytes, copied, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _run_cached(zc_read_job *job, int n_threads) except -1:
    """Of a few chunks those that are in the cache on this thread, then the others."""
    cdef size_t missing[SERVED_PARTS]
    cdef size_t n_missing = 0
    cdef size_t i
    job.in_batches = False
    if job.scatter.plan.n_parts > SERVED_PARTS or plan_nbytes(job.scatter.plan, job.scatter.layout.itemsize) > SERVED_NBYTES:
        return _run(job, job.scatter.plan.n_parts, n_threads)
    with nogil:
        for i in range(job.scatter.plan.n_parts):
            if not _serve(job, i, NULL):
                missing[n_missing] = i
                n_missing += 1
    job.is_served = True
    if n_missing:
        job.part_of = missing
        _run(job, n_missing, n_threads)
    return 0


cdef bint _serve(zc_read_job *job, size_t part_index, uint64_t *changes_ret) noexcept nogil:
    """Read a part from the cache, if its chunk is there."""
    cdef zc_cached_object cached
    cdef zc_part part
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes
    plan_part(job.scatter.plan, part_index, &part)
    if part.is_empty:
        return True
    name_nbytes = object_name(job.objects, part.chunk, job.scatter.plan.ndim, name)
    if name_nbytes == 0:
        return False
    cached_object(&job.scatter, job.objects, name, name_nbytes, &cached)
    if changes_ret is not NULL:
        changes_ret[0] = cached.changes
    return cached_serve(&job.scatter, job.objects, name, name_nbytes, &cached, &part)


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_read_job *>context).scatter.failure)


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
    plan_part(job.scatter.plan, part_index, &part)
    if part.is_empty:
        return ZC_OK
    if job.at_hand is NULL:
        status = _read_part(job, &part, part_index, worker, &step)
    elif job.scatter.caching.keeps:
        status = _keep_at_hand(job, &part, part_index, &job.at_hand[item], worker, &step)
    elif job.at_hand[item].data is NULL:
        status = scatter_fill(&job.scatter, &part)
    else:
        status = scatter_decode(&job.scatter, &part, job.at_hand[item].data, job.at_hand[item].nbytes, part_index, worker,
                                &step)
    if status != ZC_OK:
        keep_failure(&job.scatter.failure, status, part_index, step, worker)
    return status


cdef zc_status _keep_at_hand(zc_read_job *job, const zc_part *part, size_t part_index, const zc_at_hand *at_hand,
                             zc_worker *worker, int *step) noexcept nogil:
    """What a store in Python gave, for this read and the next."""
    cdef zc_cached_object cached
    cdef char name[MAX_KEY_NBYTES]
    cached_object(&job.scatter, job.objects, name, object_name(job.objects, part.chunk, job.scatter.plan.ndim, name), &cached)
    cached.changes = at_hand.changes
    if at_hand.data is not NULL:
        return cached_decode(&job.scatter, &cached, part, at_hand.data, at_hand.nbytes, part_index, worker, step)
    cached_absent(&job.scatter, &cached)
    return scatter_fill(&job.scatter, part)


cdef zc_status _read_part(zc_read_job *job, const zc_part *part, size_t part_index, zc_worker *worker,
                          int *step) noexcept nogil:
    """Local and memory stores."""
    cdef zc_object object
    cdef zc_cached_object cached
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes = object_name(job.objects, part.chunk, job.scatter.plan.ndim, name)
    cdef zc_status status
    if name_nbytes == 0:
        return ZC_EINVAL
    if job.scatter.caching.cache is not NULL:
        cached_object(&job.scatter, job.objects, name, name_nbytes, &cached)
        if not job.is_served and cached_serve(&job.scatter, job.objects, name, name_nbytes, &cached, part):
            return ZC_OK
        if job.scatter.caching.keeps:
            return cached_fetch(&job.scatter, job.objects, name, name_nbytes, &cached, part, part_index, worker, step)
    if job.objects.place == PLACE_LOCAL and job.scatter.chain is not NULL and job.scatter.chain.n_steps == 0:
        return _read_raw_part(job, part, name, worker)
    status = object_fetch(job.objects, worker, name, name_nbytes, job.scatter.layout.object_limit, &object)
    if status == ZC_ABSENT:
        return scatter_fill(&job.scatter, part)
    if status == ZC_OK:
        status = scatter_decode(&job.scatter, part, object.data, object.nbytes, part_index, worker, step)
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
        plan_part(job.scatter.plan, first + i, &part[i])
        keys[i].data = names[i]
        keys[i].nbytes = object_name(job.objects, part[i].chunk, job.scatter.plan.ndim, names[i])
    objects_fetch(job.objects, keys, n, object)
    worker.detail = NULL
    for i in range(n):
        if status == ZC_OK and not part[i].is_empty:
            if object[i].blob is NULL:
                status = scatter_fill(&job.scatter, &part[i])
            else:
                status = scatter_decode(&job.scatter, &part[i], object[i].data, object[i].nbytes, first + i, worker, &step)
            if status != ZC_OK:
                keep_failure(&job.scatter.failure, status, first + i, step, worker)
        object_release(&object[i])
    return status


cdef zc_status _read_raw_part(zc_read_job *job, const zc_part *part, const char *name, zc_worker *worker) noexcept nogil:
    """An uncompressed file: no more of it than the part spans is read."""
    cdef int fd = -1
    cdef zc_status status = object_open(worker, name, job.scatter.layout.nbytes, &fd)
    if status == ZC_ABSENT:
        return scatter_fill(&job.scatter, part)
    if status != ZC_OK:
        return status
    status = scatter_raw(&job.scatter, part, fd, 0, worker)
    object_close(fd)
    return status


cdef int _read_from_python(zc_read_job *job, Objects objects, ChunkLayout layout, int n_threads) except -1:
    """Ask the store for the objects, and decode them in groups while it goes on fetching."""
    cdef size_t i
    cdef uint64_t changes = 0
    parts, changed = [], []
    for i in range(job.scatter.plan.n_parts):
        if not (_is_empty_part(job.scatter.plan, i) if job.scatter.caching.cache is NULL else _serve(job, i, &changes)):
            parts.append(i)
            changed.append(changes)
        if len(parts) == REQUESTS or (parts and i == job.scatter.plan.n_parts - 1):
            _read_requests(job, objects, parts, changed, n_threads)
            parts, changed = [], []
        if job.scatter.failure.status != ZC_OK:
            break
    return 0


cdef bint _is_empty_part(const zc_plan *plan, size_t index) noexcept nogil:
    cdef zc_part part
    if plan.kind != PLAN_MASK:
        return False
    plan_part(plan, index, &part)
    return part.is_empty


cdef int _read_requests(zc_read_job *job, Objects objects, list parts, list changes, int n_threads) except -1:
    cdef _Group group = _new_group(job, n_threads)
    keys = [objects.key_of_part(job.scatter.plan, part) for part in parts]
    # An answer that never comes would leave the result as it was allocated.
    unanswered = dict(enumerate(keys))
    for index, blob in objects.store.get_many([(key, None) for key in keys]):
        key = unanswered.pop(index, None)
        if key is None:
            raise StoreError(f"the store answered request {index!r}, which is not open")
        group.add(parts[index], blob, key, changes[index])
        if job.scatter.failure.status != ZC_OK:
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

    cdef int add(self, size_t part_index, blob, key, uint64_t changes) except -1:
        cdef Py_buffer *view
        self.at_hand[self.n].data = NULL
        self.at_hand[self.n].nbytes = 0
        self.at_hand[self.n].changes = changes
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
