# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The write path of sharded arrays.

A part that covers its shard is built without a look at what is stored. Any other part is a read-modify-write under the lock
of its object: the inner chunks that it does not touch are taken over as they are stored. Small shards are built one by each
thread, others by all threads together.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport keep_failure_inside, poll_at_times, poll_signals, raise_failure
from zarrc.engine.job cimport detail_of, group_is_full, threads_for
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    given_bytes,
    object_cut,
    object_lock,
    object_name,
    object_put,
    object_remove,
    object_root,
    object_unlock,
    zc_object_lock,
    zc_objects,
)
from zarrc.engine.outgoing cimport Outgoing
from zarrc.engine.shard_build cimport (
    build_begin,
    build_end,
    build_finish,
    build_part,
    build_wrap,
    zc_shard_build,
    zc_shard_list,
)
from zarrc.engine.shard_layout cimport zc_shard_layout
from zarrc.engine.shard_read cimport shard_leaf_plan
from zarrc.engine.shard_sink cimport sink_drop, sink_to_file, sink_to_memory, zc_shard_sink
from zarrc.engine.shard_view cimport (
    view_bytes,
    view_close,
    view_forget,
    view_open,
    view_read,
    view_remember,
    view_repair,
    zc_shard_view,
)
from zarrc.engine.write_part cimport gather_init, zc_gather
from zarrc.indexing.plan cimport plan_nbytes, plan_part, zc_part
from zarrc.kernels.local_io cimport (
    local_append,
    local_replace,
    local_stream_commit,
    zc_local_append_spec,
    zc_local_bytes,
    zc_local_stream,
)
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, ZC_ECORRUPT, ZC_EINVAL, ZC_ENOMEM, ZC_OK, check, zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker

cdef extern from "zc_atomic.h":
    bint zc_flag_is_raised(const int *flag) noexcept nogil

cdef enum:
    # Objects that a store in Python is given together where each is locked by an open file.
    LOCKED_FILES = 64
    # Shards up to this size, decoded, are built by one thread each where there are several.
    SMALL_SHARD_NBYTES = 1 << 20
    SIZE_WORD = 2               # of a file's identity

# Shared by the threads of one write.
ctypedef struct zc_shard_write:
    zc_gather gather            # of the innermost chunks
    zc_plan leaf
    const zc_plan *plan
    const zc_shard_layout *shard
    const zc_objects *objects
    size_t shard_nbytes         # decoded
    bint appends                # what is changed is added to the stored shard
    const zc_shard_list *listed # of the one shard, the inner chunks to write; NULL: those of the plan
    bint is_apart               # each thread is at a shard of its own
    zc_shard_build *build       # else the one that all threads are at


cdef int write_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *value, int n_threads,
                      config) except -1:
    cdef zc_shard_write job
    _init(&job, plan, layout, objects, value, config)
    if objects.c.place == PLACE_PYTHON:
        _write_to_python(&job, objects, n_threads)
    else:
        _run(&job, n_threads)
    raise_failure(&job.gather.failure, plan, objects, layout.leaf().chain, layout.outer)
    return 0


cdef int _init(zc_shard_write *job, const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *value,
               config) except -1:
    cdef ChunkLayout leaf = layout.leaf()
    memset(job, 0, sizeof(zc_shard_write))
    job.plan = plan
    job.shard = &layout.c
    job.objects = &objects.c
    shard_leaf_plan(&job.leaf, plan, &layout.c)
    gather_init(&job.gather, &job.leaf, leaf, value, config.write_empty_chunks)
    job.shard_nbytes = leaf.c.itemsize
    for extent in layout.shape:
        job.shard_nbytes *= extent
    job.appends = config.shard_update == "append" and objects.c.place == PLACE_LOCAL and layout.outer is None
    return 0


cdef int write_inner_chunks(const zc_plan *plan, ShardLayout layout, Objects objects, const zc_shard_list *listed,
                            uint8_t *values, int n_threads, config) except -1:
    cdef zc_shard_write job
    cdef _Outgoing group
    cdef zc_worker *worker
    _init(&job, plan, layout, objects, values, config)
    job.listed = listed
    job.appends = job.appends and listed.n
    if objects.c.place == PLACE_PYTHON:
        group = _new_outgoing(&job, objects, n_threads)
        group.add(0, objects.key_of_part(plan, 0), True)
        group.write_locked()
    else:
        worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker for the write")
        with nogil:
            _change_listed(&job, n_threads, worker)
            return_worker(worker)
    raise_failure(&job.gather.failure, plan, objects, layout.leaf().chain, layout.outer)
    return 0


