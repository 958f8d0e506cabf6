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
    int group               # that has this axis' indices in lists, and nothing of the above counts; -1: none

cdef class Selection:
    cdef int ndim
    cdef zc_axis axis[MAX_NDIM]
    cdef int result_ndim
    cdef int64_t result_shape_[MAX_RESULT_NDIM]
    cdef readonly bint is_scalar    # integers on every axis, and nothing else: the result is a NumPy scalar
    cdef readonly tuple groups      # (axes, index arrays, result axes) of each; None in a basic selection
    cdef readonly object mask       # of the whole array, in C order; else None

# Parse a basic selection for an array of 'ndim' dimensions of 'shape'; None if the key is of another kind.
cdef Selection parse_basic(object key, int ndim, const int64_t *shape)
