# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The codec chain: a chunk's bytes-to-bytes steps, run in one call without the GIL."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from zarrc.kernels.checksums cimport crc32c_value
from zarrc.kernels.codec cimport CodecKernel
from zarrc.kernels.status cimport (
    ZC_ECHECKSUM,
    ZC_EINVAL,
    ZC_ELENGTH,
    ZC_ENOMEM,
    ZC_ETOOLARGE,
    ZC_ETRUNCATED,
    ZC_OK,
    check,
)
from zarrc.kernels.worker cimport ZC_SCRATCH_PING, ZC_SCRATCH_PONG, lease_worker, return_worker, zc_scratch_id, zc_worker_scratch

cdef enum:
    CRC32C_NBYTES = 4

# Where a step's input size is not known, a stream of another encoder may be longer than our own bound says: stored blocks,
# many members, small frames.  Beyond this much more it is no honest encoding of the chunk.
cdef inline size_t lenient(size_t nbytes) noexcept nogil:
    return nbytes + nbytes // 2 + (1 << 20)


@cython.final
cdef class Chain:
    """The bytes-to-bytes codecs of an array, in encoding order, for chunks of ``decoded_nbytes`` bytes.

    Parameters
    ----------
    kernels : sequence of CodecKernel
        In encoding order; at most 16.
    decoded_nbytes : int
        Bytes of a chunk as the first of them sees it.
    exact : bool, default True
        Whether it always has so many; else that is the most that it has.

    Raises
    ------
    CodecError
        If a chunk is larger than the format of one of the codecs can hold.
    """

    def __cinit__(self, kernels, size_t decoded_nbytes, bint exact=True):
        self.kernels = tuple(kernels)
        if len(self.kernels) > MAX_STEPS:
            raise ValueError(f"a chain has at most {MAX_STEPS} bytes-to-bytes codecs, got {len(self.kernels)}")
        self.c.n_steps = len(self.kernels)
        self.c.decoded_nbytes = decoded_nbytes
        self._size_steps(decoded_nbytes, exact)

    cdef _size_steps(self, size_t nbytes, bint exact):
        """Work out what each step gets and gives: exact sizes as far as they go, then bounds."""
        cdef CodecKernel kernel
        cdef size_t largest = nbytes
        cdef int i
        for i in range(self.c.n_steps):
            kernel = self.kernels[i]
            self.c.step[i] = zc_step(encode=kernel.run_encode, decode=kernel.run_decode, range=kernel.run_range,
                                     config=kernel.config, is_crc32c=kernel.name == "crc32c", exact=exact, nbytes=nbytes)
            nbytes = kernel.bound(nbytes)
            exact = exact and kernel.fixed_size
            largest = max(largest, nbytes)
        self.c.encoded_nbytes = nbytes
        self.c.fixed_size = exact
        # Each crc32c may append to any of the buffers.
        self.c.buffer_nbytes = largest + CRC32C_NBYTES * self.c.n_steps

    def encode(self, const uint8_t[::1] data not None):
        """The encoded bytes of one chunk (tests and tools; the engine runs the chain without Python)."""
        cdef const uint8_t *result = NULL
        cdef size_t nbytes = 0
        cdef int failed = -1
        cdef zc_worker *worker
        if <size_t>data.shape[0] != self.c.decoded_nbytes:
            raise ValueError(f"{data.shape[0]} bytes given where a chunk has {self.c.decoded_nbytes}")
        cdef const uint8_t *src = &data[0] if data.shape[0] else NULL
        worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker")
        try:
            with nogil:
                status = chain_encode(&self.c, worker, src, NULL, &result, &nbytes, &failed)
            check(status, worker.detail, worker.error_number, self.name_of(failed))
            return PyBytes_FromStringAndSize(<const char *>result, nbytes)
        finally:
            return_worker(worker)

    def encode_own(self, const uint8_t[::1] data not None):
        """The same from memory that the chain may change (tests and tools)."""
        cdef const uint8_t *result = NULL
        cdef size_t nbytes = 0
        cdef int failed = -1
        cdef bytearray own = bytearray(data)
        cdef uint8_t[::1] memory
        cdef zc_worker *worker
        if <size_t>len(own) != self.c.decoded_nbytes:
            raise ValueError(f"{len(own)} bytes given where a chunk has {self.c.decoded_nbytes}")
        own.extend(bytes(chain_own_nbytes(&self.c) - self.c.decoded_nbytes))
        memory = own
        worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker")
        try:
            with nogil:
                status = chain_encode_own(&self.c, worker, &memory[0] if memory.shape[0] else NULL, NULL, &result, &nbytes,
                                          &failed)
            check(status, worker.detail, worker.error_number, self.name_of(failed))
            return PyBytes_FromStringAndSize(<const char *>result, nbytes)
        finally:
            return_worker(worker)

    def decode(self, const uint8_t[::1] data not None):
        """The decoded bytes of one chunk (tests and tools)."""
        cdef const uint8_t *src = &data[0] if data.shape[0] else NULL
        cdef size_t src_nbytes = data.shape[0]
        cdef bytes result = PyBytes_FromStringAndSize(NULL, self.c.decoded_nbytes)
        cdef const uint8_t *where = NULL
        cdef uint8_t *dst = <uint8_t *>PyBytes_AS_STRING(result)
        cdef int failed = -1
        cdef zc_worker *worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker")
        try:
            with nogil:
                status = chain_decode(&self.c, worker, src, src_nbytes, dst, &where, &failed)
            check(status, worker.detail, worker.error_number, self.name_of(failed))
        finally:
            return_worker(worker)
        return result

    def decode_range(self, const uint8_t[::1] data not None, size_t first, size_t end):
        """The bytes [first, end) of one decoded chunk (tests and tools)."""
        cdef const uint8_t *src = &data[0] if data.shape[0] else NULL
        cdef size_t src_nbytes = data.shape[0]
        cdef const uint8_t *where = NULL
        cdef int failed = -1
        cdef zc_worker *worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker")
        try:
            with nogil:
                status = chain_decode_range(&self.c, worker, src, src_nbytes, first, end, &where, &failed)
            check(status, worker.detail, worker.error_number, self.name_of(failed))
            return PyBytes_FromStringAndSize(<const char *>where, end - first)
        finally:
            return_worker(worker)

    cdef str name_of(self, int step):
        return self.kernels[step].name if 0 <= step < len(self.kernels) else None