cdef void _change_listed(zc_shard_write *job, int n_threads, zc_worker *worker) noexcept nogil:
    """Of a local or memory store; a failure is kept."""
    cdef char name[MAX_KEY_NBYTES]
    cdef char where[160]
    cdef zc_part part
    cdef int step = -1
    cdef size_t name_nbytes
    cdef zc_status status = ZC_EINVAL
    where[0] = 0
    worker.detail = NULL
    plan_part(job.plan, 0, &part)
    name_nbytes = object_name(job.objects, part.chunk, job.plan.ndim, name)
    if name_nbytes:
        status = view_repair(job.objects, job.shard, worker, name)
    if status == ZC_OK:
        status = _change(job, &part, 0, name, name_nbytes, n_threads, worker, &step, where)
    if status != ZC_OK:
        keep_failure_inside(&job.gather.failure, status, 0, step, worker, where)


cdef int _run(zc_shard_write *job, int n_threads) except -1:
    cdef zc_worker *worker = NULL
    cdef int64_t polled_ns = 0
    cdef size_t i = 0
    cdef zc_status status = ZC_OK
    job.is_apart = job.shard_nbytes <= SMALL_SHARD_NBYTES and job.plan.n_parts >= 2 * <size_t>n_threads
    with nogil:
        if job.is_apart:
            status = pool_run(_write_items, _poll, job, job.plan.n_parts, 1,
                              threads_for(job.plan.n_parts, job.shard_nbytes, False, n_threads))
        else:
            worker = lease_worker()
            if worker is NULL:
                status = ZC_ENOMEM
            while status == ZC_OK and i < job.plan.n_parts and not zc_flag_is_raised(&job.gather.failure.claimed):
                status = _write_one(job, i, n_threads, worker)
                poll_at_times(&job.gather.failure, &polled_ns)
                i += 1
            if worker is not NULL:
                return_worker(worker)
    if zc_flag_is_raised(&job.gather.failure.claimed):
        status = ZC_OK      # of one shard, and kept as its failure
    check(status, detail_of(status), 0, None)
    return 0


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_shard_write *>context).gather.failure)


cdef int _write_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_shard_write *job = <zc_shard_write *>context
    cdef size_t i
    for i in range(first, first + count):
        if _write_one(job, i, 1, worker) != ZC_OK:
            return 1
    return 0


cdef zc_status _write_one(zc_shard_write *job, size_t part_index, int n_threads, zc_worker *worker) noexcept nogil:
    """A shard of a local or memory store; a failure is kept."""
    cdef char name[MAX_KEY_NBYTES]
    cdef char where[160]
    cdef zc_part part
    cdef int step = -1
    cdef size_t name_nbytes
    cdef zc_status status
    where[0] = 0
    worker.detail = NULL
    plan_part(job.plan, part_index, &part)
    name_nbytes = object_name(job.objects, part.chunk, job.plan.ndim, name)
    if name_nbytes == 0:
        status = ZC_EINVAL
    elif part.is_empty:
        status = ZC_OK
    elif part.covers:
        status = _write_covered(job, &part, part_index, name, name_nbytes, n_threads, worker, &step, where)
    else:
        status = _write_partly(job, &part, part_index, name, name_nbytes, n_threads, worker, &step, where)
    if status != ZC_OK:
        keep_failure_inside(&job.gather.failure, status, part_index, step, worker, where)
    return status


