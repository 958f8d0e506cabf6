"""The one door from a C status to a Python exception."""

from libc.stdint cimport uint8_t

cdef extern from "zc.h":
    ctypedef enum zc_status:
        ZC_OK
        ZC_ABSENT
        ZC_ENOMEM
        ZC_EINVAL
        ZC_ECORRUPT
        ZC_ETRUNCATED
        ZC_ECHECKSUM
        ZC_ETOOLARGE
        ZC_ELENGTH
        ZC_EUNSUPPORTED
        ZC_ELIMIT
        ZC_EOS
        ZC_EPYTHON
        ZC_ECANCELLED
        ZC_N_STATUS

# The exception for 'status', not raised.  'detail' (static text, may be NULL) is added to the message; 'error_number' is
# the errno of ZC_EOS.
cdef object exception_of(zc_status status, const char *detail, int error_number, str codec)

# Raise what 'status' means, with the GIL; 0 for ZC_OK.
cdef int check(zc_status status, const char *detail, int error_number, str codec) except -1
