"""The codec chain: a chunk's bytes-to-bytes steps, run in one call without the GIL."""

from libc.stdint cimport uint8_t

from zarrc.kernels.codec cimport zc_range, zc_run
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

cdef enum:
    MAX_STEPS = 16

ctypedef struct zc_step:
    zc_run encode
    zc_run decode
    zc_range range          # may be NULL
    const void *config
    bint is_crc32c          # checked and appended in the buffer at hand: no copy
    bint exact              # the step's input always has 'nbytes' bytes
    size_t nbytes           # else: at most that many

# Plain data, shared by all threads.  'decoded_nbytes' is the size of a chunk before the first step.
ctypedef struct zc_chain:
    int n_steps
    zc_step step[MAX_STEPS]
    size_t decoded_nbytes
    size_t encoded_nbytes   # the most that encoding gives
    size_t buffer_nbytes    # what each buffer between two steps must hold
    bint fixed_size         # encoding always gives encoded_nbytes


cdef class Chain:
    cdef zc_chain c
    cdef readonly tuple kernels
    cdef _size_steps(self, size_t nbytes, bint exact)
    cdef str name_of(self, int step)    # the codec of a step; None outside the chain


# Decode 'src' to exactly c.decoded_nbytes bytes.  With 'dst' they are written there.  Without (NULL) *result_ret tells where
# they are: inside 'src' or a scratch buffer of the worker other than ZC_SCRATCH_CHUNK.  *failed_ret is the step at fault.
cdef zc_status chain_decode(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
                            const uint8_t **result_ret, int *failed_ret) noexcept nogil

# Of a chain that is not exact: decode 'src' to at most about c.decoded_nbytes bytes, where *result_ret tells, or encode as
# many.  Both leave the result in 'src' or in a scratch buffer other than ZC_SCRATCH_CHUNK.
cdef zc_status chain_decode_any(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil
cdef zc_status chain_encode_any(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil

# Decode no more than the bytes [first, end) of a chunk need, and all that a checksum covers: *data_ret is where byte 'first'
# is, inside 'src' or a scratch buffer other than ZC_SCRATCH_CHUNK.  ZC_EINVAL unless first <= end <= c.decoded_nbytes.
cdef zc_status chain_decode_range(const zc_chain *chain, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                  size_t first, size_t end, const uint8_t **data_ret, int *failed_ret) noexcept nogil

# Encode the c.decoded_nbytes bytes at 'src'. The last codec writes to 'dst', c.buffer_nbytes bytes, where that is not NULL;
# else, and where no codec writes anything, the result is in a scratch buffer other than ZC_SCRATCH_CHUNK, or 'src' itself.
cdef zc_status chain_encode(const zc_chain *chain, zc_worker *worker, const uint8_t *src, uint8_t *dst,
                            const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil

# The same for a chunk in memory of the caller's that may be changed and has room for chain_own_nbytes bytes: a crc32c that
# comes first is appended there, so that nothing is copied.  The result may be 'own' itself.
cdef zc_status chain_encode_own(const zc_chain *chain, zc_worker *worker, uint8_t *own, uint8_t *dst,
                                const uint8_t **result_ret, size_t *nbytes_ret, int *failed_ret) noexcept nogil
cdef size_t chain_own_nbytes(const zc_chain *chain) noexcept nogil

# Whether chain_encode_own gives 'own' itself: there are no steps but checksums.
cdef bint chain_keeps_place(const zc_chain *chain) noexcept nogil

# The most bytes that a stored object of this chain may have: more is refused before it is read.
cdef size_t chain_object_limit(const zc_chain *chain) noexcept nogil
