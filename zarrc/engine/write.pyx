# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The write path: gather -> encode -> replace.

A part that covers its chunk never reads it. Any other part is a read-modify-write under the lock of its object. A chunk
that equals the fill value bit for bit, inside the array, is removed instead of stored unless the array says otherwise. Large
chunks of uncompressed local files are gathered while they are written (raw_write.pyx).
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport (
    drop_failure,
    keep_failure,
    poll_signals,
    raise_failure,
    take_owned,
    zc_failure,
)
from zarrc.engine.job cimport detail_of, grain_of, group_is_full, job_at, threads_for
from zarrc.engine.layout cimport ChunkLayout, ChunkWriter
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    Objects,
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
from zarrc.engine.outgoing cimport Outgoing
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
from zarrc.indexing.plan cimport PLAN_BOXES, plan_part, zc_part, zc_plan
from zarrc.indexing.planner cimport Plans
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EINVAL, ZC_ENOMEM, ZC_OK, check, zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport zc_worker

cdef enum:
    # Objects that a store in Python is given together where each is locked by an open file.
    LOCKED_FILES = 64
    # Chunks that are encoded together for a store in Python, which takes them as they come, and about their bytes for each
    # thread. At first they are fewer, so that something is soon on its way; but after each group the caller may wait 5 ms for
    # the GIL, if the store is busy in a thread of its own.
    ENCODED_OBJECTS = 64
    FIRST_ENCODED_NBYTES = 512 << 10
    ENCODED_NBYTES = 4 << 20

# Shared by the threads of one write, for the parts of one plan.
ctypedef struct zc_write_job:
    zc_gather gather
    const zc_objects *objects
    bint is_locked              # by the caller
    bint in_pieces              # a whole chunk goes to its uncompressed local file in these
    zc_raw_pieces pieces

# The jobs of several plans; their items are numbered through.
ctypedef struct zc_write_jobs:
    zc_write_job *job
    size_t n
    size_t *ends                # of each job's items

# A chunk on its way to a store in Python.
ctypedef struct zc_outgoing:
    zc_write_job *job
    size_t part_index
    const uint8_t *old          # what is stored, of a part that changes it; NULL: nothing is
    size_t old_nbytes
    uint8_t *encoded            # its new bytes (owned)
    size_t encoded_nbytes
    PyObject *owner             # or an object that has them (owned); neither: the object is removed

# Those that are encoded together.
ctypedef struct zc_outgoing_group:
    zc_failure *failure         # that keeps what signals' handlers raise
    size_t n
    zc_outgoing outgoing[ENCODED_OBJECTS]


@cython.final
cdef class _Writer(ChunkWriter):
    """What `ArrayAccess` writes by."""

    cdef int write(self, const zc_plan *plan, ChunkLayout layout, object objects, uint8_t *value, int n_threads,
                   bint write_empty_chunks, bint is_locked) except -1:
        return _write_plan(plan, layout, objects, value, n_threads, write_empty_chunks, is_locked)

    cdef int write_all(self, object plans, list layouts, object objects, uint8_t *value, int n_threads,
                       bint write_empty_chunks, bint is_locked) except -1:
        return _write_plans(plans, layouts, objects, value, n_threads, write_empty_chunks, is_locked)


writer = _Writer()


cdef int _write_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *value, int n_threads,
                     bint write_empty_chunks, bint is_locked) except -1:
    cdef zc_write_job job
    _begin(&job, plan, layout, objects, value, write_empty_chunks, is_locked)
    try:
        if objects.c.place == PLACE_PYTHON:
            _write_to_python(&job, 1, objects, n_threads)
        else:
            _run(&job, plan.n_parts, n_threads)
        raise_failure(&job.gather.failure, plan, objects, layout.chain)
    finally:
        drop_failure(&job.gather.failure)
    return 0