cdef zc_status _write_covered(zc_shard_write *job, const zc_part *part, size_t part_index, const char *name,
                              size_t name_nbytes, int n_threads, zc_worker *worker, int *step, char *where) noexcept nogil:
    """Built before the lock is taken: only the replacing must not come between another's read and write."""
    cdef zc_shard_build build
    cdef zc_shard_sink sink
    cdef zc_object_lock lock
    cdef bint is_empty = False
    cdef zc_status status
    memset(&build, 0, sizeof(build))
    _open_sink(job, &sink, name)
    status = _build(job, part, part_index, NULL, False, &sink, n_threads, worker, &build, &is_empty, step, where)
    build_end(&build)
    if status == ZC_OK:
        status = object_lock(job.objects, &lock, worker, name, name_nbytes)
        if status == ZC_OK:
            status = view_repair(job.objects, job.shard, worker, name)
            if status == ZC_OK:
                status = _store(job, &sink, is_empty, name, name_nbytes, worker)
            object_unlock(&lock)
    sink_drop(&sink)
    return status


cdef zc_status _write_partly(zc_shard_write *job, const zc_part *part, size_t part_index, const char *name,
                             size_t name_nbytes, int n_threads, zc_worker *worker, int *step, char *where) noexcept nogil:
    cdef zc_object_lock lock
    cdef zc_status status = object_lock(job.objects, &lock, worker, name, name_nbytes)
    if status != ZC_OK:
        return status
    status = view_repair(job.objects, job.shard, worker, name)
    if status == ZC_OK:
        status = _change(job, part, part_index, name, name_nbytes, n_threads, worker, step, where)
    object_unlock(&lock)
    return status


cdef zc_status _change(zc_shard_write *job, const zc_part *part, size_t part_index, const char *name, size_t name_nbytes,
                       int n_threads, zc_worker *worker, int *step, char *where) noexcept nogil:
    """The stored shard, or an empty one, with the part changed; under its lock."""
    cdef zc_shard_view old
    cdef zc_shard_sink sink
    cdef zc_shard_build build
    cdef bint is_empty = False
    cdef bint is_stored
    cdef zc_status status = view_open(&old, job.objects, job.shard, worker, name, name_nbytes, step)
    memset(&build, 0, sizeof(build))
    memset(&sink, 0, sizeof(sink))
    is_stored = status == ZC_OK
    if status == ZC_ABSENT:
        status = ZC_OK
    if status == ZC_OK and job.appends and is_stored:
        sink_to_memory(&sink, 0, False)
        status = _build(job, part, part_index, &old, True, &sink, n_threads, worker, &build, &is_empty, step, where)
        if status == ZC_OK and not is_empty:
            status = _append(job, &old, &build, &sink, name, name_nbytes, worker)
        elif status == ZC_OK:
            status = _store(job, &sink, True, name, name_nbytes, worker)
    elif status == ZC_OK:
        _open_sink(job, &sink, name)
        status = _build(job, part, part_index, &old if is_stored else NULL, False, &sink, n_threads, worker, &build, &is_empty,
                        step, where)
        if status == ZC_OK:
            status = _store(job, &sink, is_empty, name, name_nbytes, worker)
    build_end(&build)
    view_close(&old)
    sink_drop(&sink)
    return status


cdef zc_status _append(const zc_shard_write *job, const zc_shard_view *old, const zc_shard_build *build,
                       const zc_shard_sink *sink, const char *name, size_t name_nbytes, zc_worker *worker) noexcept nogil:
    """Add what the sink has, the changed inner chunks and behind them the new index, to the stored shard."""
    cdef zc_local_append_spec what
    cdef zc_local_bytes data
    cdef uint64_t identity[4]
    cdef const uint8_t *old_index = NULL
    cdef zc_status status = ZC_OK
    memset(&what, 0, sizeof(what))
    memcpy(what.identity, old.identity, sizeof(what.identity))
    what.index_nbytes = job.shard.index_nbytes
    what.index_at_start = job.shard.index_at_start
    what.durable = job.objects.is_durable
    data.data, data.nbytes = sink.data, sink.nbytes - what.index_nbytes
    what.data, what.n_data = &data, 1
    what.index = sink.data + data.nbytes
    if what.index_at_start:
        status = view_read(old, worker, 0, what.index_nbytes, &old_index)
        what.old_index = old_index
    if status == ZC_OK and old.nbytes != old.identity[SIZE_WORD]:
        status = ZC_ECANCELLED      # it was read as of a record, which is gone since: its places are not those of the file
    if status == ZC_OK:
        status = local_append(name, &what, identity, &worker.error_number)
    if status == ZC_OK:
        view_remember(old, job.objects, job.shard, name, name_nbytes, identity, build.entries)
    elif status == ZC_ECANCELLED:
        # Under the lock, only somebody who does not lock can have been at it.
        worker.detail = b"another process changed the shard meanwhile: locking='file' keeps such apart"
        status = ZC_ECORRUPT
    return status


