"""A chunk's way through its codecs, compiled: where each element lies in the chunk's buffer, and the chain behind it."""

from libc.stdint cimport int64_t, uint8_t

from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.bitround cimport zc_bitround_config
from zarrc.kernels.chain cimport Chain

cdef enum:
    MAX_BITROUNDS = 4

# The buffer is what the bytes-to-bytes chain encodes.  Transposing and byte swapping are not steps of their own: they
# are the strides and the swap of the one copy between the buffer and the user's array.
ctypedef struct zc_layout:
    int ndim
    size_t shape[MAX_NDIM]          # of a chunk, in elements
    Py_ssize_t strides[MAX_NDIM]     # bytes in the buffer, along the array's own axes
    size_t itemsize
    size_t nbytes                   # of the buffer
    size_t object_limit             # the most bytes that a stored object may have: more is refused before it is read
    size_t read_swap_unit           # buffer -> user; 0: same byte order
    size_t write_swap_unit          # user -> buffer
    size_t late_swap_unit           # in place in the buffer, between rounding and encoding
    int n_bitrounds                 # in place in the buffer, in native byte order
    zc_bitround_config bitround[MAX_BITROUNDS]
    bint has_fill                   # else (v2 fill_value null) missing chunks read as zeros and no chunk is "empty"
    uint8_t *user_fill              # one element in the user's byte order
    uint8_t *buffer_fill            # and as the write copy leaves it in the buffer


cdef class ChunkLayout:
    cdef zc_layout c
    cdef readonly Chain chain       # None where a codec runs in Python
    cdef readonly tuple codecs      # (codec, what it sees), in encoding order
    cdef readonly str unwritable    # why data cannot be written, or None
    cdef bytes _fills
    cdef tuple _decoded_nbytes      # of each codec, where it is known (codecs in Python)
    cdef str _fold(self, metadata)
    cdef _set_strides(self, tuple stored_axes)
    cdef _set_swaps(self, metadata, str stored_endian)
    cdef _set_fills(self, metadata)
    cdef bytes encode_chunk(self, const uint8_t *data)
    cdef object decode_chunk(self, const uint8_t *data, size_t nbytes)


# How chunks are written: write.pyx, which a handle that only reads does not load.
cdef class ChunkWriter:
    # Every part of the plan from 'value', which has the array's data type and byte order; the plan's result strides are the
    # value's (0 along axes that it is broadcast over).  'objects' is the array's Objects.  'is_locked': the caller has the
    # locks of the objects.
    cdef int write(self, const zc_plan *plan, ChunkLayout layout, object objects, uint8_t *value, int n_threads,
                   bint write_empty_chunks, bint is_locked) except -1

    # The same for several plans, which are a Plans, as one job; 'layouts' are those of their chunks.
    cdef int write_all(self, object plans, list layouts, object objects, uint8_t *value, int n_threads,
                       bint write_empty_chunks, bint is_locked) except -1


# How the shards of one array are read and written: shards.pyx, which arrays without shards do not load.
cdef class ShardedData:
    cdef readonly str unwritable    # why data cannot be written, or None
    cdef readonly tuple inner_shapes    # of inner chunks, of those inside them, ..., along the array's own axes

    # Every part of the plan, which is over shards; 'objects' is the array's Objects.  read: whether something was missing.
    cdef int read(self, const zc_plan *plan, object objects, uint8_t *result, int n_threads, object config) except -1
    cdef int write(self, const zc_plan *plan, object objects, uint8_t *value, int n_threads, object config) except -1

    # The listed inner chunks of the plan's one part, a whole shard, whose lock the caller has.  Each value has 'value_nbytes'
    # bytes; the plan's result strides are those of one value.
    cdef int write_inner(self, const zc_plan *plan, object objects, const size_t *numbers, size_t n, size_t value_nbytes,
                         uint8_t *values, int n_threads, object config) except -1

    # What is stored of the plan's one part: (bytes of the object, those in use, inner chunks), or None.
    cdef object usage(self, const zc_plan *plan, object objects)

    # The number of an inner chunk in its shard, from its place there along the array's axes.
    cdef size_t number(self, const int64_t *inner) noexcept


# Whether the part is the whole stored chunk, laid out in the user's array as in the buffer.
cdef bint layout_matches(const zc_layout *layout, const zc_plan *plan, const zc_part *part) noexcept nogil

# Whether the chunk goes between the buffer and the user's array in rows that are only copied, and is not tiny.
cdef bint layout_is_copied(const zc_layout *layout, const zc_plan *plan, size_t swap_unit) noexcept nogil

# Bytes from the buffer's start to the part's first element, and to one past its last.
cdef void layout_span(const zc_layout *layout, const zc_plan *plan, const zc_part *part, size_t *first_ret,
                      size_t *end_ret) noexcept nogil

# The box of a part: strides in the buffer and in the user's array.
cdef void layout_strides(const zc_layout *layout, const zc_plan *plan, Py_ssize_t *buffer_strides,
                         Py_ssize_t *user_strides) noexcept nogil

# The layout of an array's chunks of that shape, which 'make' makes the first time.
cdef object kept_layout(metadata, shape, make)

# Whether it is one of our codecs: of the class in zarrc/codecs/'module'.py.
cdef bint is_ours(codec, str module, str name)
