"""The bitround codec's kernel: numbers rounded half to even to a few significant bits."""

cdef extern from "zc_bitround.h":
    ctypedef struct zc_bitround_config:
        int kind            # 0 float, 1 signed integer, 2 unsigned integer
        int itemsize        # of a number
        int keepbits
        int n_components    # numbers in an element: 2 for complex, else 1

# The configuration for elements of a NumPy data type (integers, floats, complex); ValueError for other types and for
# keepbits below 1.  Any keepbits above what there is means that nothing changes.
cdef zc_bitround_config parse_config(object dtype, object keepbits) except *

# Round 'n_elements' elements in place, in native byte order, at any alignment.
cdef void bitround_inplace(const zc_bitround_config *config, void *data, size_t n_elements) noexcept nogil
