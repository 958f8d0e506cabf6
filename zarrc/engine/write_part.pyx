# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One part of a write: elements of the value become a chunk's encoded bytes."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport keep_exception
from zarrc.engine.layout cimport layout_is_copied, layout_matches, layout_span, layout_strides
from zarrc.engine.objects cimport object_cut, object_drop, object_new
from zarrc.engine.part_points cimport points_write
from zarrc.indexing.plan cimport PLAN_BOXES
from zarrc.kernels.bitround cimport bitround_inplace
from zarrc.kernels.chain cimport chain_decode, chain_encode, chain_encode_own, chain_keeps_place, chain_own_nbytes
from zarrc.kernels.memory cimport LARGE_NBYTES
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_EPYTHON, ZC_OK
from zarrc.kernels.strided cimport strided_copy, strided_copy_streamed, strided_equals, strided_fill, swap_bytes
from zarrc.kernels.worker cimport ZC_SCRATCH_CHUNK, zc_worker_scratch

cdef extern from "zc_atomic.h":
    void zc_raise_flag(int *flag) noexcept nogil
    bint zc_flag_is_raised(const int *flag) noexcept nogil

cdef enum:
    # Chunks from here on do not stay in a core's own caches until they are looked at.
    STREAMED_NBYTES = 1 << 20


cdef void gather_init(zc_gather *gather, const zc_plan *plan, ChunkLayout layout, uint8_t *value, bint write_empty_chunks):
    memset(gather, 0, sizeof(zc_gather))
    gather.plan = plan
    gather.layout = &layout.c
    gather.chain = NULL if layout.chain is None else &layout.chain.c
    gather.python_layout = <void *>layout
    gather.value = value
    gather.write_empty_chunks = write_empty_chunks
    layout_strides(&layout.c, plan, gather.buffer_strides, gather.user_strides)


cdef void gather_to_blobs(zc_gather *gather) noexcept nogil:
    gather.in_place = gather.chain is not NULL and chain_keeps_place(gather.chain)
    gather.streamed = (gather.in_place and gather.chain.n_steps == 0 and gather.layout.n_bitrounds == 0
                       and gather.layout.late_swap_unit == 0 and gather.layout.nbytes >= STREAMED_NBYTES)
    gather.in_blobs = gather.chain is not NULL and not gather.in_place and gather.chain.buffer_nbytes >= LARGE_NBYTES


cdef bint gather_is_copied(const zc_gather *gather) noexcept nogil:
    return (gather.chain is not NULL and gather.chain.n_steps == 0
            and layout_is_copied(gather.layout, gather.plan, gather.layout.write_swap_unit))


cdef zc_status gather_covering(zc_gather *gather, const zc_part *part, size_t part_index, zc_worker *worker,
                                zc_encoded *encoded, int *step) noexcept nogil:
    cdef const zc_layout *layout = gather.layout
    cdef const uint8_t *value = gather.value + part.result_offset
    cdef uint8_t *buffer
    if (layout_matches(layout, gather.plan, part) and layout.write_swap_unit == 0 and layout.n_bitrounds == 0
            and gather.chain is not NULL and not gather.in_place):
        # The value's own memory is the chunk.
        encoded.is_empty = gather_is_empty(gather, part, value, layout.strides, layout.user_fill)
        return ZC_OK if encoded.is_empty else _encode(gather, worker, value, NULL, encoded, step)
    buffer = _new_buffer(gather, worker, encoded)
    if buffer is NULL:
        return ZC_ENOMEM
    if not gather_is_full(layout, part):
        _fill_buffer(layout, buffer)
    _gather(gather, part, buffer)
    encoded.is_empty = gather_is_empty(gather, part, buffer, layout.strides, layout.buffer_fill)
    return ZC_OK if encoded.is_empty else _encode_buffer(gather, buffer, part_index, worker, encoded, step)


cdef zc_status gather_change(zc_gather *gather, const zc_part *part, size_t part_index, const uint8_t *old,
                             size_t old_nbytes, zc_worker *worker, zc_encoded *encoded, int *step) noexcept nogil:
    cdef const zc_layout *layout = gather.layout
    cdef uint8_t *buffer = _new_buffer(gather, worker, encoded)
    cdef zc_part whole = part[0]
    cdef zc_status status
    cdef int d
    if buffer is NULL:
        return ZC_ENOMEM
    if old is NULL:
        _fill_buffer(layout, buffer)
    else:
        status = _decode_to_buffer(gather, old, old_nbytes, part_index, buffer, worker, step)
        if status != ZC_OK:
            return status
    _gather(gather, part, buffer)
    for d in range(layout.ndim):
        whole.start[d], whole.count[d] = 0, part.inside[d]
    encoded.is_empty = gather_is_empty(gather, &whole, buffer, layout.strides, layout.buffer_fill)
    return ZC_OK if encoded.is_empty else _encode_buffer(gather, buffer, part_index, worker, encoded, step)


cdef zc_status _decode_to_buffer(zc_gather *gather, const uint8_t *src, size_t src_nbytes, size_t part_index,
                                 uint8_t *buffer, zc_worker *worker, int *step) noexcept nogil:
    cdef const uint8_t *where = NULL
    cdef zc_status status
    if gather.chain is NULL:
        return _decode_in_python(gather, src, src_nbytes, part_index, buffer)
    status = chain_decode(gather.chain, worker, src, src_nbytes, buffer, &where, step)
    if status == ZC_OK:
        swap_bytes(buffer, gather.layout.nbytes, gather.layout.late_swap_unit)
    return status


