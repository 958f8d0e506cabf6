# cython: language_level=3
"""The one door from a C status to a Python exception."""

import errno
import os

from zarrc.errors import CodecError, CorruptChunkError, StoreDeniedError, StoreError, StoreTimeoutError

cdef extern from "zc_local.h":
    const int ZC_LOCAL_NOT_REGULAR

# Status -> (exception class, text).  ZC_OK, ZC_ABSENT, ZC_EPYTHON and ZC_ECANCELLED are answers for the engine: they
# stand here so that one which leaks still says what it is.
_MEANING = {
    ZC_ABSENT: (StoreError, "no such object"),
    ZC_ENOMEM: (MemoryError, "out of memory"),
    ZC_EINVAL: (ValueError, "an argument is out of range"),
    ZC_ECORRUPT: (CorruptChunkError, "the stored bytes are not valid"),
    ZC_ETRUNCATED: (CorruptChunkError, "the stored bytes end too early"),
    ZC_ECHECKSUM: (CorruptChunkError, "the checksum does not match the stored bytes"),
    ZC_ETOOLARGE: (CorruptChunkError, "the stored bytes decode to more than the chunk's shape allows"),
    ZC_ELENGTH: (CorruptChunkError, "the stored bytes have another length than the chunk's shape needs"),
    ZC_EUNSUPPORTED: (CodecError, "the stored bytes use a feature that cannot be decoded here"),
    ZC_ELIMIT: (CodecError, "the chunk is larger than the codec's format can hold"),
    ZC_EPYTHON: (CodecError, "a step in Python failed"),
    ZC_ECANCELLED: (CodecError, "cancelled"),
}


cdef object exception_of(zc_status status, const char *detail, int error_number, str codec):
    if status == ZC_EOS:
        return _os_error(error_number, "" if detail is NULL else f": {detail.decode('ascii', 'replace')}")
    cls, text = _MEANING[status]
    if detail is not NULL:
        text = f"{text}: {detail.decode('ascii', 'replace')}"
    if issubclass(cls, CodecError):
        return cls(text, codec=codec)
    return cls(text)


cdef int check(zc_status status, const char *detail, int error_number, str codec) except -1:
    if status == ZC_OK:
        return 0
    raise exception_of(status, detail, error_number, codec)


def _os_error(int error_number, str detail):
    """An OSError of ours with its errno set, so that callers can compare it."""
    if error_number == ZC_LOCAL_NOT_REGULAR:
        error = StoreError("not a regular file")
        error.errno = errno.EINVAL
        return error
    cls = StoreDeniedError if error_number in (1, 13, 30) else StoreError    # EPERM, EACCES, EROFS
    if error_number == errno.ETIMEDOUT:
        cls = StoreTimeoutError
    error = cls(f"{os.strerror(error_number)} [errno {error_number}]{detail}")
    error.errno = error_number
    return error
