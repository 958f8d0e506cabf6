# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One part of a read: a chunk's encoded bytes become elements of the result."""

from libc.string cimport memcpy, memset

from zarrc.engine.failure cimport keep_exception
from zarrc.engine.layout cimport layout_is_copied, layout_matches, layout_span, layout_strides
from zarrc.engine.part_points cimport points_along, points_fill, points_pin, points_read, points_widest_axis
from zarrc.engine.raw cimport raw_read, zc_raw_box
from zarrc.indexing.plan cimport PLAN_BOXES, PLAN_MASK
from zarrc.kernels.chain cimport chain_decode, chain_decode_range
from zarrc.kernels.local_io cimport local_pread
from zarrc.kernels.points cimport zc_points_bucket
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ENOMEM, ZC_EPYTHON, ZC_OK
from zarrc.kernels.strided cimport strided_copy, strided_copy_streamed, strided_fill, swap_bytes
from zarrc.kernels.worker cimport ZC_SCRATCH_CHUNK, zc_worker_scratch

cdef extern from "zc_atomic.h":
    void zc_raise_flag(int *flag) noexcept nogil

cdef enum:
    # Results from here on do not stay in the caches until they are looked at.
    STREAMED_NBYTES = 16 << 20
    # To read one more point of an uncompressed file costs as much as so many bytes more at once.
    POINT_NBYTES = 8 << 10


cdef void scatter_init(zc_scatter *scatter, const zc_plan *plan, ChunkLayout layout, uint8_t *result, size_t selected_nbytes,
                       bint missing_is_error):
    memset(scatter, 0, sizeof(zc_scatter))
    scatter.plan = plan
    scatter.layout = &layout.c
    scatter.chain = NULL if layout.chain is None else &layout.chain.c
    scatter.python_layout = <void *>layout
    scatter.result = result
    scatter.streamed = selected_nbytes >= STREAMED_NBYTES
    scatter.missing_is_error = missing_is_error
    layout_strides(&layout.c, plan, scatter.buffer_strides, scatter.user_strides)


cdef bint scatter_is_copied(const zc_scatter *scatter) noexcept nogil:
    return (scatter.chain is not NULL and scatter.chain.n_steps == 0
            and layout_is_copied(scatter.layout, scatter.plan, scatter.layout.read_swap_unit))


cdef zc_status scatter_fill(zc_scatter *scatter, const zc_part *part) noexcept nogil:
    zc_raise_flag(&scatter.missing)
    if scatter.missing_is_error:
        return ZC_ABSENT
    if scatter.plan.kind != PLAN_BOXES:
        points_fill(scatter.plan, part, scatter.layout, scatter.result)
        return ZC_OK
    strided_fill(scatter.result + part.result_offset, scatter.user_strides, part.count, scatter.plan.ndim,
                 scatter.layout.itemsize, scatter.layout.user_fill)
    return ZC_OK


cdef zc_status scatter_raw(zc_scatter *scatter, const zc_part *part, int fd, uint64_t offset, zc_worker *worker) noexcept nogil:
    if scatter.plan.kind == PLAN_BOXES:
        return _read_raw_box(scatter, part, fd, offset, worker)
    return _read_raw_points(scatter, part, fd, offset, worker)


cdef zc_status _read_raw_box(zc_scatter *scatter, const zc_part *part, int fd, uint64_t offset,
                             zc_worker *worker) noexcept nogil:
    cdef size_t first = 0
    cdef size_t end = 0
    cdef zc_raw_box box
    box.ndim = scatter.plan.ndim
    box.count = part.count
    box.file_strides = scatter.buffer_strides
    box.strides = scatter.user_strides
    box.itemsize = scatter.layout.itemsize
    box.swap_unit = scatter.layout.read_swap_unit
    box.streamed = scatter.streamed
    layout_span(scatter.layout, scatter.plan, part, &first, &end)
    return raw_read(fd, offset + first, scatter.result + part.result_offset, &box, worker)


cdef zc_status _read_raw_points(zc_scatter *scatter, const zc_part *part, int fd, uint64_t offset,
                                zc_worker *worker) noexcept nogil:
    """What lies between the first element and the last; of few places far apart only what belongs to each."""
    cdef zc_points_bucket bucket
    cdef zc_part pinned
    cdef size_t first, end, pinned_first, pinned_end, n
    cdef size_t i = 0
    cdef int axis = -1 if scatter.plan.kind == PLAN_MASK else points_widest_axis(scatter.plan, part, scatter.layout)
    cdef zc_status status = ZC_OK
    layout_span(scatter.layout, scatter.plan, part, &first, &end)
    if axis < 0 or end - first <= POINT_NBYTES:
        return _read_raw_span(scatter, part, fd, offset, worker)
    n = points_along(scatter.plan, part, axis)
    pinned = part[0]
    points_pin(scatter.plan, part, axis, 0, &pinned, &bucket)
    layout_span(scatter.layout, scatter.plan, &pinned, &pinned_first, &pinned_end)
    if n > (end - first) // (pinned_end - pinned_first + POINT_NBYTES):
        return _read_raw_span(scatter, part, fd, offset, worker)
    while status == ZC_OK and i < n:
        points_pin(scatter.plan, part, axis, i, &pinned, &bucket)
        status = _read_raw_points(scatter, &pinned, fd, offset, worker)
        i += 1
    return status


