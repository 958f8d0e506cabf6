"""New NumPy arrays for results: large ones on huge pages, aligned for the system calls that fill them."""

cimport numpy as cnp

cdef enum:
    # A huge page.  Below it malloc reuses its memory better than we could.
    LARGE_NBYTES = 2 << 20

# zc_memory.h.
cdef void *memory_alloc(size_t nbytes) noexcept nogil
cdef void memory_free(void *data) noexcept nogil
cdef void memory_forget(void *data, size_t nbytes) noexcept nogil

# numpy.empty; 'fortran': in Fortran order.
cdef cnp.ndarray empty_array(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint fortran)
