# cython: language_level=3
"""The first thing that went wrong in a job, kept by the thread that met it for the caller to raise."""

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_INCREF, Py_XDECREF

from zarrc.errors import ChunkNotFoundError, CodecError, NodeNotFoundError, ZarrcError

from zarrc.indexing.plan cimport plan_part, zc_part
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EPYTHON, ZC_OK, exception_of

cdef extern from "zc_atomic.h":
    int zc_claim(int *flag) noexcept nogil


cdef void keep_failure(zc_failure *failure, zc_status status, size_t part, int step, const zc_worker *worker) noexcept nogil:
    if not zc_claim(&failure.claimed):
        return
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
    with gil:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            keep_exception(failure, <size_t>-1, error)
            return 1
    return 0


cdef int raise_failure(zc_failure *failure, const zc_plan *plan, Objects objects, Chain chain) except -1:
    if failure.status == ZC_OK:
        return 0
    key = _key_of(failure.part, plan, objects)
    if failure.exception is not NULL:
        error = <object>failure.exception
        Py_XDECREF(failure.exception)
        failure.exception = NULL
        raise _placed(error, objects, key)
    if failure.status == ZC_ABSENT:
        raise _missing(objects, key)
    codec = chain.name_of(failure.step) if chain is not None else None
    raise _placed(exception_of(failure.status, failure.detail, failure.error_number, codec), objects, key)


cdef str _key_of(size_t index, const zc_plan *plan, Objects objects):
    """The key of the part's object; None where the failure belongs to no part."""
    cdef zc_part part
    if index >= plan.n_parts:
        return None
    plan_part(plan, index, &part)
    return objects.key_of(part.chunk, plan.ndim)


def _missing(Objects objects, key):
    """Of a read where missing chunks are errors, or of a write whose array was deleted meanwhile."""
    if objects.gone():
        return NodeNotFoundError("the array was deleted", array=objects.node_path, key=key)
    return ChunkNotFoundError(
        "the chunk is not stored, and read_missing_chunks is False", array=objects.node_path, key=key
    )


def _placed(error, Objects objects, key):
    """The error with array and key, where it has none yet; an error of a user's codec becomes one of ours."""
    if isinstance(error, ZarrcError):
        error.array = objects.node_path if error.array is None else error.array
        error.key = key if error.key is None else error.key
        return error
    if key is None or not isinstance(error, Exception) or isinstance(error, MemoryError):
        return error
    placed = CodecError(f"{type(error).__name__}: {error}", array=objects.node_path, key=key)
    placed.__cause__ = error
    return placed