cdef zc_status _read_raw_span(zc_scatter *scatter, const zc_part *part, int fd, uint64_t offset,
                              zc_worker *worker) noexcept nogil:
    cdef size_t first, end
    cdef uint8_t *data
    cdef zc_status status
    layout_span(scatter.layout, scatter.plan, part, &first, &end)
    data = zc_worker_scratch(worker, ZC_SCRATCH_CHUNK, end - first)
    if data is NULL:
        return ZC_ENOMEM
    status = local_pread(fd, offset + first, data, end - first, &worker.error_number)
    if status == ZC_OK:
        points_read(scatter.plan, part, scatter.layout, data, first, scatter.result)
    return status


cdef zc_status scatter_decode(zc_scatter *scatter, const zc_part *part, const uint8_t *src, size_t src_nbytes,
                              size_t part_index, zc_worker *worker, int *step) noexcept nogil:
    cdef const zc_layout *layout = scatter.layout
    cdef uint8_t *target = scatter.result + part.result_offset
    cdef const uint8_t *data = NULL
    cdef size_t first, end
    cdef zc_status status
    if scatter.chain is NULL:
        return _decode_in_python(scatter, part, src, src_nbytes, part_index)
    if layout_matches(layout, scatter.plan, part):
        status = chain_decode(scatter.chain, worker, src, src_nbytes, target, &data, step)
        swap_bytes(target, layout.nbytes, layout.read_swap_unit if status == ZC_OK else 0)
        return status
    layout_span(layout, scatter.plan, part, &first, &end)
    status = chain_decode_range(scatter.chain, worker, src, src_nbytes, first, end, &data, step)
    if status == ZC_OK:
        _scatter(scatter, part, data, first)
    return status


cdef zc_status scatter_decode_whole(zc_scatter *scatter, const uint8_t *src, size_t src_nbytes, uint8_t *chunk,
                                    size_t part_index, zc_worker *worker, int *step) noexcept nogil:
    cdef const uint8_t *data = NULL
    if scatter.chain is not NULL:
        return chain_decode(scatter.chain, worker, src, src_nbytes, chunk, &data, step)
    with gil:
        try:
            _copy_decoded(<ChunkLayout>scatter.python_layout, src, src_nbytes, chunk)
        except BaseException as error:
            keep_exception(&scatter.failure, part_index, error)
            return ZC_EPYTHON
    return ZC_OK


cdef int _copy_decoded(ChunkLayout layout, const uint8_t *src, size_t src_nbytes, uint8_t *chunk) except -1:
    cdef const uint8_t[::1] view = layout.decode_chunk(src, src_nbytes)
    memcpy(chunk, &view[0], view.shape[0])
    return 0


cdef void scatter_chunk(const zc_scatter *scatter, const zc_part *part, const uint8_t *chunk) noexcept nogil:
    cdef size_t first, end
    layout_span(scatter.layout, scatter.plan, part, &first, &end)
    _scatter(scatter, part, chunk + first, first)


cdef void _scatter(const zc_scatter *scatter, const zc_part *part, const uint8_t *data, size_t first) noexcept nogil:
    """Copy the part to the result; its first element is at 'data', and at byte 'first' of the whole chunk."""
    cdef uint8_t *target = scatter.result + part.result_offset
    cdef size_t itemsize = scatter.layout.itemsize
    cdef size_t swap_unit = scatter.layout.read_swap_unit
    if scatter.plan.kind != PLAN_BOXES:
        points_read(scatter.plan, part, scatter.layout, data, first, scatter.result)
        return
    if scatter.streamed:
        strided_copy_streamed(target, scatter.user_strides, data, scatter.buffer_strides, part.count, scatter.plan.ndim,
                              itemsize, swap_unit)
    else:
        strided_copy(target, scatter.user_strides, data, scatter.buffer_strides, part.count, scatter.plan.ndim, itemsize,
                     swap_unit)


cdef zc_status _decode_in_python(zc_scatter *scatter, const zc_part *part, const uint8_t *src, size_t src_nbytes,
                                 size_t part_index) noexcept nogil:
    with gil:
        try:
            _decode_with(<ChunkLayout>scatter.python_layout, scatter, part, src, src_nbytes)
        except BaseException as error:
            keep_exception(&scatter.failure, part_index, error)
            return ZC_EPYTHON
    return ZC_OK


cdef int _decode_with(ChunkLayout layout, zc_scatter *scatter, const zc_part *part, const uint8_t *src,
                      size_t src_nbytes) except -1:
    cdef size_t first, end
    cdef const uint8_t[::1] view = layout.decode_chunk(src, src_nbytes)
    layout_span(scatter.layout, scatter.plan, part, &first, &end)
    _scatter(scatter, part, &view[first], first)
    return 0