cdef int _write_plans(Plans plans, list layouts, Objects objects, uint8_t *value, int n_threads, bint write_empty_chunks,
                      bint is_locked) except -1:
    cdef zc_write_jobs jobs
    cdef ChunkLayout layout
    cdef size_t nbytes = 0
    cdef size_t i
    jobs.n = plans.n
    jobs.job = <zc_write_job *>calloc(plans.n, sizeof(zc_write_job))
    jobs.ends = <size_t *>malloc(plans.n * sizeof(size_t))
    try:
        if jobs.job is NULL or jobs.ends is NULL:
            raise MemoryError(f"{plans.n} plans")
        for i in range(plans.n):
            _begin(&jobs.job[i], &plans.plan[i], layouts[i], objects, value, write_empty_chunks, is_locked)
            jobs.ends[i] = plans.plan[i].n_parts + (jobs.ends[i - 1] if i else 0)
            nbytes += plans.plan[i].n_parts * jobs.job[i].gather.layout.nbytes
        if objects.c.place == PLACE_PYTHON:
            _write_to_python(jobs.job, jobs.n, objects, n_threads)
        else:
            _run_several(&jobs, nbytes // plans.n_parts, n_threads)
        # Those after the first to fail are let go by the end.
        for i in range(plans.n):
            layout = layouts[i]
            raise_failure(&jobs.job[i].gather.failure, &plans.plan[i], objects, layout.chain)
    finally:
        if jobs.job is not NULL:
            for i in range(plans.n):
                drop_failure(&jobs.job[i].gather.failure)
        free(jobs.job)
        free(jobs.ends)
    return 0


cdef int _begin(zc_write_job *job, const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *value,
                bint write_empty_chunks, bint is_locked) except -1:
    memset(job, 0, sizeof(zc_write_job))
    gather_init(&job.gather, plan, layout, value, write_empty_chunks)
    job.objects = &objects.c
    job.is_locked = is_locked
    if objects.c.place == PLACE_MEMORY:
        gather_to_blobs(&job.gather)
    job.in_pieces = (plan.kind == PLAN_BOXES and objects.c.place == PLACE_LOCAL
                     and layout.chain is not None and layout.chain.c.n_steps == 0 and layout.c.n_bitrounds == 0
                     and layout.c.late_swap_unit == 0 and _cut(job))
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


cdef int _run_several(zc_write_jobs *jobs, size_t item_nbytes, int n_threads) except -1:
    cdef size_t n_items = jobs.ends[jobs.n - 1]
    cdef zc_status status
    with nogil:
        status = pool_run(_write_several, _poll_several, jobs, n_items, grain_of(item_nbytes),
                          threads_for(n_items, item_nbytes, False, n_threads))
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll_several(void *context) noexcept nogil:
    return poll_signals(&(<zc_write_jobs *>context).job[0].gather.failure)


cdef int _write_several(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef const zc_write_jobs *jobs = <const zc_write_jobs *>context
    cdef size_t at = job_at(jobs.ends, jobs.n, first)
    cdef size_t begin, n
    while count > 0:
        begin = jobs.ends[at - 1] if at else 0
        n = min(count, jobs.ends[at] - first)
        if _write_items(&jobs.job[at], first - begin, n, worker):
            return 1
        first += n
        count -= n
        at += 1
    return 0


cdef int _write_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_write_job *job = <zc_write_job *>context
    cdef size_t part_index
    cdef int step
    cdef zc_status status
    for part_index in range(first, first + count):
        step = -1
        worker.detail = NULL
        status = _write_part(job, part_index, worker, &step)
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


cdef int _write_to_python(zc_write_job *jobs, size_t n_jobs, Objects objects, int n_threads) except -1:
    """Hand the parts of all jobs to the store, group after group."""
    cdef _Outgoing group = None
    cdef size_t i, k
    for k in range(n_jobs):
        for i in range(jobs[k].gather.plan.n_parts):
            if group is None:
                group = _new_outgoing(jobs, objects, n_threads)
            if group.add(k, i):
                if group.write(jobs.is_locked):
                    return 0
                group = None
    if group is not None:
        group.write(jobs.is_locked)
    return 0


@cython.final
cdef class _Outgoing(Outgoing):
    """Chunks, of which some are encoded at a time."""

    cdef zc_write_job *jobs
    cdef int n_threads
    cdef list parts             # (job, part) of each
    cdef size_t nbytes          # decoded, of all
    cdef size_t n_encoded       # so far
    cdef zc_outgoing_group c
    cdef size_t taken           # of these

    def __dealloc__(self):
        self._drop()

    cdef void _drop(self):
        cdef size_t i
        for i in range(self.c.n):
            free(self.c.outgoing[i].encoded)
            Py_XDECREF(self.c.outgoing[i].owner)
            self.c.outgoing[i].encoded, self.c.outgoing[i].owner = NULL, NULL
        self.c.n = self.taken = 0

    cdef bint add(self, size_t job_index, size_t part_index) except -1:
        """Whether there are enough then."""
        cdef zc_write_job *job = &self.jobs[job_index]
        cdef zc_part part
        plan_part(job.gather.plan, part_index, &part)
        if part.is_empty:
            return False
        self.parts.append((job_index, part_index))
        self.add_key(self.objects.key_of(part.chunk, job.gather.plan.ndim), not part.covers)
        self.most = max(self.most or 0, job.gather.layout.object_limit)
        self.nbytes += job.gather.layout.nbytes
        return (group_is_full(len(self.keys), self.nbytes, job.gather.layout.nbytes, self.n_threads)
                or (self.objects.c.locks_files and <size_t>len(self.keys) >= <size_t>LOCKED_FILES))

    cdef size_t n_taken(self):
        return self.n_encoded - (self.c.n - self.taken)

    cdef object make(self):
        cdef zc_outgoing *outgoing
        while self.taken < self.c.n or self._encode():
            outgoing = &self.c.outgoing[self.taken]
            key = self.keys[self.n_taken()]
            self.taken += 1
            if outgoing.owner is not NULL:
                return key, take_owned(&outgoing.owner)
            if outgoing.encoded is not NULL:
                data = PyBytes_FromStringAndSize(<const char *>outgoing.encoded, outgoing.encoded_nbytes)
                free(outgoing.encoded)
                outgoing.encoded = NULL
                return key, data
            self.empty.append(key)
        return None

    cdef bint _encode(self) except -1:
        """Encode the next ones; False where there are none, or one failed."""
        self._drop()
        try:
            return self._encode_some()
        except BaseException:
            self._drop()        # they are not encoded
            raise

    cdef bint _encode_some(self) except -1:
        cdef size_t nbytes = 0
        cdef size_t i
        cdef size_t most_nbytes = <size_t>(ENCODED_NBYTES if self.n_encoded else FIRST_ENCODED_NBYTES) * <size_t>self.n_threads
        cdef list held = []         # the old bytes
        cdef zc_status status
        while (not self.failed and self.n_encoded + self.c.n < <size_t>len(self.keys) and self.c.n < ENCODED_OBJECTS
               and (nbytes < most_nbytes or self.c.n < <size_t>self.n_threads)):
            nbytes += self._prepare(&self.c.outgoing[self.c.n], self.n_encoded + self.c.n, held)
            self.c.n += 1
        if self.c.n == 0:
            return False
        self.c.failure = &self.jobs.gather.failure
        nbytes //= self.c.n
        with nogil:
            status = pool_run(_encode_items, _poll_group, &self.c, self.c.n, grain_of(nbytes),
                              threads_for(self.c.n, nbytes, False, self.n_threads))
        check(status, detail_of(status), 0, None)
        self.failed = self.c.failure.status != ZC_OK
        for i in range(self.c.n):
            self.failed |= self.c.outgoing[i].job.gather.failure.status != ZC_OK
        self.n_encoded += self.c.n
        if self.failed:
            self._drop()
        return not self.failed

    cdef size_t _prepare(self, zc_outgoing *outgoing, size_t number, list held) except? 0:
        """Its chunk's bytes."""
        cdef const uint8_t[::1] view
        job_index, part_index = self.parts[number]
        outgoing.job, outgoing.part_index = &self.jobs[<size_t>job_index], part_index
        outgoing.old, outgoing.old_nbytes, outgoing.encoded, outgoing.owner = NULL, 0, NULL, NULL
        old = given_bytes(self.old.pop(number), self.keys[number]) if number in self.old else None
        if old is not None:
            view = old
            held.append(old)
            # An empty object is an object: its data is not NULL.
            outgoing.old, outgoing.old_nbytes = &view[0] if view.shape[0] else <const uint8_t *>b"", view.shape[0]
        return outgoing.job.gather.layout.nbytes


cdef _Outgoing _new_outgoing(zc_write_job *jobs, Objects objects, int n_threads):
    cdef _Outgoing group = _Outgoing.__new__(_Outgoing, objects)
    group.jobs, group.n_threads, group.parts = jobs, n_threads, []
    return group


cdef int _poll_group(void *context) noexcept nogil:
    return poll_signals((<zc_outgoing_group *>context).failure)


cdef int _encode_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_outgoing_group *group = <zc_outgoing_group *>context
    cdef zc_outgoing *outgoing
    cdef int step
    cdef size_t i
    cdef zc_status status
    for i in range(first, first + count):
        outgoing = &group.outgoing[i]
        step = -1
        worker.detail = NULL
        status = _encode_item(outgoing, worker, &step)
        if status != ZC_OK:
            keep_failure(&outgoing.job.gather.failure, status, outgoing.part_index, step, worker)
            return 1
    return 0


cdef zc_status _encode_item(zc_outgoing *outgoing, zc_worker *worker, int *step) noexcept nogil:
    cdef zc_gather *gather = &outgoing.job.gather
    cdef zc_part part
    cdef zc_encoded encoded
    cdef zc_status status
    memset(&encoded, 0, sizeof(encoded))
    plan_part(gather.plan, outgoing.part_index, &part)
    if part.covers:
        status = gather_covering(gather, &part, outgoing.part_index, worker, &encoded, step)
    else:
        status = gather_change(gather, &part, outgoing.part_index, outgoing.old, outgoing.old_nbytes, worker, &encoded, step)
    if status != ZC_OK or encoded.is_empty:
        return status
    if encoded.owner is not NULL:
        outgoing.owner = encoded.owner
        return ZC_OK
    # Not a Python object yet: for each the thread would wait for the GIL, and so the others.
    outgoing.encoded = <uint8_t *>malloc(max(encoded.nbytes, <size_t>1))
    if outgoing.encoded is NULL:
        return ZC_ENOMEM
    memcpy(outgoing.encoded, encoded.data, encoded.nbytes)
    outgoing.encoded_nbytes = encoded.nbytes
    return ZC_OK
