"""A selection: what the user typed, in plain numbers."""

from libc.stdint cimport int64_t

cdef enum:
    MAX_NDIM = 32           # dimensions of an array
    MAX_RESULT_NDIM = 64    # NumPy's limit: newaxis adds dimensions

# One axis of the array: 'count' indices from 'start' on, 'step' apart ('step' may be negative).
ctypedef struct zc_axis:
    int64_t start
    int64_t step
    int64_t count
    int result_axis         # dimension of the result that runs along this axis; -1 if an integer dropped it

cdef class Selection:
    cdef int ndim
    cdef zc_axis axis[MAX_NDIM]
    cdef int result_ndim
    cdef int64_t result_shape_[MAX_RESULT_NDIM]
    cdef bint is_scalar     # integers on every axis, and nothing else: the result is a NumPy scalar

# Parse a basic selection for an array of 'ndim' dimensions of 'shape'.
cdef Selection parse_basic(object key, int ndim, const int64_t *shape)
