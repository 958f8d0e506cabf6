# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Putting a shard together.

Inner chunks are added in the order of the index, whatever thread encoded them, so that the same data give the same bytes. A
thread that is ahead of the others leaves its encoded bytes for the one that adds those before it. What is not written is
taken over from the old shard, as it is stored.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport FAILED_AROUND, FAILED_SHARD
from zarrc.engine.shard_layout cimport shard_index_encode, shard_number
from zarrc.engine.shard_read cimport name_inner
from zarrc.engine.shard_sink cimport sink_copy, sink_drop, sink_put, sink_put_at, sink_skip, sink_to_memory
from zarrc.engine.shard_view cimport view_close, view_inside, view_read
from zarrc.engine.write_part cimport encoded_drop, gather_change, gather_covering, zc_encoded
from zarrc.indexing.plan cimport plan_inside, plan_is_ordered, plan_part
from zarrc.kernels.chain cimport chain_encode_any
from zarrc.kernels.shard_index cimport shard_entry, shard_sort
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECORRUPT, ZC_ENOMEM, ZC_ETOOLARGE, ZC_OK
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, zc_worker_scratch

cdef extern from "zc_atomic.h":
    void zc_spin_lock(int *lock) noexcept nogil
    void zc_spin_unlock(int *lock) noexcept nogil
    void zc_pause_briefly() noexcept nogil
    bint zc_flag_is_raised(const int *flag) noexcept nogil

cdef enum:
    # What may wait to be added. It is less than that unless one inner chunk takes much longer than the others.
    MOST_PENDING_NBYTES = 64 << 20

cdef uint64_t ABSENT = <uint64_t>-1


cdef zc_status build_begin(zc_shard_build *build, zc_gather *gather, const zc_shard_layout *shard, const zc_plan *plan,
                           const zc_part *part, const zc_shard_list *listed, size_t part_index, const zc_shard_view *old,
                           bint appends, zc_shard_sink *sink) noexcept nogil:
    memset(build, 0, sizeof(zc_shard_build))
    build.gather, build.shard, build.listed, build.part_index = gather, shard, listed, part_index
    build.old, build.appends, build.sink = old, appends, sink
    plan_inside(&build.plan, plan, part, shard.order, shard.inner_shape)
    build.n_parts = build.plan.n_parts if listed is NULL else listed.n
    if listed is NULL and not plan_is_ordered(&build.plan) and _set_order(build) != ZC_OK:
        return ZC_ENOMEM
    build.entries = <zc_shard_entry *>malloc(shard.n_inner * sizeof(zc_shard_entry))
    build.pending = <zc_shard_pending *>calloc(build.n_parts or 1, sizeof(zc_shard_pending))
    if build.entries is NULL or build.pending is NULL:
        return ZC_ENOMEM
    memset(build.entries, 0xFF, shard.n_inner * sizeof(zc_shard_entry))
    if appends:
        memcpy(build.entries, old.index, shard.n_inner * sizeof(zc_shard_entry))
    return ZC_OK


cdef zc_status _set_order(zc_shard_build *build) noexcept nogil:
    """The parts that are not empty, in the order in which inner chunks are added."""
    cdef zc_part part
    cdef size_t n = 0
    cdef size_t i
    build.order = <zc_shard_range *>malloc((build.n_parts or 1) * sizeof(zc_shard_range))
    if build.order is NULL:
        return ZC_ENOMEM
    for i in range(build.n_parts):
        plan_part(&build.plan, i, &part)
        if not part.is_empty:
            build.order[n] = zc_shard_range(offset=shard_number(build.shard, part.chunk), nbytes=0, item=i)
            n += 1
    shard_sort(build.order, n)
    build.n_parts = n
    return ZC_OK


cdef zc_status build_part(zc_shard_build *build, size_t i, zc_worker *worker, int *step, char *where) noexcept nogil:
    cdef zc_encoded encoded
    cdef zc_shard_sink nested
    cdef zc_part part
    cdef zc_status status
    memset(&encoded, 0, sizeof(encoded))
    memset(&nested, 0, sizeof(nested))
    _part_at(build, i, &part)
    status = _encode_inner(build, &part, worker, &encoded, &nested, step, where)
    if status == ZC_OK:
        status = _add_in_turn(build, i, &part, &encoded, worker)
    if status != ZC_OK:
        _name_fault(build, &part, step, where)
    encoded_drop(&encoded)
    sink_drop(&nested)
    return status


