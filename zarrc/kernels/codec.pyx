# cython: language_level=3
"""A codec's kernel: C functions of one signature and their configuration, as one Python object."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from zarrc.errors import CorruptChunkError

from zarrc.kernels.status cimport ZC_ETOOLARGE, ZC_OK, check, zc_status
from zarrc.kernels.worker cimport lease_worker, return_worker

# As pointers: a bytes object that Cython holds could not be made shorter where it is.
cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t nbytes) except NULL
    int shorten_bytes "_PyBytes_Resize"(PyObject **data, Py_ssize_t nbytes) except -1
    const Py_ssize_t PY_SSIZE_T_MAX

# Decoding to an unknown size starts from no more than this, so that a limit of gigabytes costs nothing by itself.
cdef size_t FIRST_GUESS = 1 << 16


@cython.final
cdef class CodecKernel:
    """One codec with its configuration, ready to run without the GIL.

    Made by the factories of `zarrc.kernels.compressors` and its neighbours; immutable, shared between threads.
    """

    def __init__(self):
        raise TypeError("a CodecKernel is made by the factory of its codec")

    def __dealloc__(self):
        free(self.config)

    cdef int _check_made(self) except -1:
        """Refuse one of CodecKernel.__new__, which has no functions."""
        if self.config is NULL:
            raise TypeError("a CodecKernel is made by the factory of its codec")
        return 0

    def __repr__(self):
        return f"<CodecKernel {self.name}>"

    def bound(self, size_t nbytes):
        """The most bytes that encoding ``nbytes`` bytes can give; CodecError above the format's limit."""
        cdef size_t result = 0
        self._check_made()
        check(self.run_bound(self.config, nbytes, &result), NULL, 0, self.name)
        return result

    def encode(self, const uint8_t[::1] data not None):
        """The encoded bytes of ``data``, any C-contiguous buffer of bytes."""
        cdef size_t capacity = self.bound(data.shape[0])
        return self._run(self.run_encode, data, capacity, capacity)

    def decode(self, const uint8_t[::1] data not None, size_t nbytes, *, bint exact=True):
        """The decoded bytes of ``data``.

        Parameters
        ----------
        data : bytes-like
            What `encode` (of any implementation) gave.
        nbytes : int
            The decoded size; with ``exact=False`` the most that is allowed.
        exact : bool, default True
            Whether another decoded size is an error.

        Raises
        ------
        CorruptChunkError
            If ``data`` is not valid, or decodes to another size.
        ValueError
            If no object can have ``nbytes`` bytes.
        """
        if exact:
            result = self._run(self.run_decode, data, nbytes, nbytes)
            if len(result) != nbytes:
                raise CorruptChunkError(f"{len(result)} bytes decoded where {nbytes} are due", codec=self.name)
            return result
        cdef size_t capacity = min(nbytes, max(FIRST_GUESS, 4 * <size_t>data.shape[0]))
        result = self._run(self.run_decode, data, capacity, nbytes)
        while result is None:
            capacity = nbytes if capacity > nbytes // 8 else capacity * 8
            result = self._run(self.run_decode, data, capacity, nbytes)
        return result

    cdef bytes _run(self, zc_run run, const uint8_t[::1] data, size_t capacity, size_t limit):
        """The bytes that 'run' gives; None if they need more than 'capacity', which is below the limit."""
        self._check_made()
        # A bytes object is a little larger than what it holds.
        if capacity > <size_t>PY_SSIZE_T_MAX - 4096:
            raise ValueError(f"no object can have {capacity} bytes")
        cdef PyObject *result = NULL
        cdef size_t src_nbytes = data.shape[0]
        cdef const uint8_t *src = &data[0] if src_nbytes else NULL
        cdef uint8_t *dst
        cdef size_t dst_nbytes = 0
        cdef zc_worker *worker = lease_worker()
        cdef zc_status status
        if worker is NULL:
            raise MemoryError("a worker")
        try:
            result = new_bytes(NULL, capacity)
            dst = <uint8_t *>PyBytes_AS_STRING(<object>result)
            with nogil:
                status = run(self.config, worker, src, src_nbytes, dst, capacity, &dst_nbytes)
            if status == ZC_ETOOLARGE and capacity < limit:
                return None
            check(status, worker.detail, worker.error_number, self.name)
            if dst_nbytes != capacity:
                shorten_bytes(&result, dst_nbytes)
            return <bytes>result
        finally:
            Py_XDECREF(result)
            return_worker(worker)


cdef CodecKernel make_kernel(str name, zc_run run_encode, zc_run run_decode, zc_bound run_bound, bint fixed_size,
                             const void *config, size_t config_nbytes, zc_range run_range=NULL):
    cdef CodecKernel kernel = CodecKernel.__new__(CodecKernel)
    kernel.name = name
    kernel.run_encode = run_encode
    kernel.run_decode = run_decode
    kernel.run_bound = run_bound
    kernel.run_range = run_range
    kernel.fixed_size = fixed_size
    kernel.config = malloc(config_nbytes or 1)
    if kernel.config is NULL:
        raise MemoryError(f"{config_nbytes} bytes")
    if config_nbytes:
        memcpy(kernel.config, config, config_nbytes)
    return kernel
