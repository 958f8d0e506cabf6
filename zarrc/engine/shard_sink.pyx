# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where the bytes of a new shard go as they come."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from zarrc.engine.objects cimport object_drop, object_new
from zarrc.kernels.local_io cimport (
    local_pread,
    local_stream_copy,
    local_stream_drop,
    local_stream_open,
    local_stream_put,
    local_stream_put_at,
    local_stream_skip,
)
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_OK

cdef enum:
    LEAST_CAPACITY = 4096


cdef void sink_to_file(zc_shard_sink *sink, const char *name, size_t root_nbytes) noexcept nogil:
    memset(sink, 0, sizeof(zc_shard_sink))
    sink.name, sink.root_nbytes = name, root_nbytes


cdef void sink_to_memory(zc_shard_sink *sink, size_t expected, bint in_blob) noexcept nogil:
    memset(sink, 0, sizeof(zc_shard_sink))
    # What does not compress gets a little longer, and to begin again would take twice the memory.
    sink.expected, sink.in_blob = expected + expected // 64, in_blob


cdef zc_status sink_put(zc_shard_sink *sink, zc_worker *worker, const uint8_t *src, size_t nbytes) noexcept nogil:
    cdef zc_status status = _room(sink, worker, nbytes)
    if status == ZC_OK and nbytes:
        if sink.name is not NULL:
            status = local_stream_put(sink.stream, src, nbytes, &worker.error_number)
        else:
            memcpy(sink.data + sink.nbytes, src, nbytes)
    sink.nbytes += nbytes
    return status


cdef zc_status sink_skip(zc_shard_sink *sink, zc_worker *worker, size_t nbytes) noexcept nogil:
    cdef zc_status status = _room(sink, worker, nbytes)
    if status == ZC_OK and sink.name is not NULL:
        status = local_stream_skip(sink.stream, nbytes, &worker.error_number)
    sink.nbytes += nbytes
    return status


cdef zc_status sink_put_at(zc_shard_sink *sink, zc_worker *worker, uint64_t offset, const uint8_t *src,
                           size_t nbytes) noexcept nogil:
    if sink.name is not NULL:
        return local_stream_put_at(sink.stream, offset, src, nbytes, &worker.error_number)
    memcpy(sink.data + offset, src, nbytes)
    return ZC_OK


cdef zc_status sink_copy(zc_shard_sink *sink, zc_worker *worker, const zc_shard_view *view, uint64_t offset,
                         uint64_t nbytes) noexcept nogil:
    cdef zc_status status
    if view.data is not NULL:
        return sink_put(sink, worker, view.data + offset, nbytes)
    status = _room(sink, worker, nbytes)
    if status == ZC_OK and sink.name is not NULL:
        status = local_stream_copy(sink.stream, view.fd, view.start + offset, nbytes, &worker.error_number)
    elif status == ZC_OK:
        status = local_pread(view.fd, view.start + offset, sink.data + sink.nbytes, nbytes, &worker.error_number)
    sink.nbytes += nbytes
    return status


cdef zc_status _room(zc_shard_sink *sink, zc_worker *worker, size_t nbytes) noexcept nogil:
    if sink.name is NULL:
        return _grow(sink, sink.nbytes + nbytes)
    if sink.stream is not NULL:
        return ZC_OK
    return local_stream_open(sink.name, sink.root_nbytes, &sink.stream, &worker.error_number)


cdef zc_status _grow(zc_shard_sink *sink, size_t nbytes) noexcept nogil:
    cdef size_t least
    if nbytes <= sink.capacity and sink.data is not NULL:
        return ZC_OK
    least = max(nbytes, max(2 * sink.capacity, <size_t>LEAST_CAPACITY))
    # Of a shard that is larger than memory, most inner chunks may be absent.
    if _grow_to(sink, max(least, sink.expected)) or _grow_to(sink, least):
        return ZC_OK
    return ZC_ENOMEM


cdef bint _grow_to(zc_shard_sink *sink, size_t capacity) noexcept nogil:
    cdef zc_blob *blob = NULL
    cdef uint8_t *data
    if not sink.in_blob:
        data = <uint8_t *>realloc(sink.data, capacity)
        if data is NULL:
            return False
    else:
        data = object_new(capacity, &blob)
        if data is NULL:
            return False
        if sink.nbytes:
            memcpy(data, sink.data, sink.nbytes)
        if sink.blob is not NULL:
            object_drop(sink.blob)
        sink.blob = blob
    sink.data, sink.capacity = data, capacity
    return True


cdef void sink_drop(zc_shard_sink *sink) noexcept nogil:
    local_stream_drop(sink.stream)
    if sink.blob is not NULL:
        object_drop(sink.blob)
    elif not sink.in_blob:
        free(sink.data)
    memset(sink, 0, sizeof(zc_shard_sink))