cdef void _name_fault(const zc_shard_build *build, const zc_part *part, int *step, char *where) noexcept nogil:
    """The inner chunk that failed: the part's, or one that was to be taken over."""
    cdef zc_part kept
    if build.keeps_damaged:
        _place_of(build.shard, build.cursor, &kept)
        step[0] = FAILED_SHARD
        name_inner(where, &build.plan, &kept)
    elif part is not NULL and where[0] == 0:
        name_inner(where, &build.plan, part)


cdef void _place_of(const zc_shard_layout *shard, size_t number, zc_part *part) noexcept nogil:
    cdef int d
    for d in range(shard.ndim - 1, -1, -1):
        part.chunk[d] = number % shard.grid[d]
        number //= shard.grid[d]


cdef void _part_at(const zc_shard_build *build, size_t i, zc_part *part) noexcept nogil:
    cdef int64_t inside
    cdef int d
    if build.listed is NULL:
        plan_part(&build.plan, i if build.order is NULL else build.order[i].item, part)
        return
    _place_of(build.shard, build.listed.numbers[i], part)
    for d in range(build.shard.ndim):
        inside = build.plan.axis[d].extent - part.chunk[d] * build.shard.inner_shape[d]
        part.start[d], part.count[d] = 0, <size_t>min(inside, build.shard.inner_shape[d])
        part.low[d] = build.plan.axis[d].origin + part.chunk[d] * build.shard.inner_shape[d]
        part.inside[d] = part.count[d]
    part.result_offset = i * build.listed.value_nbytes
    part.covers = True
    part.is_empty = False


cdef zc_status _encode_inner(zc_shard_build *build, const zc_part *part, zc_worker *worker, zc_encoded *encoded,
                             zc_shard_sink *nested, int *step, char *where) noexcept nogil:
    cdef const uint8_t *old = NULL
    cdef zc_shard_entry entry
    cdef zc_status status
    entry.offset = entry.nbytes = 0
    if build.shard.nested is NULL and part.covers:
        return gather_covering(build.gather, part, build.part_index, worker, encoded, step)
    status = ZC_ABSENT
    if not part.covers and build.old is not NULL:
        status = _old_entry(build, shard_number(build.shard, part.chunk), worker, &entry)
    if status != ZC_OK and status != ZC_ABSENT:
        step[0] = FAILED_SHARD
        return status
    if build.shard.nested is not NULL:
        return _encode_nested(build, part, &entry if status == ZC_OK else NULL, worker, encoded, nested, step, where)
    if status == ZC_OK:
        status = view_read(build.old, worker, entry.offset, entry.nbytes, &old)
        if status != ZC_OK:
            return status
    return gather_change(build.gather, part, build.part_index, old, entry.nbytes, worker, encoded, step)


cdef zc_status _encode_nested(zc_shard_build *build, const zc_part *part, const zc_shard_entry *entry, zc_worker *worker,
                              zc_encoded *encoded, zc_shard_sink *nested, int *step, char *where) noexcept nogil:
    cdef const zc_shard_layout *shard = build.shard.nested
    cdef zc_shard_view view
    cdef bint is_empty = False
    cdef zc_status status = ZC_OK
    memset(&view, 0, sizeof(view))
    view.fd = -1
    if entry is not NULL:
        status = view_inside(&view, build.old, shard, worker, entry, step)
    if status == ZC_OK:
        sink_to_memory(nested, 0, False)
        status = build_alone(build.gather, shard, &build.plan, part, build.part_index, &view if entry is not NULL else NULL,
                             nested, worker, &is_empty, step, where)
    view_close(&view)
    encoded.is_empty, encoded.data, encoded.nbytes = is_empty, nested.data, nested.nbytes
    return status


cdef zc_status _old_entry(const zc_shard_build *build, size_t number, zc_worker *worker, zc_shard_entry *entry) noexcept nogil:
    """An inner chunk of the old shard, which is to be taken over or changed."""
    cdef zc_status status = shard_entry(build.old.index, number, build.old.nbytes, entry)
    if status == ZC_ECORRUPT:
        worker.detail = b"the index says that it lies outside the shard"
    elif status == ZC_OK and entry.nbytes > build.shard.inner_limit:
        worker.detail = b"it is larger than any encoding of an inner chunk"
        return ZC_ETOOLARGE
    return status