cdef uint8_t *_new_buffer(const zc_gather *gather, zc_worker *worker, zc_encoded *encoded) noexcept nogil:
    """Where a chunk is put together, with room for its checksum; NULL when memory is short."""
    if gather.in_place:
        return object_new(gather.chain.encoded_nbytes, &encoded.blob)
    return zc_worker_scratch(worker, ZC_SCRATCH_CHUNK,
                             gather.layout.nbytes if gather.chain is NULL else chain_own_nbytes(gather.chain))


cdef bint gather_is_full(const zc_layout *layout, const zc_part *part) noexcept nogil:
    cdef int d
    for d in range(layout.ndim):
        if part.count[d] != layout.shape[d]:
            return False
    return True


cdef void _fill_buffer(const zc_layout *layout, uint8_t *buffer) noexcept nogil:
    strided_fill(buffer, layout.strides, layout.shape, layout.ndim, layout.itemsize, layout.buffer_fill)


cdef void _gather(const zc_gather *gather, const zc_part *part, uint8_t *buffer) noexcept nogil:
    cdef size_t first, end
    cdef const uint8_t *value = gather.value + part.result_offset
    cdef size_t itemsize = gather.layout.itemsize
    cdef size_t swap_unit = gather.layout.write_swap_unit
    if gather.plan.kind != PLAN_BOXES:
        points_write(gather.plan, part, gather.layout, buffer, gather.value)
        return
    layout_span(gather.layout, gather.plan, part, &first, &end)
    if gather.streamed:
        strided_copy_streamed(buffer + first, gather.buffer_strides, value, gather.user_strides, part.count, gather.plan.ndim,
                              itemsize, swap_unit)
    else:
        strided_copy(buffer + first, gather.buffer_strides, value, gather.user_strides, part.count, gather.plan.ndim, itemsize,
                     swap_unit)


cdef bint gather_is_empty(const zc_gather *gather, const zc_part *inside, const uint8_t *data, const Py_ssize_t *strides,
                    const uint8_t *fill) noexcept nogil:
    if gather.write_empty_chunks or not gather.layout.has_fill:
        return False
    return strided_equals(data, strides, inside.count, gather.layout.ndim, gather.layout.itemsize, fill)


cdef zc_status _encode_buffer(zc_gather *gather, uint8_t *buffer, size_t part_index, zc_worker *worker, zc_encoded *encoded,
                              int *step) noexcept nogil:
    """Round and swap our own buffer in place, then encode it."""
    cdef const zc_layout *layout = gather.layout
    cdef int i
    for i in range(layout.n_bitrounds):
        bitround_inplace(&layout.bitround[i], buffer, layout.nbytes // layout.itemsize)
    swap_bytes(buffer, layout.nbytes, layout.late_swap_unit)
    if gather.chain is not NULL:
        return _encode(gather, worker, buffer, buffer, encoded, step)
    return _encode_in_python(gather, buffer, part_index, encoded)


cdef zc_status _encode(zc_gather *gather, zc_worker *worker, const uint8_t *src, uint8_t *own, zc_encoded *encoded,
                       int *step) noexcept nogil:
    """Run the chain; 'own' is 'src' if that may be changed, else NULL."""
    cdef uint8_t *dst = NULL
    cdef zc_blob *blob
    cdef zc_status status
    if gather.in_blobs and not zc_flag_is_raised(&gather.blobs_are_wide):
        dst = object_new(gather.chain.buffer_nbytes, &encoded.blob)
        if dst is NULL:
            return ZC_ENOMEM
    if own is not NULL:
        status = chain_encode_own(gather.chain, worker, own, dst, &encoded.data, &encoded.nbytes, step)
    else:
        status = chain_encode(gather.chain, worker, src, dst, &encoded.data, &encoded.nbytes, step)
    if status == ZC_OK and dst is not NULL:
        blob = encoded.blob
        encoded.blob = object_cut(blob, encoded.nbytes)
        if encoded.blob is not blob:
            zc_raise_flag(&gather.blobs_are_wide)
    return status


cdef zc_status _encode_in_python(zc_gather *gather, const uint8_t *buffer, size_t part_index,
                                 zc_encoded *encoded) noexcept nogil:
    with gil:
        try:
            data = (<ChunkLayout>gather.python_layout).encode_chunk(buffer)
        except BaseException as error:
            keep_exception(&gather.failure, part_index, error)
            return ZC_EPYTHON
        Py_INCREF(data)
        encoded.owner = <PyObject *>data
        encoded.data = <const uint8_t *>PyBytes_AS_STRING(data)
        encoded.nbytes = PyBytes_GET_SIZE(data)
    return ZC_OK


cdef zc_status _decode_in_python(zc_gather *gather, const uint8_t *src, size_t src_nbytes, size_t part_index,
                                 uint8_t *buffer) noexcept nogil:
    with gil:
        try:
            _decode_with(<ChunkLayout>gather.python_layout, src, src_nbytes, buffer)
        except BaseException as error:
            keep_exception(&gather.failure, part_index, error)
            return ZC_EPYTHON
    return ZC_OK


cdef int _decode_with(ChunkLayout layout, const uint8_t *src, size_t src_nbytes, uint8_t *buffer) except -1:
    cdef const uint8_t[::1] view = layout.decode_chunk(src, src_nbytes)
    memcpy(buffer, &view[0], view.shape[0])
    return 0


cdef void encoded_drop(zc_encoded *encoded) noexcept nogil:
    if encoded.blob is not NULL:
        object_drop(encoded.blob)
    if encoded.owner is not NULL:
        with gil:
            Py_XDECREF(encoded.owner)
    memset(encoded, 0, sizeof(zc_encoded))
