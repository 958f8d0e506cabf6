"""The first thing that went wrong in a job, kept by the thread that met it for the caller to raise."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from zarrc.kernels.chain cimport Chain
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker
from zarrc.engine.objects cimport Objects
from zarrc.indexing.plan cimport zc_plan

cdef enum:
    FAILED_SHARD = -2
    FAILED_AROUND = -16     # that and less: -16 - i is codec i of those around a shard

ctypedef struct zc_failure:
    int claimed             # by the first thread that fails
    zc_status status        # ZC_OK: none yet
    size_t part
    int step                # of the chain; -1 outside it; FAILED_SHARD in the shard around it
    int error_number
    const char *detail
    char where[160]         # in the object: which inner chunk of a shard; empty: no more than the key says
    PyObject *exception     # owned; of a step in Python
    PyObject *interrupt     # owned; of a signal's handler

# Keep a failure unless one is kept already.
cdef void keep_failure(zc_failure *failure, zc_status status, size_t part, int step, const zc_worker *worker) noexcept nogil

# The same for something inside a part's object: 'where' is a short text.
cdef void keep_failure_inside(zc_failure *failure, zc_status status, size_t part, int step, const zc_worker *worker,
                              const char *where) noexcept nogil

# Keep the Python exception 'error' (with the GIL).
cdef void keep_exception(zc_failure *failure, size_t part, object error) noexcept

# Run Python's signal handlers; 1 if one raised.  A zc_poll's body.
cdef int poll_signals(zc_failure *failure) noexcept nogil

# The same in a loop of jobs that may each be too short for a poll: about every 50 ms, by '*polled_ns', which begins as 0.
cdef int poll_at_times(zc_failure *failure, int64_t *polled_ns) noexcept nogil

# The object that was owned, or None; it is not owned any more.
cdef object take_owned(PyObject **owned)

# Let go of what was kept, if it was not raised.
cdef void drop_failure(zc_failure *failure)

# Raise what was kept, with key and codec; 0 if nothing was.
# 'around': the codecs around a shard.
cdef int raise_failure(zc_failure *failure, const zc_plan *plan, Objects objects, Chain chain, Chain around=*) except -1
