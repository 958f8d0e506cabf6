# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""How much of a stored shard is in use, by its index."""

from zarrc.errors import StoreError

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from zarrc.engine.failure cimport keep_failure_inside, raise_failure, zc_failure
from zarrc.engine.objects cimport MAX_KEY_NBYTES, PLACE_PYTHON, given_bytes, object_name
from zarrc.engine.shard_layout cimport zc_shard_layout
from zarrc.engine.shard_view cimport view_bytes, view_close, view_index, view_open, zc_shard_view
from zarrc.indexing.plan cimport plan_inside, plan_part, zc_part
from zarrc.kernels.shard_index cimport shard_entry, zc_shard_entry
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECORRUPT, ZC_EINVAL, ZC_ELENGTH, ZC_OK, zc_status
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker


cdef object usage_of_shard(const zc_plan *plan, ShardLayout layout, Objects objects):
    cdef zc_shard_view view
    cdef zc_failure failure
    cdef zc_part part
    cdef zc_plan inner
    cdef size_t n_stored = 0
    cdef uint64_t used = layout.c.index_nbytes
    cdef uint64_t nbytes = 0
    cdef int step = -1
    cdef zc_status status
    cdef zc_worker *worker
    memset(&failure, 0, sizeof(failure))
    memset(&view, 0, sizeof(view))
    view.fd = -1
    plan_part(plan, 0, &part)
    plan_inside(&inner, plan, &part, layout.c.order, layout.c.inner_shape)
    held = _from_python(plan, layout, objects) if objects.c.place == PLACE_PYTHON else None
    worker = lease_worker()
    if worker is NULL:
        raise MemoryError("a worker for the index")
    if objects.c.place == PLACE_PYTHON:
        status = _view_of(&view, layout, worker, held, &step)
    else:
        status = _view_near(&view, plan, &part, layout, objects, worker, &step)
    if status == ZC_OK:
        nbytes = view.nbytes
        status = _count(&view, &layout.c, &inner, worker, &n_stored, &used)
    if status != ZC_OK and status != ZC_ABSENT:
        keep_failure_inside(&failure, status, 0, step, worker, b"")
    view_close(&view)
    return_worker(worker)
    raise_failure(&failure, plan, objects, None, layout.outer)
    return None if status == ZC_ABSENT else (nbytes, min(used, nbytes), n_stored)


cdef zc_status _view_near(zc_shard_view *view, const zc_plan *plan, const zc_part *part, ShardLayout layout, Objects objects,
                          zc_worker *worker, int *step):
    cdef char name[MAX_KEY_NBYTES]
    cdef size_t name_nbytes = object_name(&objects.c, part.chunk, plan.ndim, name)
    if name_nbytes == 0:
        return ZC_EINVAL
    return view_open(view, &objects.c, &layout.c, worker, name, name_nbytes, step)


cdef object _from_python(const zc_plan *plan, ShardLayout layout, Objects objects):
    """(stored index, size of the object), or (the whole object, None) where less does not do; None: there is none."""
    cdef size_t n = layout.c.index_nbytes
    key = objects.key_of_part(plan, 0)
    if layout.outer is None:
        try:
            blob = objects.store.get(key, (0, n) if layout.c.index_at_start else (-<int64_t>n, None))
            if blob is None:
                return None
            nbytes = getattr(blob, "object_nbytes", None)
            if nbytes is None:
                stat = objects.store.stat(key)
                return None if stat is None else (given_bytes(blob, key), stat.nbytes)
            return given_bytes(blob, key), nbytes
        except StoreError:
            pass        # an object that is shorter than its index is no fault of the store
    blob = objects.store.get(key)
    return None if blob is None else (given_bytes(blob, key), None)


cdef zc_status _view_of(zc_shard_view *view, ShardLayout layout, zc_worker *worker, held, int *step):
    cdef const uint8_t[::1] data
    if held is None:
        return ZC_ABSENT
    stored, nbytes = held
    data = stored
    if nbytes is None:
        return view_bytes(view, &layout.c, worker, &data[0] if data.shape[0] else <const uint8_t *>b"", data.shape[0], step)
    if <size_t>data.shape[0] != layout.c.index_nbytes:
        return ZC_ELENGTH
    view.nbytes = nbytes
    return view_index(view, &layout.c, worker, &data[0], step)


cdef zc_status _count(const zc_shard_view *view, const zc_shard_layout *shard, const zc_plan *inner, zc_worker *worker,
                      size_t *n_ret, uint64_t *nbytes_io) noexcept nogil:
    """Inner chunks that are wholly past the array's end take room, but do not count."""
    cdef zc_shard_entry entry
    cdef size_t i
    cdef zc_status status
    for i in range(shard.n_inner):
        status = shard_entry(view.index, i, view.nbytes, &entry)
        if status == ZC_ECORRUPT:
            worker.detail = b"the index says that an inner chunk lies outside the shard"
        if status == ZC_OK:
            n_ret[0] += _is_inside(shard, inner, i)
            nbytes_io[0] += min(entry.nbytes, view.nbytes)
        elif status != ZC_ABSENT:
            return status
    return ZC_OK


cdef bint _is_inside(const zc_shard_layout *shard, const zc_plan *inner, size_t number) noexcept nogil:
    cdef int d
    for d in range(shard.ndim - 1, -1, -1):
        if <int64_t>(number % shard.grid[d]) * shard.inner_shape[d] >= inner.axis[d].extent:
            return False
        number //= shard.grid[d]
    return True
