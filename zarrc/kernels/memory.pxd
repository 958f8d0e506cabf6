"""New NumPy arrays for results: large ones on huge pages, aligned for the system calls that fill them."""

cimport numpy as cnp

# numpy.empty; 'fortran': in Fortran order.
cdef cnp.ndarray empty_array(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint fortran)