cdef zc_status chain_decode(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
                            const uint8_t **result_ret, int *failed_ret) noexcept nogil:
    cdef zc_status status = _decode_steps(chain, 0, worker, &src, &src_nbytes, dst, failed_ret)
    if status != ZC_OK:
        return status
    if src_nbytes != chain.decoded_nbytes:
        return ZC_ELENGTH
    if dst is not NULL and src != dst and src_nbytes != 0:
        memcpy(dst, src, src_nbytes)
        src = dst
    result_ret[0] = src
    return ZC_OK


cdef zc_status chain_decode_any(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil:
    result_ret[0] = src
    nbytes_ret[0] = src_nbytes
    return _decode_steps(chain, 0, worker, result_ret, nbytes_ret, NULL, failed_ret)


cdef zc_status chain_decode_range(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                  size_t first, size_t end, const uint8_t **data_ret, int *failed_ret) noexcept nogil:
    cdef const zc_step *step = &chain.step[0]
    cdef bint ranged = chain.n_steps > 0 and step.range is not NULL
    cdef zc_status status
    if first > end or end > chain.decoded_nbytes:
        failed_ret[0] = -1
        return ZC_EINVAL
    status = _decode_steps(chain, 1 if ranged else 0, worker, &src, &src_nbytes, NULL, failed_ret)
    if status != ZC_OK:
        return status
    if ranged:
        failed_ret[0] = 0
        status = step.range(step.config, worker, src, src_nbytes, chain.decoded_nbytes, first, end, data_ret)
        if status == ZC_OK:
            failed_ret[0] = -1
        return status
    if src_nbytes != chain.decoded_nbytes:
        return ZC_ELENGTH
    data_ret[0] = src + first
    return ZC_OK


cdef zc_status _decode_steps(const zc_chain *chain, int last, zc_worker *worker, const uint8_t **src_io, size_t *nbytes_io,
                             uint8_t *dst, int *failed_ret) noexcept nogil:
    """Undo the steps from the chain's end to 'last'; step 0 writes to 'dst' if that is not NULL."""
    cdef const zc_step *step
    cdef const uint8_t *src = src_io[0]
    cdef size_t src_nbytes = nbytes_io[0]
    cdef zc_scratch_id side = ZC_SCRATCH_PING
    cdef uint8_t *target
    cdef size_t capacity, nbytes
    cdef zc_status status
    cdef int i
    for i in range(chain.n_steps - 1, last - 1, -1):
        step = &chain.step[i]
        failed_ret[0] = i
        if step.is_crc32c:
            status = _check_crc32c(src, src_nbytes)
            if status != ZC_OK:
                return status
            src_nbytes -= CRC32C_NBYTES
        else:
            capacity = step.nbytes if step.exact else lenient(step.nbytes)
            target = dst if i == 0 and dst is not NULL else zc_worker_scratch(worker, side, capacity)
            if target is NULL and capacity != 0:
                return ZC_ENOMEM
            nbytes = 0
            status = step.decode(step.config, worker, src, src_nbytes, target, capacity, &nbytes)
            if status != ZC_OK:
                return status
            src, src_nbytes = target, nbytes
            side = ZC_SCRATCH_PONG if side == ZC_SCRATCH_PING else ZC_SCRATCH_PING
        if step.exact and src_nbytes != step.nbytes:
            return ZC_ELENGTH
    failed_ret[0] = -1
    src_io[0] = src
    nbytes_io[0] = src_nbytes
    return ZC_OK


cdef zc_status _check_crc32c(const uint8_t *src, size_t src_nbytes) noexcept nogil:
    """The checksum of all but the last four bytes against these, little-endian."""
    cdef size_t n
    if src_nbytes < CRC32C_NBYTES:
        return ZC_ETRUNCATED
    n = src_nbytes - CRC32C_NBYTES
    cdef uint32_t stored = (src[n] | <uint32_t>src[n + 1] << 8 | <uint32_t>src[n + 2] << 16 | <uint32_t>src[n + 3] << 24)
    return ZC_OK if crc32c_value(src, n, 0) == stored else ZC_ECHECKSUM


cdef zc_status chain_encode(const zc_chain *chain, zc_worker *worker, const uint8_t *src, uint8_t *dst,
                            const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil:
    return _encode_steps(chain, worker, src, chain.decoded_nbytes, NULL, dst, result_ret, nbytes_ret, failed_ret)


cdef zc_status chain_encode_any(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil:
    if src_nbytes > chain.decoded_nbytes:
        # The buffers have room for no more.
        failed_ret[0] = -1
        return ZC_ETOOLARGE
    return _encode_steps(chain, worker, src, src_nbytes, NULL, NULL, result_ret, nbytes_ret, failed_ret)


cdef zc_status chain_encode_own(const zc_chain *chain, zc_worker *worker, uint8_t *own, uint8_t *dst,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil:
    return _encode_steps(chain, worker, own, chain.decoded_nbytes, own, dst, result_ret, nbytes_ret, failed_ret)


cdef size_t chain_own_nbytes(const zc_chain *chain) noexcept nogil:
    cdef size_t nbytes = chain.decoded_nbytes
    cdef int i
    for i in range(chain.n_steps):
        if not chain.step[i].is_crc32c:
            break
        nbytes += CRC32C_NBYTES
    return nbytes


cdef bint chain_keeps_place(const zc_chain *chain) noexcept nogil:
    cdef int i
    for i in range(chain.n_steps):
        if not chain.step[i].is_crc32c:
            return False
    return True


cdef zc_status _encode_steps(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *target,
                             uint8_t *dst, const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil:
    """Run the steps; 'target' is 'src' if that may be changed, else NULL."""
    cdef int last = chain.n_steps - 1
    cdef const zc_step *step
    cdef zc_scratch_id side = ZC_SCRATCH_PING
    cdef size_t nbytes
    cdef zc_status status
    cdef int i
    # Checksums at the end are appended to what the last codec gives.
    while last > 0 and chain.step[last].is_crc32c:
        last -= 1
    for i in range(chain.n_steps):
        step = &chain.step[i]
        failed_ret[0] = i
        if step.is_crc32c and target is not NULL:
            src_nbytes = _append_crc32c(target, src_nbytes)     # 'src' may be changed, and has room
            continue
        target = dst if i == last and dst is not NULL else zc_worker_scratch(worker, side, chain.buffer_nbytes)
        if target is NULL:
            return ZC_ENOMEM
        if step.is_crc32c:
            if src_nbytes:
                memcpy(target, src, src_nbytes)
            nbytes = _append_crc32c(target, src_nbytes)
        else:
            nbytes = 0
            status = step.encode(step.config, worker, src, src_nbytes, target, chain.buffer_nbytes, &nbytes)
            if status != ZC_OK:
                return status
        src, src_nbytes = target, nbytes
        side = ZC_SCRATCH_PONG if side == ZC_SCRATCH_PING else ZC_SCRATCH_PING
    failed_ret[0] = -1
    result_ret[0] = src
    nbytes_ret[0] = src_nbytes
    return ZC_OK


cdef size_t _append_crc32c(uint8_t *data, size_t nbytes) noexcept nogil:
    cdef uint32_t value = crc32c_value(data, nbytes, 0)
    data[nbytes] = value & 0xFF
    data[nbytes + 1] = (value >> 8) & 0xFF
    data[nbytes + 2] = (value >> 16) & 0xFF
    data[nbytes + 3] = (value >> 24) & 0xFF
    return nbytes + CRC32C_NBYTES


cdef size_t chain_object_limit(const zc_chain *chain) noexcept nogil:
    return chain.encoded_nbytes if chain.fixed_size else lenient(chain.encoded_nbytes)
