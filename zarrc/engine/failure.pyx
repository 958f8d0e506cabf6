# cython: language_level=3
"""The first thing that went wrong in a job, kept by the thread that met it for the caller to raise."""

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport strncpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from zarrc.errors import ChunkNotFoundError, NodeNotFoundError, ZarrcError

from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, ZC_ELENGTH, ZC_EPYTHON, ZC_OK, exception_of

cdef extern from "zc_thread.h":
    int zc_is_main_thread() noexcept nogil

cdef extern from "zc_atomic.h":
    int zc_claim(int *flag) noexcept nogil

cdef int64_t POLL_INTERVAL_NS = 50000000


cdef void keep_failure(zc_failure *failure, zc_status status, size_t part, int step, const zc_worker *worker) noexcept nogil:
    keep_failure_inside(failure, status, part, step, worker, b"")


cdef void keep_failure_inside(zc_failure *failure, zc_status status, size_t part, int step, const zc_worker *worker,
                              const char *where) noexcept nogil:
    if not zc_claim(&failure.claimed):
        return
    strncpy(failure.where, where, sizeof(failure.where) - 1)
    failure.status = status
    failure.part = part
    failure.step = step
    failure.error_number = worker.error_number
    failure.detail = worker.detail


cdef void keep_exception(zc_failure *failure, size_t part, object error) noexcept:
    if not zc_claim(&failure.claimed):
        return
    Py_INCREF(error)
    failure.exception = <PyObject *>error
    failure.part = part
    failure.step = -1
    failure.status = ZC_EPYTHON


cdef int poll_signals(zc_failure *failure) noexcept nogil:
    # Python runs handlers on its main thread only. Any other must not ask for the GIL here: a daemon thread that does so
    # while the interpreter ends is ended on the spot, with its job on its stack and other threads at work on it.
    if not zc_is_main_thread():
        return 0
    with gil:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            _keep_interrupt(failure, error)
            return 1
    return 0


cdef int poll_at_times(zc_failure *failure, int64_t *polled_ns) noexcept nogil:
    cdef timespec now
    cdef int64_t now_ns
    clock_gettime(CLOCK_MONOTONIC, &now)
    now_ns = <int64_t>now.tv_sec * 1000000000 + now.tv_nsec
    if polled_ns[0] == 0:
        polled_ns[0] = now_ns
    if now_ns - polled_ns[0] < POLL_INTERVAL_NS:
        return 0
    polled_ns[0] = now_ns
    return poll_signals(failure)


cdef void _keep_interrupt(zc_failure *failure, object error) noexcept:
    """What a signal's handler raised goes before anything else: nobody but the caller's thread comes here."""
    if failure.interrupt is NULL:
        Py_INCREF(error)
        failure.interrupt = <PyObject *>error
    if zc_claim(&failure.claimed):
        failure.status = ZC_ECANCELLED


cdef int raise_failure(zc_failure *failure, const zc_plan *plan, Objects objects, Chain chain, Chain around=None) except -1:
    if failure.status == ZC_OK:
        return 0
    interrupt = take_owned(&failure.interrupt)
    error = take_owned(&failure.exception)
    if interrupt is not None:
        raise interrupt
    # A failure of the job as a whole belongs to no part.
    key = objects.key_of_part(plan, failure.part) if failure.part < plan.n_parts else None
    if error is not None:
        raise _placed(error, key)
    if failure.status == ZC_ABSENT:
        raise _missing(objects, key, failure.where.decode())
    codec = chain.name_of(failure.step) if chain is not None else None
    if failure.step == FAILED_SHARD:
        codec = "sharding_indexed"
    elif failure.step <= FAILED_AROUND and around is not None:
        codec = around.name_of(FAILED_AROUND - failure.step)
    elif codec is None and failure.status == ZC_ELENGTH:
        codec = "bytes"     # nothing encodes the chunk but the codec that every chain has
    raised = exception_of(failure.status, failure.detail, failure.error_number, codec)
    if failure.where[0] and isinstance(raised, ZarrcError):
        raised.message = f"{raised.message}; in {failure.where.decode()}"
    raise _placed(raised, key)


cdef object take_owned(PyObject **owned):
    if owned[0] is NULL:
        return None
    taken = <object>owned[0]
    Py_DECREF(taken)
    owned[0] = NULL
    return taken


cdef void drop_failure(zc_failure *failure):
    take_owned(&failure.exception)
    take_owned(&failure.interrupt)


def _missing(Objects objects, key, str where):
    """Of a read where missing chunks are errors, or of a write whose array was deleted meanwhile."""
    if objects.gone():
        return NodeNotFoundError("the array was deleted", key=key)
    return ChunkNotFoundError(f"{where or 'the chunk'} is not stored, and read_missing_chunks is False", key=key)


def _placed(error, key):
    """The error, one of ours with its key where it has none yet."""
    if isinstance(error, ZarrcError) and error.key is None:
        error.key = key
    return error