cdef void _open_sink(const zc_shard_write *job, zc_shard_sink *sink, const char *name) noexcept nogil:
    if job.objects.place == PLACE_LOCAL and job.shard.outer is NULL:
        sink_to_file(sink, name, object_root(job.objects))
    else:
        # What compression leaves of it is given back.
        sink_to_memory(sink, job.shard_nbytes + job.shard.index_nbytes, job.objects.place == PLACE_MEMORY)


cdef zc_status _build(zc_shard_write *job, const zc_part *part, size_t part_index, const zc_shard_view *old, bint appends,
                      zc_shard_sink *sink, int n_threads, zc_worker *worker, zc_shard_build *build, bint *is_empty_ret,
                      int *step, char *where) noexcept nogil:
    """The new shard's bytes; a failure of another thread is kept already, and this one then ZC_ECANCELLED. End '*build'."""
    cdef size_t i = 0
    cdef bint is_long
    cdef zc_status status = build_begin(build, &job.gather, job.shard, job.plan, part, job.listed, part_index, old,
                                        appends, sink)
    if status == ZC_OK:
        is_long = not job.is_apart and threads_for(build.n_parts, _item_nbytes(job, build), False, 2) > 1
        if is_long:
            # Also by one thread: signals are looked at.
            job.build = build
            status = pool_run(_build_parts, _poll, job, build.n_parts, 1, n_threads)
            if status == ZC_OK and zc_flag_is_raised(&job.gather.failure.claimed):
                status = ZC_ECANCELLED
            worker.detail = detail_of(status)
        while not is_long and status == ZC_OK and i < build.n_parts:
            status = build_part(build, i, worker, step, where)
            i += 1
    if status == ZC_OK:
        status = build_finish(build, worker, is_empty_ret, step, where)
    if status == ZC_OK and job.shard.outer is not NULL and not is_empty_ret[0]:
        status = build_wrap(job.shard, sink, worker, step)
    return status