cdef zc_status _add_in_turn(zc_shard_build *build, size_t i, const zc_part *part, const zc_encoded *encoded,
                            zc_worker *worker) noexcept nogil:
    cdef zc_status status
    if _take_turn(build, i):
        status = _add(build, part, encoded.is_empty, encoded.data, encoded.nbytes, worker)
        zc_spin_lock(&build.lock)
        build.next += 1
        zc_spin_unlock(&build.lock)
    else:
        status = _leave(build, i, encoded)
        if status != ZC_OK or not _take_turn(build, i):
            return status
    if status == ZC_OK:
        status = _add_waiting(build, worker)
    return status


cdef bint _take_turn(zc_shard_build *build, size_t i) noexcept nogil:
    """Whether part 'i' is to be added now, by this thread, which then adds; waits while too much waits already."""
    cdef bint mine, goes_on
    while True:
        zc_spin_lock(&build.lock)
        mine = build.next == i and not build.is_busy
        if mine:
            build.is_busy = True
        goes_on = mine or build.pending[i].is_ready or build.pending_nbytes < MOST_PENDING_NBYTES
        zc_spin_unlock(&build.lock)
        if goes_on or zc_flag_is_raised(&build.gather.failure.claimed):
            return mine
        # Parts are handed out in order: some thread is at the one that comes next, and does not wait.
        zc_pause_briefly()


cdef zc_status _leave(zc_shard_build *build, size_t i, const zc_encoded *encoded) noexcept nogil:
    """Keep the encoded bytes for whoever adds the parts before."""
    cdef zc_shard_pending *pending = &build.pending[i]
    cdef uint8_t *data = NULL
    if not encoded.is_empty:
        data = <uint8_t *>malloc(encoded.nbytes or 1)
        if data is NULL:
            return ZC_ENOMEM
        memcpy(data, encoded.data, encoded.nbytes)
    zc_spin_lock(&build.lock)
    pending.data, pending.nbytes = data, 0 if encoded.is_empty else encoded.nbytes
    pending.is_ready = True
    build.pending_nbytes += pending.nbytes
    zc_spin_unlock(&build.lock)
    return ZC_OK


cdef zc_status _add_waiting(zc_shard_build *build, zc_worker *worker) noexcept nogil:
    """Add what was left by others, as far as it goes without a gap; then it is any thread's turn."""
    cdef zc_shard_pending taken
    cdef zc_part part
    cdef bint is_ready
    cdef zc_status status
    while True:
        zc_spin_lock(&build.lock)
        is_ready = build.next < build.n_parts and build.pending[build.next].is_ready
        if is_ready:
            taken = build.pending[build.next]
            build.pending[build.next].data = NULL
            build.pending_nbytes -= taken.nbytes
        else:
            build.is_busy = False
        zc_spin_unlock(&build.lock)
        if not is_ready:
            return ZC_OK
        _part_at(build, build.next, &part)
        status = _add(build, &part, taken.data is NULL, taken.data, taken.nbytes, worker)
        free(taken.data)
        if status != ZC_OK:
            return status
        zc_spin_lock(&build.lock)
        build.next += 1
        zc_spin_unlock(&build.lock)


cdef zc_status _add(zc_shard_build *build, const zc_part *part, bint is_empty, const uint8_t *data, size_t nbytes,
                    zc_worker *worker) noexcept nogil:
    """One inner chunk, and those that are kept before it."""
    cdef size_t number = shard_number(build.shard, part.chunk)
    cdef zc_shard_entry *entry = &build.entries[number]
    cdef zc_status status = _keep_until(build, number, worker)
    if status != ZC_OK:
        return status
    build.cursor = number + 1
    if is_empty:
        entry.offset = entry.nbytes = ABSENT
        return ZC_OK
    status = _make_room(build, worker)
    entry.offset, entry.nbytes = build.sink.nbytes + (build.old.nbytes if build.appends else 0), nbytes
    return sink_put(build.sink, worker, data, nbytes) if status == ZC_OK else status


cdef zc_status _make_room(zc_shard_build *build, zc_worker *worker) noexcept nogil:
    """For the index, where it comes first."""
    if build.shard.index_at_start and build.sink.nbytes == 0 and not build.appends:
        return sink_skip(build.sink, worker, build.shard.index_nbytes)
    return ZC_OK


