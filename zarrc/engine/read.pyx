# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path: plan -> fetch -> decode -> scatter.

One task reads one part; it runs on the caller's thread and on the pool's. Local and memory stores are read by compiled
code. From any other store the caller's thread takes the objects as they come and hands them out in groups.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc
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
from zarrc.engine.failure cimport drop_failure, keep_failure, poll_signals, raise_failure, zc_failure
from zarrc.engine.job cimport detail_of, grain_of, job_at, threads_for
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
    # Objects of a store in Python that are decoded together: few enough that the last ones to come are soon decoded, but
    # one for each thread, and bytes enough that it pays to wake one.
    GROUP_OBJECTS = 64
    GROUP_NBYTES = 512 << 10    # for each thread
    # Requests that one get_many is given: between two of them nothing is in flight.
    REQUESTS = 8192
    # What the caller's thread takes from the cache by itself: to wake another takes as long as some 20 chunks.
    SERVED_PARTS = 256
    SERVED_NBYTES = 1 << 20
    # The longest name of an object in a batch of names.
    BATCH_KEY_NBYTES = 256

# Shared by the threads of one read, for the parts of one plan.
ctypedef struct zc_read_job:
    zc_scatter scatter
    const zc_objects *objects
    bint in_batches             # a memory store with names short enough
    const size_t *part_of       # item -> part; NULL: the item is the part
    bint is_served              # what was in the cache has been read

# The jobs of several plans; their items are numbered through.
ctypedef struct zc_read_jobs:
    zc_read_job *job
    size_t n
    size_t *ends                # of each job's items

# An object's bytes that a store in Python gave.
ctypedef struct zc_at_hand:
    zc_read_job *job
    size_t part_index
    const uint8_t *data         # NULL: there is no such object
    size_t nbytes
    uint64_t changes            # of the object, from before it was asked for (cached.pxd)

# Objects at hand that are decoded together.
ctypedef struct zc_read_group:
    zc_failure *failure         # that keeps what signals' handlers raise
    size_t n
    zc_at_hand at_hand[GROUP_OBJECTS]


cdef int read_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *result, int n_threads,
                    bint missing_is_error) except -1:
    cdef zc_read_job job
    _begin(&job, plan, layout, objects, result, plan_nbytes(plan, layout.c.itemsize), plan.n_parts, missing_is_error)
    if objects.c.place == PLACE_PYTHON:
        _read_from_python(&job, 1, objects, n_threads)
    elif job.scatter.caching.cache is not NULL:
        _run_cached(&job, n_threads)
    else:
        _run(&job, plan.n_parts, n_threads)
    raise_failure(&job.scatter.failure, plan, objects, layout.chain)
    return job.scatter.missing