cdef size_t _item_nbytes(const zc_shard_write *job, const zc_shard_build *build) noexcept nogil:
    """What is encoded of an inner chunk, which may be a shard, about."""
    if job.shard.nested is NULL:
        return job.shard.leaf.nbytes
    if build.listed is not NULL:
        return build.listed.value_nbytes
    return max(job.shard.leaf.nbytes, plan_nbytes(&build.plan, job.shard.leaf.itemsize) // build.n_parts)


cdef int _build_parts(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_shard_write *job = <zc_shard_write *>context
    cdef char where[160]
    cdef int step
    cdef size_t i
    cdef zc_status status
    for i in range(first, first + count):
        where[0] = 0
        step = -1
        worker.detail = NULL
        status = build_part(job.build, i, worker, &step, where)
        if status != ZC_OK:
            keep_failure_inside(&job.gather.failure, status, job.build.part_index, step, worker, where)
            return 1
    return 0


cdef zc_status _store(const zc_shard_write *job, zc_shard_sink *sink, bint is_empty, const char *name, size_t name_nbytes,
                      zc_worker *worker) noexcept nogil:
    """Give the new shard its name, under its lock."""
    cdef zc_local_stream *stream = sink.stream
    cdef zc_blob *blob = sink.blob
    # An open descriptor would keep the old file on the disk.
    view_forget(job.objects, name, name_nbytes)
    if is_empty:
        return object_remove(job.objects, worker, name, name_nbytes)
    if job.objects.place == PLACE_MEMORY:
        sink.blob = NULL
        return object_put(job.objects, name, name_nbytes, object_cut(blob, sink.nbytes))
    if sink.name is NULL:
        return local_replace(name, object_root(job.objects), sink.data, sink.nbytes, &worker.error_number)
    sink.stream = NULL
    return local_stream_commit(stream, &worker.error_number)


@cython.final
cdef class _ShardBytes:
    """A built shard, as the buffer that a store in Python is given."""

    cdef zc_shard_sink sink
    cdef bint is_empty

    def __dealloc__(self):
        sink_drop(&self.sink)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.sink.data, self.sink.nbytes, 1, flags)


cdef int _write_to_python(zc_shard_write *job, Objects objects, int n_threads) except -1:
    """Hand the shards to the store, group after group."""
    cdef _Outgoing group = None
    cdef zc_part part
    cdef size_t i
    for i in range(job.plan.n_parts):
        plan_part(job.plan, i, &part)
        if part.is_empty:
            continue
        if group is None:
            group = _new_outgoing(job, objects, n_threads)
        group.add(i, objects.key_of(part.chunk, job.plan.ndim), not part.covers)
        if (group_is_full(len(group.keys), len(group.keys) * job.shard_nbytes, job.shard_nbytes, 1)
                or (objects.c.locks_files and len(group.keys) >= LOCKED_FILES)):
            if group.write(False):
                return 0
            group = None
    if group is not None:
        group.write(False)
    return 0


@cython.final
cdef class _Outgoing(Outgoing):
    """Shards, which are built one at a time."""

    cdef zc_shard_write *job
    cdef int n_threads
    cdef list parts
    cdef size_t n_built         # so far

    cdef int add(self, size_t part_index, str key, bint is_changed) except -1:
        self.parts.append(part_index)
        return self.add_key(key, is_changed)

    cdef bint write_locked(self) except -1:
        try:
            return Outgoing.write_locked(self)
        finally:
            if self.objects._trusted_indexes is not None:
                for key in self.keys:
                    self.objects._trusted_indexes.drop(key)

    cdef size_t n_taken(self):
        return self.n_built

    cdef object make(self):
        cdef size_t number
        while not self.failed and self.n_built < <size_t>len(self.keys):
            number = self.n_built
            key = self.keys[number]
            old = given_bytes(self.old.pop(number), key) if number in self.old else None
            built = _built(self.job, self.parts[number], old, self.n_threads)
            self.failed = built is None or self.job.gather.failure.claimed
            if self.failed:
                break
            self.n_built += 1
            if not (<_ShardBytes>built).is_empty:
                return key, memoryview(built)
            self.empty.append(key)
        return None


cdef _Outgoing _new_outgoing(zc_shard_write *job, Objects objects, int n_threads):
    cdef _Outgoing group = _Outgoing.__new__(_Outgoing, objects)
    group.job, group.n_threads, group.parts = job, n_threads, []
    return group


cdef object _built(zc_shard_write *job, size_t part_index, stored, int n_threads):
    """The new bytes of a shard; None where that failed, which is kept. 'stored' is its old bytes, None: there are none."""
    cdef _ShardBytes built = _ShardBytes.__new__(_ShardBytes)
    cdef const uint8_t[::1] view
    cdef const uint8_t *data = NULL
    cdef uint64_t nbytes = 0
    cdef zc_shard_view old
    cdef char where[160]
    cdef zc_part part
    cdef zc_shard_build build
    cdef int step = -1
    cdef zc_status status = ZC_OK
    cdef zc_worker *worker
    memset(&build, 0, sizeof(build))
    if stored is not None:
        view = stored
        # An empty object is an object: its data is not NULL.
        data, nbytes = &view[0] if view.shape[0] else <const uint8_t *>b"", view.shape[0]
    plan_part(job.plan, part_index, &part)
    memset(&old, 0, sizeof(old))
    old.fd = -1
    where[0] = 0
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the write")
    with nogil:
        worker.detail = NULL
        sink_to_memory(&built.sink, job.shard_nbytes + job.shard.index_nbytes, False)
        if data is not NULL:
            status = view_bytes(&old, job.shard, worker, data, nbytes, &step)
        if status == ZC_OK:
            status = _build(job, &part, part_index, &old if data is not NULL else NULL, False, &built.sink, n_threads, worker,
                            &build, &built.is_empty, &step, where)
        build_end(&build)
        view_close(&old)
        if status != ZC_OK:
            keep_failure_inside(&job.gather.failure, status, part_index, step, worker, where)
        return_worker(worker)
    return built if status == ZC_OK else None
