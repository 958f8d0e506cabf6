# cython: language_level=3
# cython: freethreading_compatible=True
"""New NumPy arrays for results: large ones on huge pages, aligned for the system calls that fill them.

The memory is the array's own, got and given back by a NumPy memory handler (NEP 49).
"""

from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t
from libc.string cimport memset, strcpy

cimport numpy as cnp

cdef extern from "zc_memory.h":
    void *zc_memory_alloc(size_t nbytes) noexcept nogil
    void zc_memory_free(void *data) noexcept nogil
    void *zc_memory_resize(void *data, size_t nbytes) noexcept nogil
    void zc_memory_forget(void *data, size_t nbytes) noexcept nogil
    size_t zc_memory_kept_nbytes() noexcept nogil
    void zc_memory_trim() noexcept nogil

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *ctx, size_t size) noexcept nogil
        void *(*calloc)(void *ctx, size_t nelem, size_t elsize) noexcept nogil
        void *(*realloc)(void *ctx, void *ptr, size_t new_size) noexcept nogil
        void (*free)(void *ctx, void *ptr, size_t size) noexcept nogil
    ctypedef struct PyDataMem_Handler:
        char name[127]
        uint8_t version
        PyDataMemAllocator allocator
    object PyDataMem_SetHandler(object handler)
    object PyArray_Empty(int nd, const cnp.npy_intp *dims, cnp.dtype dtype, int fortran)

cnp.import_array()


cdef void *memory_alloc(size_t nbytes) noexcept nogil:
    return zc_memory_alloc(nbytes)


cdef void memory_free(void *data) noexcept nogil:
    zc_memory_free(data)


cdef void memory_forget(void *data, size_t nbytes) noexcept nogil:
    zc_memory_forget(data, nbytes)


cdef void *_malloc(void *ctx, size_t size) noexcept nogil:
    return zc_memory_alloc(size)


cdef void *_calloc(void *ctx, size_t nelem, size_t elsize) noexcept nogil:
    cdef void *data
    if elsize != 0 and nelem > (<size_t>-1) // elsize:
        return NULL
    data = zc_memory_alloc(nelem * elsize)
    if data is not NULL:
        memset(data, 0, nelem * elsize)
    return data


cdef void *_realloc(void *ctx, void *ptr, size_t new_size) noexcept nogil:
    return zc_memory_resize(ptr, new_size)


cdef void _free(void *ctx, void *ptr, size_t size) noexcept nogil:
    zc_memory_free(ptr)


cdef PyDataMem_Handler _handler
strcpy(_handler.name, b"zarrc_large_arrays")
_handler.version = 1
_handler.allocator.malloc = _malloc
_handler.allocator.calloc = _calloc
_handler.allocator.realloc = _realloc
_handler.allocator.free = _free

cdef object _capsule = PyCapsule_New(&_handler, b"mem_handler", NULL)


cdef cnp.ndarray empty_array(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint fortran):
    cdef size_t nbytes = dtype.itemsize
    cdef int i
    for i in range(ndim):
        if shape[i] == 0 or nbytes > LARGE_NBYTES:
            break
        nbytes *= shape[i]
    # PyArray_Empty takes a reference to the dtype.
    if nbytes < LARGE_NBYTES or dtype.hasobject:
        Py_INCREF(dtype)
        return PyArray_Empty(ndim, shape, dtype, fortran)
    before = PyDataMem_SetHandler(_capsule)
    try:
        Py_INCREF(dtype)
        return PyArray_Empty(ndim, shape, dtype, fortran)
    finally:
        PyDataMem_SetHandler(before)


def kept_nbytes():
    """Bytes of memory that are kept for the next large result."""
    return zc_memory_kept_nbytes()


def trim():
    """Give the kept memory back to the system."""
    zc_memory_trim()
