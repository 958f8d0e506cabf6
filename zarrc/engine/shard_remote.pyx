# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The read path of sharded arrays on stores in Python.

Of each shard either the whole object is asked for, or its index and then the ranges that are wanted, those of several shards
together. What is read of a shard is of one version: the blobs say so, or the index is read again afterwards and compared;
else it is read once more.
"""

# Not at the first read that trusts an index: a child that is forked while another thread imports waits for ever.
import zarrc.engine.trusted_indexes  # noqa: F401
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage.bounded import bounded

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from zarrc.engine.cached cimport (
    cached_absent,
    cached_has,
    cached_hold,
    cached_init,
    cached_inside,
    cached_is_absent,
    cached_object,
    cached_release,
    cached_serve,
    zc_cached_object,
)
from zarrc.engine.failure cimport FAILED_SHARD, keep_failure_inside, poll_signals, raise_failure, take_owned, zc_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport MAX_KEY_NBYTES, all_of, answers_of, given_bytes, object_name
from zarrc.engine.read_part cimport scatter_init, zc_scatter
from zarrc.engine.shard_layout cimport shard_number, zc_shard_layout
from zarrc.engine.shard_read cimport (
    shard_fill,
    shard_leaf_plan,
    shard_leaves,
    shard_read_run,
    shard_unwant,
    shard_want,
    zc_shard_joining,
    zc_shard_wanted,
)
from zarrc.engine.shard_view cimport view_bytes, view_close, view_index, zc_shard_view
from zarrc.indexing.plan cimport plan_inside, plan_n_met, plan_nbytes, plan_part, zc_part
from zarrc.kernels.blob cimport Blob
from zarrc.kernels.chain cimport chain_object_limit
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_OK, check, zc_status
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker

cdef enum:
    # Shards that are asked for together, and the bytes of what is asked for: there may be more of them where that is one.
    MOST_SHARDS = 64
    # A request costs as much as so many bytes, and one that is longer is better made two (zarr-python's figures).
    GAP_NBYTES = 1 << 20
    RUN_NBYTES = 16 << 20
    # What is decoded together of ranges that come, for each thread: it pays to wake one, and the last ones are soon decoded.
    GROUP_NBYTES = 512 << 10
    # A shard that changes as often while it is read is given up.
    ROUNDS = 8

cdef uint64_t WINDOW_NBYTES = 64 << 20


cdef class _Job:
    """One read."""

    cdef zc_scatter scatter         # of the innermost chunks
    cdef zc_plan leaf
    cdef const zc_plan *plan
    cdef const zc_shard_layout *shard
    cdef Objects objects
    cdef zc_shard_joining joining
    cdef uint64_t shard_nbytes      # decoded
    cdef object most                # bytes of a shard that is read whole
    cdef int n_threads
    cdef object indexes             # key -> (index, object size, version), where they are trusted; else None


@cython.final
cdef class _Shard:
    """One shard of the read: what is asked of it, and what came."""

    cdef _Job job
    cdef size_t part_index
    cdef zc_part part
    cdef readonly str key
    cdef readonly bint whole        # the object is asked for, not its index
    cdef uint64_t wanted_nbytes     # decoded
    cdef object index               # its stored bytes, where it was asked for
    cdef object version
    cdef object held                # the object's bytes, where the view is over them
    cdef zc_shard_view view
    cdef zc_shard_wanted wanted
    cdef readonly bint changed      # meanwhile: what was read is of two versions
    cdef zc_cached_object cached
    cdef bint left                  # not all of it was decoded, because of another that changed

    def __dealloc__(self):
        shard_unwant(&self.wanted)
        view_close(&self.view)

    cdef _forget(self):
        shard_unwant(&self.wanted)
        view_close(&self.view)
        self.index = self.version = self.held = None
        self.changed = self.left = False


ctypedef struct zc_remote_task:
    const zc_shard_view *view
    const zc_shard_wanted *wanted
    size_t run
    const uint8_t *data             # of the run; NULL: it is in the view
    size_t part_index

ctypedef struct zc_remote_tasks:
    zc_scatter *scatter
    const zc_shard_layout *shard
    zc_remote_task *tasks


cdef int read_remote_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *result, int n_threads,
                            config) except -1:
    cdef _Job job = _Job.__new__(_Job)
    cdef ChunkLayout leaf = layout.leaf()
    cdef list window = []
    cdef uint64_t nbytes = 0
    cdef _Shard shard
    cdef size_t i
    job.plan, job.shard, job.objects, job.n_threads = plan, &layout.c, objects, n_threads
    job.shard_nbytes = leaf.c.itemsize
    for extent in layout.shape:
        job.shard_nbytes *= extent
    # What is around a shard tells how large it is; others may leave gaps in theirs, which need not be read.
    job.most = 4 * layout.bound() if layout.outer is None else chain_object_limit(&layout.outer.c)
    gap, limit = config.sharding_coalesce_max_gap_bytes, config.sharding_coalesce_max_bytes
    job.joining.gap = GAP_NBYTES if gap is None else gap
    job.joining.limit = RUN_NBYTES if limit is None else limit
    job.indexes = None
    if config.shard_index == "trust":
        job.indexes = objects.trusted_indexes(config, layout.c.index_nbytes)
    shard_leaf_plan(&job.leaf, plan, &layout.c)
    scatter_init(&job.scatter, &job.leaf, leaf, result, plan_nbytes(plan, leaf.c.itemsize), not config.read_missing_chunks)
    cached_init(&job.scatter, objects, leaf, shard_leaves(plan, &layout.c))
    cached_hold(&job.scatter)
    for i in range(plan.n_parts):
        shard = _new_shard(job, i)
        if not shard.part.is_empty and not _serve(job, shard):
            window.append(shard)
            nbytes += shard.wanted_nbytes
        if window and (len(window) == MOST_SHARDS or nbytes >= WINDOW_NBYTES or i == plan.n_parts - 1):
            try:
                _read_window(job, window)
            finally:
                # What was kept of shards that had changed meanwhile is forgotten by now; this is what an error has left.
                cached_release(&job.scatter, False)
            raise_failure(&job.scatter.failure, plan, objects, leaf.chain, layout.outer)
            window, nbytes = [], 0
    return job.scatter.missing


cdef _Shard _new_shard(_Job job, size_t part_index):
    cdef _Shard shard = _Shard.__new__(_Shard)
    cdef zc_plan inner
    shard.view.fd = -1
    shard.job, shard.part_index = job, part_index
    plan_part(job.plan, part_index, &shard.part)
    shard.key = job.objects.key_of(shard.part.chunk, job.plan.ndim)
    plan_inside(&inner, job.plan, &shard.part, job.shard.order, job.shard.inner_shape)
    shard.wanted_nbytes = min(job.shard_nbytes, job.shard_nbytes // job.shard.n_inner * plan_n_met(&inner))
    # What a range read would spare is worth less than its requests; and what is around a shard must be read whole.
    shard.whole = (job.shard.outer is not NULL or job.shard_nbytes - shard.wanted_nbytes <= job.joining.gap
                   or 2 * shard.wanted_nbytes >= job.shard_nbytes)
    return shard


cdef bint _serve(_Job job, _Shard shard) except -1:
    """Whether all that is wanted of the shard was in the cache, and has been read from there."""
    cdef char name[MAX_KEY_NBYTES]
    cdef zc_cached_object inner
    cdef zc_plan plan
    cdef zc_part part
    cdef size_t i
    cdef bint served = True
    cdef int looking
    cached_object(&job.scatter, &job.objects.c, name, object_name(&job.objects.c, shard.part.chunk, job.plan.ndim, name),
                  &shard.cached)
    if not shard.cached.is_known:
        return False
    if cached_is_absent(&job.scatter, &shard.cached):
        return shard_fill(&job.scatter, job.plan, &shard.part) == ZC_OK
    if job.shard.nested is not NULL:
        return False
    plan_inside(&plan, job.plan, &shard.part, job.shard.order, job.shard.inner_shape)
    with nogil:
        # First whether all are there: of a shard that is asked for anyway the others come with it.
        for looking in range(1, -1, -1):
            for i in range(plan.n_parts):
                plan_part(&plan, i, &part)
                if part.is_empty:
                    continue
                cached_inside(&shard.cached, shard_number(job.shard, part.chunk), &inner)
                served = (cached_has(&job.scatter, &inner) if looking
                          else cached_serve(&job.scatter, NULL, NULL, 0, &inner, &part))
                if not served:
                    break
            if not served:
                break
    return served


cdef int _read_window(_Job job, list shards) except -1:
    cdef _Shard shard
    for _ in range(ROUNDS):
        _fetch_heads(job, shards)
        if job.scatter.failure.claimed:
            return 0
        _read_whole(job, [shard for shard in shards if (<_Shard>shard).held is not None])
        if not job.scatter.failure.claimed:
            _read_ranges(job, [shard for shard in shards if (<_Shard>shard).wanted.n_runs and (<_Shard>shard).held is None])
        if job.scatter.failure.claimed and not _failed_by_change(job, shards):
            return 0
        shards = [shard for shard in shards if (<_Shard>shard).changed or (<_Shard>shard).left]
        cached_release(&job.scatter, not shards)
        if not shards:
            return 0
        for shard in shards:
            if job.indexes is not None and shard.changed:
                job.indexes.drop(shard.key)
            shard._forget()
    raise StoreConflictError(f"the shard changed {ROUNDS} times while it was read", key=shards[0].key)


cdef bint _failed_by_change(_Job job, list shards) except -1:
    """Whether what could not be decoded was of another version than its index: it is no failure then."""
    cdef zc_failure *failure = &job.scatter.failure
    cdef _Shard shard
    for shard in shards:
        if shard.part_index == failure.part and shard.held is None and shard.index is not None and failure.interrupt is NULL:
            _check_versions(job, [shard], of_index=True)
            if shard.changed:
                take_owned(&failure.exception)
                memset(failure, 0, sizeof(zc_failure))
                _leave(shards)
                return True
    return False


cdef int _leave(list shards) except -1:
    """Read what may not have been decoded, of shards that did not change themselves, once more."""
    cdef _Shard shard
    for shard in shards:
        shard.left = True
    return 0


cdef int _fetch_heads(_Job job, list shards) except -1:
    """The whole objects and the indexes, and what is wanted of each shard."""
    cdef _Shard shard
    cdef int64_t start = _index_start(job)
    requests, asked = [], []
    for shard in shards:
        known = None if job.indexes is None or shard.whole else job.indexes.get(shard.key)
        if known is not None:
            stored, nbytes, version = known
            _take_index(job, shard, stored, nbytes, version)
            continue
        asked.append(shard)
        requests.append((shard.key, None if shard.whole else (start, <object>job.shard.index_nbytes)))
    for shard, blob in _answers(job, requests, asked):
        if job.scatter.failure.claimed:
            return 0
        if blob is None:
            _fill(job, shard)
        elif shard.whole:
            shard.held = given_bytes(blob, shard.key)
        else:
            stored = bytes(given_bytes(blob, shard.key))
            nbytes, version = getattr(blob, "object_nbytes", None), _version_of(blob)
            if job.indexes is not None:
                job.indexes.put(shard.key, (stored, nbytes, version))
            _take_index(job, shard, stored, nbytes, version)
    return 0


cdef int _fill(_Job job, _Shard shard) except -1:
    """A shard that is not stored."""
    cdef zc_worker *worker
    cdef zc_status status = shard_fill(&job.scatter, job.plan, &shard.part)
    cached_absent(&job.scatter, &shard.cached)
    if status == ZC_OK:
        return 0
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the read")
    keep_failure_inside(&job.scatter.failure, status, shard.part_index, -1, worker, b"")
    return_worker(worker)
    return 0


def _answers(_Job job, list requests, list shards):
    """(shard, blob or None) of each request; a shard too short for its index is asked for as a whole, which then fails."""
    if not requests:
        return
    store = bounded(job.objects.store, job.most)
    try:
        answers = all_of(store, requests)
    except StoreError:
        answers = [_one_answer(job, store, request, shard) for request, shard in zip(requests, shards)]
    yield from zip(shards, answers)


cdef object _one_answer(_Job job, store, request, _Shard shard):
    key, wanted = request
    try:
        return store.get(key, wanted)
    except StoreError:
        if wanted is None and (job.shard.outer is not NULL or store is job.objects.store):
            raise
        stat = job.objects.store.stat(key)
        if wanted is None:
            if stat is None or stat.nbytes <= job.most:
                raise
            # Most of it is in no inner chunk: the index tells what is.
            shard.whole = False
            return job.objects.store.get(key, (_index_start(job), <object>job.shard.index_nbytes))
        if stat is None or stat.nbytes >= job.shard.index_nbytes:
            raise
        shard.whole = True
        return store.get(key)


cdef int64_t _index_start(_Job job) noexcept:
    return 0 if job.shard.index_at_start else -<int64_t>job.shard.index_nbytes


cdef int _take_index(_Job job, _Shard shard, bytes stored, nbytes, version) except -1:
    """Look up what is wanted in the index."""
    cdef zc_worker *worker
    cdef zc_status status
    cdef char where[160]
    cdef int step = FAILED_SHARD
    if len(stored) != <Py_ssize_t>job.shard.index_nbytes:
        raise StoreError(f"{len(stored)} bytes came where {job.shard.index_nbytes} of an index were asked for", key=shard.key)
    shard.index, shard.version = stored, version
    # A range that leaves an object of unknown size is found by the store.
    shard.view.nbytes = nbytes if nbytes is not None else <uint64_t>1 << 62
    where[0] = 0
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the read")
    status = view_index(&shard.view, job.shard, worker, <const uint8_t *><const char *>stored, &step)
    shard.view.cached = shard.cached
    if status == ZC_OK:
        worker.detail = NULL
        step = -1
        status = shard_want(&job.scatter, job.shard, &shard.view, job.plan, &shard.part, &job.joining, worker, &shard.wanted,
                            &step, where)
    if status != ZC_OK:
        keep_failure_inside(&job.scatter.failure, status, shard.part_index, step, worker, where)
    return_worker(worker)
    return 0


cdef int _read_whole(_Job job, list shards) except -1:
    cdef zc_worker *worker
    cdef zc_shard_joining joining
    cdef const uint8_t[::1] view
    cdef char where[160]
    cdef _Shard shard
    cdef int step
    cdef zc_status status
    # In memory a run is only what one task takes.
    joining.gap = joining.limit = 64 << 10
    joining.decoded = 4 << 20
    for shard in shards:
        view = shard.held
        where[0] = 0
        step = -1
        worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker for the read")
        status = view_bytes(&shard.view, job.shard, worker, &view[0] if view.shape[0] else <const uint8_t *>b"",
                            view.shape[0], &step)
        shard.view.cached = shard.cached
        if status == ZC_OK:
            status = shard_want(&job.scatter, job.shard, &shard.view, job.plan, &shard.part, &joining, worker,
                                &shard.wanted, &step, where)
        if status != ZC_OK:
            keep_failure_inside(&job.scatter.failure, status, shard.part_index, step, worker, where)
        return_worker(worker)
        if status != ZC_OK:
            return 0
    return _decode(job, [(shard, i, None) for shard in shards for i in range((<_Shard>shard).wanted.n_runs)])


cdef int _read_ranges(_Job job, list shards) except -1:
    cdef _Shard shard
    cdef uint64_t nbytes = 0
    cdef size_t i
    window = []
    for shard in shards:
        for i in range(shard.wanted.n_runs):
            window.append((shard, i))
            nbytes += shard.wanted.runs[i].nbytes
            if nbytes >= WINDOW_NBYTES:
                _read_range_window(job, window)
                window, nbytes = [], 0
            if job.scatter.failure.claimed:
                return 0
    if window:
        _read_range_window(job, window)
    _check_versions(job, shards)
    return 0


cdef int _read_range_window(_Job job, list window) except -1:
    """Ask for ranges, and decode those that came while others are on their way."""
    cdef _Shard shard
    cdef list came = []
    cdef uint64_t nbytes = 0
    cdef size_t i
    requests = [((<_Shard>shard).key, ((<_Shard>shard).wanted.runs[<size_t>i].offset,
                                       (<_Shard>shard).wanted.runs[<size_t>i].nbytes)) for shard, i in window]
    try:
        for number, blob in answers_of(job.objects.store, requests):
            shard, i = window[number]
            if _take_range(shard, i, blob, came):
                nbytes += shard.wanted.runs[i].n * job.shard.leaf.nbytes
            if nbytes >= <uint64_t>GROUP_NBYTES * <uint64_t>job.n_threads:
                _decode(job, _of_one_version(came))
                came, nbytes = [], 0
                if job.scatter.failure.claimed:
                    return 0
    except StoreError:
        # A shard that became shorter: its index tells.
        _check_versions(job, list({id(shard): shard for shard, _ in window}.values()), of_index=True)
        if not any([(<_Shard>shard).changed for shard, _ in window]):
            raise
        _leave([shard for shard, _ in window])
        return 0
    return _decode(job, _of_one_version(came))


cdef bint _take_range(_Shard shard, size_t run, blob, list came) except -1:
    """Whether there is a run to decode."""
    same = blob is not None and _same_version(_version_of(blob), shard.version)
    if blob is None or same is False:
        shard.changed = True
        return False
    if same is None:
        shard.version = None        # ranges do not say: the index will
    data = given_bytes(blob, shard.key)
    if <uint64_t>len(data) != shard.wanted.runs[run].nbytes:
        raise StoreError(f"{len(data)} bytes came where {shard.wanted.runs[run].nbytes} were asked for", key=shard.key)
    came.append((shard, run, data))
    return True


cdef list _of_one_version(list came):
    return [task for task in came if not (<_Shard>task[0]).changed]


cdef object _version_of(blob):
    """A text, or the object that has all bytes (a text would be made of them, at each range), or None: not known."""
    cdef Blob ours
    if type(blob) is not Blob:
        return getattr(blob, "version", None)
    ours = blob
    if ours.known_version is not None:
        return ours.known_version
    return ours.owner if ours.owner is not None and len(ours.owner) == ours.object_nbytes else None


cdef object _same_version(left, right):
    """Whether two blobs are of one version; None where that is not known."""
    if left is None or right is None:
        return None
    if left is right:
        return True
    return left == right if isinstance(left, str) and isinstance(right, str) else None


cdef int _check_versions(_Job job, list shards, bint of_index=False) except -1:
    """Read the index again where nothing else tells whether the ranges were of its version."""
    cdef _Shard shard
    cdef int64_t start = _index_start(job)
    if job.indexes is not None and not of_index:
        return 0        # trusted
    unsure = [shard for shard in shards if (of_index or (<_Shard>shard).version is None) and not (<_Shard>shard).changed]
    if not unsure:
        return 0
    requests = [((<_Shard>shard).key, (start, <object>job.shard.index_nbytes)) for shard in unsure]
    try:
        answers = all_of(job.objects.store, requests)
    except StoreError:
        answers = [None] * len(unsure)
    for shard, blob in zip(unsure, answers):
        if blob is None or bytes(given_bytes(blob, shard.key)) != shard.index:
            shard.changed = True
    return 0


cdef int _decode(_Job job, list tasks) except -1:
    """Decode runs: (shard, run, its bytes or None where the shard's view has them)."""
    cdef zc_remote_tasks all_of_them
    cdef const uint8_t[::1] view
    cdef _Shard shard
    cdef size_t n = len(tasks)
    cdef size_t nbytes = 0
    cdef size_t i
    cdef zc_status status
    if n == 0:
        return 0
    all_of_them.scatter, all_of_them.shard = &job.scatter, job.shard
    all_of_them.tasks = <zc_remote_task *>malloc(n * sizeof(zc_remote_task))
    if all_of_them.tasks is NULL:
        raise MemoryError(f"{n} ranges")
    try:
        for i in range(n):
            shard, run, data = tasks[i]
            all_of_them.tasks[i] = zc_remote_task(view=&shard.view, wanted=&shard.wanted, run=run, data=NULL,
                                                  part_index=shard.part_index)
            nbytes += max(shard.wanted.runs[<size_t>run].n * job.shard.leaf.nbytes,
                          shard.wanted_nbytes // shard.wanted.n_runs if job.shard.nested is not NULL else 0)
            if data is not None:
                view = data
                all_of_them.tasks[i].data = &view[0] if view.shape[0] else <const uint8_t *>b""
        with nogil:
            status = pool_run(_decode_tasks, _poll, &all_of_them, n, grain_of(nbytes // n),
                              threads_for(n, nbytes // n, False, job.n_threads))
        check(status, detail_of(status), 0, None)
    finally:
        free(all_of_them.tasks)
    return 0


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_remote_tasks *>context).scatter.failure)


cdef int _decode_tasks(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_remote_tasks *job = <zc_remote_tasks *>context
    cdef const zc_remote_task *task
    cdef char where[160]
    cdef size_t i
    cdef int step
    cdef zc_status status
    for i in range(first, first + count):
        task = &job.tasks[i]
        where[0] = 0
        step = -1
        worker.detail = NULL
        status = shard_read_run(job.scatter, job.shard, task.view, task.wanted, task.run, task.data, task.part_index, worker,
                                &step, where)
        if status != ZC_OK:
            keep_failure_inside(&job.scatter.failure, status, task.part_index, step, worker, where)
            return 1
    return 0