cdef zc_status _keep_until(zc_shard_build *build, size_t end, zc_worker *worker) noexcept nogil:
    """Take over the old shard's inner chunks before number 'end'; neighbours that are neighbours there too, at once."""
    cdef zc_shard_entry entry
    cdef uint64_t first = 0
    cdef uint64_t nbytes = 0
    cdef zc_status status
    if build.old is NULL or build.appends:
        return ZC_OK
    while build.cursor < end:
        status = _old_entry(build, build.cursor, worker, &entry)
        build.keeps_damaged = status != ZC_OK and status != ZC_ABSENT
        if build.keeps_damaged:
            return status
        if status == ZC_OK:
            status = _make_room(build, worker)
            if status == ZC_OK and nbytes and entry.offset != first + nbytes:
                status = sink_copy(build.sink, worker, build.old, first, nbytes)
                nbytes = 0
            if status != ZC_OK:
                return status       # also ZC_ABSENT: the array's directory is gone
            if nbytes == 0:
                first = entry.offset
            build.entries[build.cursor] = zc_shard_entry(offset=build.sink.nbytes + nbytes, nbytes=entry.nbytes)
            nbytes += entry.nbytes
        build.cursor += 1
    return sink_copy(build.sink, worker, build.old, first, nbytes) if nbytes else ZC_OK


cdef zc_status build_finish(zc_shard_build *build, zc_worker *worker, bint *is_empty_ret, int *step,
                            char *where) noexcept nogil:
    cdef const zc_shard_layout *shard = build.shard
    cdef uint8_t *index
    cdef size_t i
    cdef zc_status status
    step[0] = FAILED_SHARD
    status = _keep_until(build, shard.n_inner, worker)
    if status != ZC_OK:
        _name_fault(build, NULL, step, where)
        return status
    is_empty_ret[0] = True
    for i in range(shard.n_inner):
        if build.entries[i].nbytes != ABSENT:
            is_empty_ret[0] = False
            break
    if is_empty_ret[0]:
        step[0] = -1
        return ZC_OK
    index = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, shard.index_nbytes)
    if index is NULL:
        return ZC_ENOMEM
    status = shard_index_encode(shard, worker, build.entries, index)
    if status == ZC_OK and shard.index_at_start and not build.appends:
        status = sink_put_at(build.sink, worker, 0, index, shard.index_nbytes)
    elif status == ZC_OK:
        status = sink_put(build.sink, worker, index, shard.index_nbytes)
    if status == ZC_OK:
        step[0] = -1
    return status


cdef void build_end(zc_shard_build *build) noexcept nogil:
    cdef size_t i
    if build.pending is not NULL:
        for i in range(build.n_parts):
            free(build.pending[i].data)
    free(build.pending)
    free(build.entries)
    free(build.order)
    build.pending, build.entries, build.order = NULL, NULL, NULL


cdef zc_status build_alone(zc_gather *gather, const zc_shard_layout *shard, const zc_plan *plan, const zc_part *part,
                           size_t part_index, const zc_shard_view *old, zc_shard_sink *sink, zc_worker *worker,
                           bint *is_empty_ret, int *step, char *where) noexcept nogil:
    cdef zc_shard_build build
    cdef size_t i = 0
    cdef zc_status status = build_begin(&build, gather, shard, plan, part, NULL, part_index, old, False, sink)
    while status == ZC_OK and i < build.n_parts:
        status = build_part(&build, i, worker, step, where)
        i += 1
    if status == ZC_OK:
        status = build_finish(&build, worker, is_empty_ret, step, where)
    build_end(&build)
    if status == ZC_OK and not is_empty_ret[0] and shard.outer is not NULL:
        status = build_wrap(shard, sink, worker, step)
    return status


cdef zc_status build_wrap(const zc_shard_layout *shard, zc_shard_sink *sink, zc_worker *worker, int *step) noexcept nogil:
    cdef const uint8_t *data = NULL
    cdef size_t nbytes = 0
    cdef int failed = -1
    cdef bint in_blob = sink.in_blob
    cdef zc_shard_sink wrapped
    cdef zc_status status = chain_encode_any(shard.outer, worker, sink.data, sink.nbytes, &data, &nbytes, &failed)
    if status != ZC_OK:
        step[0] = FAILED_SHARD if shard.is_inner or failed < 0 else FAILED_AROUND - failed
        if status == ZC_ETOOLARGE and failed < 0:
            worker.detail = b"with what is kept of it the shard is larger than any that is written here"
        return status
    sink_to_memory(&wrapped, nbytes, in_blob)
    status = sink_put(&wrapped, worker, data, nbytes)
    sink_drop(sink)
    sink[0] = wrapped
    return status