cdef int read_plans(Plans plans, list layouts, Objects objects, uint8_t *result, int n_threads, bint missing_is_error) except -1:
    cdef zc_read_jobs jobs
    cdef ChunkLayout layout
    cdef size_t nbytes = 0
    cdef size_t i
    cdef bint missing = False
    for i in range(plans.n):
        layout = layouts[i]
        nbytes += plan_nbytes(&plans.plan[i], layout.c.itemsize)
    jobs.n = plans.n
    jobs.job = <zc_read_job *>calloc(plans.n, sizeof(zc_read_job))
    jobs.ends = <size_t *>malloc(plans.n * sizeof(size_t))
    try:
        if jobs.job is NULL or jobs.ends is NULL:
            raise MemoryError(f"{plans.n} plans")
        for i in range(plans.n):
            _begin(&jobs.job[i], &plans.plan[i], layouts[i], objects, result, nbytes, plans.n_parts, missing_is_error)
            jobs.ends[i] = plans.plan[i].n_parts + (jobs.ends[i - 1] if i else 0)
        if objects.c.place == PLACE_PYTHON:
            _read_from_python(jobs.job, jobs.n, objects, n_threads)
        else:
            _run_several(&jobs, nbytes // plans.n_parts, n_threads)
        # Those after the first to fail are let go by the end.
        for i in range(plans.n):
            layout = layouts[i]
            raise_failure(&jobs.job[i].scatter.failure, &plans.plan[i], objects, layout.chain)
            missing |= jobs.job[i].scatter.missing
    finally:
        if jobs.job is not NULL:
            for i in range(plans.n):
                drop_failure(&jobs.job[i].scatter.failure)
        free(jobs.job)
        free(jobs.ends)
    return missing


cdef int _begin(zc_read_job *job, const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *result,
                size_t selected_nbytes, size_t n_parts, bint missing_is_error) except -1:
    """'n_parts': of all plans of the call."""
    memset(job, 0, sizeof(zc_read_job))
    scatter_init(&job.scatter, plan, layout, result, selected_nbytes, missing_is_error)
    job.objects = &objects.c
    job.in_batches = (objects.c.place == PLACE_MEMORY
                      and objects.c.prefix_nbytes + 22 * <size_t>(plan.ndim + 1) < BATCH_KEY_NBYTES)
    return cached_init(&job.scatter, objects, layout, n_parts)


cdef int _run(zc_read_job *job, size_t n_items, int n_threads) except -1:
    cdef size_t nbytes = job.scatter.layout.nbytes
    cdef bint copied = job.objects.place == PLACE_MEMORY and scatter_is_copied(&job.scatter)
    cdef zc_status status
    with nogil:
        status = pool_run(_read_items, _poll, job, n_items, grain_of(nbytes),
                          threads_for(n_items, nbytes, copied, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _run_several(zc_read_jobs *jobs, size_t item_nbytes, int n_threads) except -1:
    cdef size_t n_items = jobs.ends[jobs.n - 1]
    cdef zc_status status
    cdef size_t i
    for i in range(jobs.n):
        if jobs.job[i].scatter.caching.cache is not NULL:
            jobs.job[i].in_batches = False
    with nogil:
        status = pool_run(_read_several, _poll_several, jobs, n_items, grain_of(item_nbytes),
                          threads_for(n_items, item_nbytes, False, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll_several(void *context) noexcept nogil:
    return poll_signals(&(<zc_read_jobs *>context).job[0].scatter.failure)


cdef int _read_several(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef const zc_read_jobs *jobs = <const zc_read_jobs *>context
    cdef size_t at = job_at(jobs.ends, jobs.n, first)
    cdef size_t begin, n
    while count > 0:
        begin = jobs.ends[at - 1] if at else 0
        n = min(count, jobs.ends[at] - first)
        if _read_items(&jobs.job[at], first - begin, n, worker):
            return 1
        first += n
        count -= n
        at += 1
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
    status = _read_part(job, &part, part_index, worker, &step)
    if status != ZC_OK:
        keep_failure(&job.scatter.failure, status, part_index, step, worker)
    return status


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


cdef int _read_from_python(zc_read_job *jobs, size_t n_jobs, Objects objects, int n_threads) except -1:
    """Ask the store for the objects of all jobs, and decode them in groups while it goes on fetching."""
    cdef zc_read_job *job
    cdef size_t i, k
    cdef uint64_t changes = 0
    keys, wanted = [], []
    for k in range(n_jobs):
        job = &jobs[k]
        for i in range(job.scatter.plan.n_parts):
            if _is_empty_part(job.scatter.plan, i) if job.scatter.caching.cache is NULL else _serve(job, i, &changes):
                continue
            keys.append(objects.key_of_part(job.scatter.plan, i))
            wanted.append((k, i, changes))
            if len(keys) == REQUESTS:
                if _read_requests(jobs, objects, keys, wanted, n_threads):
                    return 0
                keys, wanted = [], []
    if keys:
        _read_requests(jobs, objects, keys, wanted, n_threads)
    return 0


cdef bint _is_empty_part(const zc_plan *plan, size_t index) noexcept nogil:
    cdef zc_part part
    if plan.kind != PLAN_MASK:
        return False
    plan_part(plan, index, &part)
    return part.is_empty


cdef bint _read_requests(zc_read_job *jobs, Objects objects, list keys, list wanted, int n_threads) except -1:
    """Whether it failed, which is kept."""
    from zarrc.storage.bounded import bounded       # not loaded for local and memory stores

    cdef _Group group = _new_group(jobs, n_threads)
    # An answer that never comes would leave the result as it was allocated.
    unanswered = dict(enumerate(keys))
    cdef size_t most = 0
    for k, _, _ in wanted:
        most = max(most, jobs[<size_t>k].scatter.layout.object_limit)
    for index, blob in bounded(objects.store, most).get_many([(key, None) for key in keys]):
        key = unanswered.pop(index, None)
        if key is None:
            raise StoreError(f"the store answered request {index!r}, which is not open")
        if group.add(wanted[index], blob, key):
            return True
    if group.flush():
        return True
    for key in unanswered.values():
        raise StoreError("the store did not answer a request", key=key)
    return False


@cython.final
cdef class _Group:
    """Objects at hand that wait to be decoded together."""

    cdef zc_read_job *jobs
    cdef int n_threads
    cdef size_t nbytes          # about what they are decoded to
    cdef zc_read_group c
    cdef Py_buffer views[GROUP_OBJECTS]
    cdef size_t n_views

    def __dealloc__(self):
        self._release()

    cdef bint add(self, tuple wanted, blob, key) except -1:
        """Whether what was decoded then failed, which is kept."""
        cdef zc_at_hand *at_hand = &self.c.at_hand[self.c.n]
        cdef Py_buffer *view
        at_hand.job, at_hand.part_index, at_hand.changes = &self.jobs[<size_t>wanted[0]], wanted[1], wanted[2]
        at_hand.data, at_hand.nbytes = NULL, 0
        if blob is not None:
            view = &self.views[self.n_views]
            try:
                PyObject_GetBuffer(blob, view, PyBUF_SIMPLE)
            except (TypeError, ValueError, BufferError) as error:     # no buffer, or not a contiguous one
                raise no_bytes(blob, key) from error
            self.n_views += 1
            # An empty object is an object: its data is not NULL.
            at_hand.data = <const uint8_t *>view.buf if view.buf is not NULL else <const uint8_t *>b""
            at_hand.nbytes = view.len
        self.nbytes += max(at_hand.nbytes, at_hand.job.scatter.layout.nbytes)
        self.c.n += 1
        if self.c.n == GROUP_OBJECTS or (self.nbytes >= <size_t>GROUP_NBYTES * <size_t>self.n_threads
                                         and self.c.n >= <size_t>self.n_threads):
            return self.flush()
        return False

    cdef bint flush(self) except -1:
        """Whether it failed, which is kept."""
        cdef bint failed
        cdef size_t nbytes, i
        cdef zc_status status
        if self.c.n == 0:
            return False
        nbytes = self.nbytes // self.c.n
        self.c.failure = &self.jobs.scatter.failure
        with nogil:
            status = pool_run(_decode_items, _poll_group, &self.c, self.c.n, grain_of(nbytes),
                              threads_for(self.c.n, nbytes, False, self.n_threads))
        check(status, detail_of(status), 0, None)
        failed = self.c.failure.status != ZC_OK
        for i in range(self.c.n):
            failed |= self.c.at_hand[i].job.scatter.failure.status != ZC_OK
        self._release()
        return failed

    cdef void _release(self):
        while self.n_views:
            self.n_views -= 1
            PyBuffer_Release(&self.views[self.n_views])
        self.c.n = 0
        self.nbytes = 0


cdef _Group _new_group(zc_read_job *jobs, int n_threads):
    cdef _Group group = _Group.__new__(_Group)
    group.jobs = jobs
    group.n_threads = n_threads
    return group


cdef int _poll_group(void *context) noexcept nogil:
    return poll_signals((<zc_read_group *>context).failure)


cdef int _decode_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_read_group *group = <zc_read_group *>context
    cdef const zc_at_hand *at_hand
    cdef int step
    cdef size_t i
    cdef zc_status status
    for i in range(first, first + count):
        at_hand = &group.at_hand[i]
        step = -1
        worker.detail = NULL
        status = _decode_item(at_hand, worker, &step)
        if status != ZC_OK:
            keep_failure(&at_hand.job.scatter.failure, status, at_hand.part_index, step, worker)
            return 1
    return 0


cdef zc_status _decode_item(const zc_at_hand *at_hand, zc_worker *worker, int *step) noexcept nogil:
    """What a store in Python gave, for this read and, where it is kept, the next."""
    cdef zc_read_job *job = at_hand.job
    cdef zc_cached_object cached
    cdef char name[MAX_KEY_NBYTES]
    cdef zc_part part
    plan_part(job.scatter.plan, at_hand.part_index, &part)
    if part.is_empty:
        return ZC_OK
    if job.scatter.caching.keeps:
        cached_object(&job.scatter, job.objects, name, object_name(job.objects, part.chunk, job.scatter.plan.ndim, name),
                      &cached)
        cached.changes = at_hand.changes
    if at_hand.data is NULL:
        if job.scatter.caching.keeps:
            cached_absent(&job.scatter, &cached)
        return scatter_fill(&job.scatter, &part)
    if job.scatter.caching.keeps:
        return cached_decode(&job.scatter, &cached, &part, at_hand.data, at_hand.nbytes, at_hand.part_index, worker, step)
    return scatter_decode(&job.scatter, &part, at_hand.data, at_hand.nbytes, at_hand.part_index, worker, step)
