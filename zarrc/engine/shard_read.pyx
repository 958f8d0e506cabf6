# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path of sharded arrays, on local and memory stores.

Shards are opened a few at a time, each with its index, and then their inner chunks are read: one task takes a run of inner
chunks that lie together, so that one shard keeps all threads busy.
"""

from libc.stdio cimport snprintf
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from zarrc.engine.cached cimport (
    cached_absent,
    cached_decode,
    cached_init,
    cached_inside,
    cached_object,
    cached_serve,
    cached_stamp,
    zc_cached_object,
)
from zarrc.engine.failure cimport FAILED_SHARD, keep_failure_inside, poll_at_times, poll_signals, raise_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport MAX_KEY_NBYTES, PLACE_LOCAL, PLACE_PYTHON, object_name, zc_objects
from zarrc.engine.part_points cimport points_fill
from zarrc.engine.read_part cimport scatter_decode, scatter_init, scatter_is_copied, scatter_raw
from zarrc.engine.shard_layout cimport shard_number
from zarrc.engine.shard_remote cimport read_remote_shards
from zarrc.engine.shard_view cimport view_bytes, view_close, view_inside, view_open, view_read
from zarrc.indexing.plan cimport PLAN_BOXES, plan_inside, plan_nbytes, plan_part
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.shard_index cimport shard_coalesce, shard_entry, shard_sort, zc_shard_entry
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECORRUPT, ZC_EINVAL, ZC_ELENGTH, ZC_ENOMEM, ZC_ETOOLARGE, ZC_OK, check
from zarrc.kernels.strided cimport strided_fill

cdef extern from "zc_atomic.h":
    void zc_raise_flag(int *flag) noexcept nogil

cdef enum:
    # Shards that are open at once: each may be a descriptor, of which a process has 1024 by default.
    MOST_SHARDS = 16
    # Inner chunks of them that are noted at once, unless one shard has more.
    MOST_INNER = 1 << 16
    # Neighbours in a file that are read at once: few enough bytes to stay in an L2 of 512 KiB until they are decoded.  A gap
    # that is read costs 0.1 us a KiB, another call 0.3 us.
    RUN_NBYTES = 256 << 10
    GAP_NBYTES = 4096
    # In memory a run is only what one task takes.
    MEMORY_RUN_NBYTES = 64 << 10
    # What well compressed inner chunks may decode to in one task.
    RUN_DECODED_NBYTES = 4 << 20
    # Uncompressed inner chunks from here on are read one by one, straight to where they belong.
    RAW_NBYTES = 16 << 10

ctypedef struct zc_shard_slot:
    size_t part_index
    zc_shard_view view
    zc_shard_wanted wanted
    size_t first_run            # runs of the slots before it

# Shared by the threads of one read.
ctypedef struct zc_shard_job:
    zc_scatter scatter          # of the innermost chunks
    zc_plan leaf
    const zc_plan *plan
    const zc_shard_layout *shard
    const zc_objects *objects
    zc_shard_joining joining
    zc_shard_slot *slots
    size_t n_slots
    size_t first_part           # that of the first slot


cdef int read_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *result, int n_threads,
                     config) except -1:
    cdef zc_shard_job job
    cdef ChunkLayout leaf = layout.leaf()
    if objects.c.place == PLACE_PYTHON:
        return read_remote_shards(plan, layout, objects, result, n_threads, config)
    memset(&job, 0, sizeof(job))
    job.plan = plan
    job.shard = &layout.c
    job.objects = &objects.c
    _set_joining(&job, config)
    shard_leaf_plan(&job.leaf, plan, &layout.c)
    scatter_init(&job.scatter, &job.leaf, leaf, result, plan_nbytes(plan, leaf.c.itemsize), not config.read_missing_chunks)
    cached_init(&job.scatter, objects, leaf, shard_leaves(plan, &layout.c))
    _read_all(&job, n_threads)
    raise_failure(&job.scatter.failure, plan, objects, leaf.chain, layout.outer)
    return job.scatter.missing


cdef int _set_joining(zc_shard_job *job, config) except -1:
    job.joining.decoded = RUN_DECODED_NBYTES
    if job.objects.place != PLACE_LOCAL:
        job.joining.gap, job.joining.limit = MEMORY_RUN_NBYTES, MEMORY_RUN_NBYTES
        return 0
    gap, limit = config.sharding_coalesce_max_gap_bytes, config.sharding_coalesce_max_bytes
    job.joining.gap = GAP_NBYTES if gap is None else gap
    job.joining.limit = RUN_NBYTES if limit is None else limit
    return 0


cdef size_t shard_leaves(const zc_plan *plan, const zc_shard_layout *shard) noexcept nogil:
    cdef double n = 1
    cdef double elements = plan_nbytes(plan, 1)
    cdef int d
    if plan.kind == PLAN_BOXES and shard.nested is NULL:
        for d in range(shard.ndim):
            # A chunk more than the selected span fills, and one more in each further shard.
            n *= min(plan.axis[shard.order[d]].count,
                     plan.axis[shard.order[d]].count * plan.axis[shard.order[d]].step / shard.inner_shape[d] + 2)
    else:
        n = plan.n_parts
        while shard is not NULL:
            n *= shard.n_inner
            shard = shard.nested
    n = min(n, elements)
    return <size_t>n if n < 1e15 else <size_t>1000000000000000


cdef void shard_leaf_plan(zc_plan *leaf, const zc_plan *plan, const zc_shard_layout *shard) noexcept nogil:
    cdef zc_plan outer = plan[0]
    cdef zc_part part
    while True:
        plan_part(&outer, 0, &part)
        plan_inside(leaf, &outer, &part, shard.order, shard.inner_shape)
        if shard.nested is NULL:
            return
        shard = shard.nested
        outer = leaf[0]


cdef int _read_all(zc_shard_job *job, int n_threads) except -1:
    """Some shards after the other."""
    cdef size_t most = min(max(<size_t>MOST_INNER // job.shard.n_inner, <size_t>1), <size_t>MOST_SHARDS)
    cdef int64_t polled_ns = 0
    cdef zc_status status = ZC_OK
    most = min(most, job.plan.n_parts)
    job.slots = <zc_shard_slot *>calloc(most, sizeof(zc_shard_slot))
    if job.slots is NULL:
        raise MemoryError(f"{most} shards")
    with nogil:
        while job.first_part < job.plan.n_parts and status == ZC_OK and not job.scatter.failure.claimed:
            job.n_slots = min(most, job.plan.n_parts - job.first_part)
            status = _read_some(job, n_threads)
            poll_at_times(&job.scatter.failure, &polled_ns)
            job.first_part += job.n_slots
        free(job.slots)
    check(status, detail_of(status), 0, None)
    return 0


cdef zc_status _read_some(zc_shard_job *job, int n_threads) noexcept nogil:
    cdef size_t n_runs = 0
    cdef size_t n_inner = 0
    cdef size_t selected_nbytes = 0
    cdef size_t run_nbytes, i
    cdef zc_status status
    for i in range(job.n_slots):
        # Not the plan, which is long.
        memset(&job.slots[i].view, 0, sizeof(zc_shard_view))
        _want_nothing(&job.slots[i].wanted)
    # To open a shard and read its index takes as long as decoding some 32 KiB.
    status = pool_run(_open_shards, _poll, job, job.n_slots, 1, threads_for(job.n_slots, 32 << 10, False, n_threads))
    if status == ZC_OK and not job.scatter.failure.claimed:
        for i in range(job.n_slots):
            job.slots[i].first_run = n_runs
            n_runs += job.slots[i].wanted.n_runs
            n_inner += job.slots[i].wanted.n_ranges
            selected_nbytes += plan_nbytes(&job.slots[i].wanted.plan, job.shard.leaf.itemsize) if n_runs else 0
        if n_runs:
            run_nbytes = n_inner // n_runs * job.shard.leaf.nbytes
            if job.shard.nested is not NULL:
                run_nbytes = max(run_nbytes, selected_nbytes // n_runs)
            status = pool_run(_read_runs, _poll, job, n_runs, grain_of(run_nbytes),
                              threads_for(n_runs, run_nbytes, job.objects.place != PLACE_LOCAL
                                          and scatter_is_copied(&job.scatter), n_threads))
    for i in range(job.n_slots):
        shard_unwant(&job.slots[i].wanted)
        view_close(&job.slots[i].view)
    return status


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_shard_job *>context).scatter.failure)


cdef int _open_shards(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_shard_job *job = <zc_shard_job *>context
    cdef char where[160]
    cdef int step
    cdef size_t i
    cdef zc_status status
    for i in range(first, first + count):
        where[0] = 0
        step = -1
        worker.detail = NULL
        job.slots[i].part_index = job.first_part + i
        status = _open_shard(job, &job.slots[i], worker, &step, where)
        if status != ZC_OK:
            keep_failure_inside(&job.scatter.failure, status, job.first_part + i, step, worker, where)
            return 1
    return 0


cdef zc_status _open_shard(zc_shard_job *job, zc_shard_slot *slot, zc_worker *worker, int *step, char *where) noexcept nogil:
    cdef char name[MAX_KEY_NBYTES]
    cdef zc_cached_object cached
    cdef zc_part part
    cdef size_t name_nbytes
    cdef zc_status status
    slot.view.fd = -1
    plan_part(job.plan, slot.part_index, &part)
    name_nbytes = object_name(job.objects, part.chunk, job.plan.ndim, name)
    if name_nbytes == 0:
        return ZC_EINVAL
    if part.is_empty:
        return ZC_OK
    cached_object(&job.scatter, job.objects, name, name_nbytes, &cached)
    status = view_open(&slot.view, job.objects, job.shard, worker, name, name_nbytes, step)
    if status == ZC_ABSENT:
        return shard_fill(&job.scatter, job.plan, &part)
    if status != ZC_OK:
        return status
    if cached.is_known and slot.view.is_settled:
        cached_stamp(job.objects, &cached, slot.view.identity)
        slot.view.cached = cached
    return shard_want(&job.scatter, job.shard, &slot.view, job.plan, &part, &job.joining, worker, &slot.wanted, step, where)


cdef zc_status shard_fill(zc_scatter *scatter, const zc_plan *plan, const zc_part *part) noexcept nogil:
    cdef Py_ssize_t strides[MAX_NDIM]
    cdef int d
    zc_raise_flag(&scatter.missing)
    if scatter.missing_is_error:
        return ZC_ABSENT
    if plan.kind != PLAN_BOXES:
        points_fill(plan, part, scatter.layout, scatter.result)
        return ZC_OK
    for d in range(plan.ndim):
        strides[d] = plan.axis[d].result_stride
    strided_fill(scatter.result + part.result_offset, strides, part.count, plan.ndim, scatter.layout.itemsize,
                 scatter.layout.user_fill)
    return ZC_OK


cdef zc_status shard_want(zc_scatter *scatter, const zc_shard_layout *shard, const zc_shard_view *view, const zc_plan *plan,
                          const zc_part *part, const zc_shard_joining *joining, zc_worker *worker, zc_shard_wanted *wanted,
                          int *step, char *where) noexcept nogil:
    cdef uint64_t limit = joining.limit
    cdef zc_part inner
    cdef zc_shard_entry entry
    cdef zc_cached_object cached
    cdef zc_status status
    cdef size_t i
    cdef bint is_cached = view.cached.is_known and shard.nested is NULL
    cdef bint raw = shard.nested is NULL and shard.leaf_chain is not NULL and shard.leaf_chain.n_steps == 0
    _want_nothing(wanted)
    plan_inside(&wanted.plan, plan, part, shard.order, shard.inner_shape)
    wanted.ranges = <zc_shard_range *>malloc(wanted.plan.n_parts * sizeof(zc_shard_range))
    if wanted.ranges is NULL:
        return ZC_ENOMEM
    for i in range(wanted.plan.n_parts):
        plan_part(&wanted.plan, i, &inner)
        if inner.is_empty:
            continue
        if is_cached:
            cached_inside(&view.cached, shard_number(shard, inner.chunk), &cached)
            if cached_serve(scatter, NULL, NULL, 0, &cached, &inner):
                continue
        status = shard_entry(view.index, shard_number(shard, inner.chunk), view.nbytes, &entry)
        if status == ZC_ABSENT:
            if is_cached:
                cached_absent(scatter, &cached)
            status = shard_fill(scatter, &wanted.plan, &inner)
            if status != ZC_OK:
                name_inner(where, &wanted.plan, &inner)
                return status
            continue
        if status == ZC_OK and raw and entry.nbytes != shard.leaf.nbytes:
            status = ZC_ELENGTH
        elif status == ZC_OK and entry.nbytes > shard.inner_limit:
            status = ZC_ETOOLARGE
            worker.detail = b"it is larger than any encoding of an inner chunk"
        elif status == ZC_ECORRUPT:
            worker.detail = b"the index says that it lies outside the shard"
        if status != ZC_OK:
            step[0] = FAILED_SHARD
            name_inner(where, &wanted.plan, &inner)
            return status
        wanted.ranges[wanted.n_ranges] = zc_shard_range(offset=entry.offset, nbytes=entry.nbytes, item=i)
        wanted.n_ranges += 1
    shard_sort(wanted.ranges, wanted.n_ranges)
    wanted.runs = <zc_shard_run *>malloc((wanted.n_ranges or 1) * sizeof(zc_shard_run))
    if wanted.runs is NULL:
        return ZC_ENOMEM
    if view.fd >= 0 and raw and shard.leaf.nbytes >= RAW_NBYTES:
        limit = 0
    _join(shard, joining, limit, wanted)
    return ZC_OK


cdef void _join(const zc_shard_layout *shard, const zc_shard_joining *joining, uint64_t limit,
                zc_shard_wanted *wanted) noexcept nogil:
    """The ranges, which are sorted, to runs."""
    cdef size_t inner_nbytes = shard.leaf.itemsize
    cdef size_t most = wanted.n_ranges
    cdef size_t first = 0
    cdef size_t n, k
    cdef int d
    for d in range(shard.ndim):
        inner_nbytes *= <size_t>shard.inner_shape[d]
    if joining.decoded:
        most = max(<size_t>(joining.decoded // inner_nbytes), <size_t>1)
    while first < wanted.n_ranges:
        n = min(most, wanted.n_ranges - first)
        n = shard_coalesce(&wanted.ranges[first], n, joining.gap, limit, &wanted.runs[wanted.n_runs])
        for k in range(wanted.n_runs, wanted.n_runs + n):
            wanted.runs[k].first += first
        wanted.n_runs += n
        first += most


cdef void shard_unwant(zc_shard_wanted *wanted) noexcept nogil:
    free(wanted.ranges)
    free(wanted.runs)
    _want_nothing(wanted)


cdef void _want_nothing(zc_shard_wanted *wanted) noexcept nogil:
    wanted.ranges, wanted.runs = NULL, NULL
    wanted.n_ranges = wanted.n_runs = 0


cdef void name_inner(char *where, const zc_plan *plan, const zc_part *inner) noexcept nogil:
    cdef int n = snprintf(where, 160, b"inner chunk (")
    cdef int d
    for d in range(plan.ndim):
        if n < 140:
            n += snprintf(where + n, 160 - n, b"%s%lld", b", " if d else b"", <long long>inner.chunk[d])
    snprintf(where + min(n, 150), 160 - min(n, 150), b"%s", b",)" if plan.ndim == 1 else b")")


cdef int _read_runs(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_shard_job *job = <zc_shard_job *>context
    cdef zc_shard_slot *slot = _slot_of(job, first)
    cdef char where[160]
    cdef size_t i
    cdef int step
    cdef zc_status status
    for i in range(first, first + count):
        while i - slot.first_run >= slot.wanted.n_runs:
            slot += 1
        where[0] = 0
        step = -1
        worker.detail = NULL
        status = shard_read_run(&job.scatter, job.shard, &slot.view, &slot.wanted, i - slot.first_run, NULL, slot.part_index,
                                worker, &step, where)
        if status != ZC_OK:
            keep_failure_inside(&job.scatter.failure, status, slot.part_index, step, worker, where)
            return 1
    return 0


cdef zc_shard_slot *_slot_of(const zc_shard_job *job, size_t run) noexcept nogil:
    """The slot that has the run, of those that are left."""
    cdef size_t low = 0
    cdef size_t high = job.n_slots
    cdef size_t middle
    while high - low > 1:
        middle = (low + high) // 2
        if job.slots[middle].first_run <= run:
            low = middle
        else:
            high = middle
    return &job.slots[low]


cdef zc_status shard_read_run(zc_scatter *scatter, const zc_shard_layout *shard, const zc_shard_view *view,
                              const zc_shard_wanted *wanted, size_t i, const uint8_t *data, size_t part_index,
                              zc_worker *worker, int *step, char *where) noexcept nogil:
    cdef const zc_shard_run *run = &wanted.runs[i]
    cdef const zc_shard_range *range_
    cdef zc_part inner
    cdef zc_cached_object cached
    cdef zc_status status
    cdef size_t k
    cdef bint keeps = scatter.caching.keeps and view.cached.is_known
    if data is NULL and shard.nested is NULL:
        if not keeps and run.n == 1 and view.fd >= 0 and shard.leaf_chain is not NULL and shard.leaf_chain.n_steps == 0:
            plan_part(&wanted.plan, wanted.ranges[run.first].item, &inner)
            return scatter_raw(scatter, &inner, view.fd, view.start + run.offset, worker)
        status = view_read(view, worker, run.offset, run.nbytes, &data)
        if status != ZC_OK:
            return status
    for k in range(run.first, run.first + run.n):
        range_ = &wanted.ranges[k]
        plan_part(&wanted.plan, range_.item, &inner)
        if shard.nested is not NULL:
            status = _read_nested(scatter, shard.nested, view, &wanted.plan, &inner, range_,
                                  NULL if data is NULL else data + (range_.offset - run.offset),
                                  shard_number(shard, inner.chunk), part_index, worker, step, where)
        elif keeps:
            cached_inside(&view.cached, shard_number(shard, inner.chunk), &cached)
            status = cached_decode(scatter, &cached, &inner, data + (range_.offset - run.offset), range_.nbytes, part_index,
                                   worker, step)
        else:
            status = scatter_decode(scatter, &inner, data + (range_.offset - run.offset), range_.nbytes, part_index, worker,
                                    step)
        if status != ZC_OK:
            if where[0] == 0:
                name_inner(where, &wanted.plan, &inner)
            return status
    return ZC_OK


cdef zc_status _read_nested(zc_scatter *scatter, const zc_shard_layout *nested, const zc_shard_view *outer,
                            const zc_plan *plan, const zc_part *part, const zc_shard_range *range_, const uint8_t *data,
                            size_t number, size_t part_index, zc_worker *worker, int *step, char *where) noexcept nogil:
    """An inner chunk that is a shard: one task reads all that is wanted of it."""
    cdef zc_shard_view view
    cdef zc_shard_wanted wanted
    cdef zc_shard_joining joining
    cdef zc_shard_entry entry
    cdef zc_status status
    cdef size_t i
    joining.gap, joining.limit, joining.decoded = GAP_NBYTES, RUN_NBYTES, RUN_DECODED_NBYTES
    _want_nothing(&wanted)
    if data is not NULL:
        status = view_bytes(&view, nested, worker, data, range_.nbytes, step)
    else:
        entry.offset, entry.nbytes = range_.offset, range_.nbytes
        status = view_inside(&view, outer, nested, worker, &entry, step)
    cached_inside(&outer.cached, number, &view.cached)
    if status == ZC_OK:
        status = shard_want(scatter, nested, &view, plan, part, &joining, worker, &wanted, step, where)
    i = 0
    while status == ZC_OK and i < wanted.n_runs:
        status = shard_read_run(scatter, nested, &view, &wanted, i, NULL, part_index, worker, step, where)
        i += 1
    shard_unwant(&wanted)
    view_close(&view)
    return status
