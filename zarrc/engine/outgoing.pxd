"""What a store in Python is given together: the same for chunks and for shards."""

from zarrc.engine.objects cimport Objects


cdef class Outgoing:
    cdef Objects objects
    cdef list keys
    cdef list changed           # the numbers of those that are read first
    cdef dict old               # of each of them what is stored, until it was used
    cdef list empty             # the keys of objects to remove
    cdef object most            # the most bytes that an object which is read can have; None: it is not known
    cdef bint failed            # which is kept by the job
    cdef object turn            # the lock of who takes the next; None while no store has the iterator
    cdef bint is_over
    cdef bint is_broken         # what made the bytes raised

    cdef int add_key(self, str key, bint is_changed) except -1

    # Whether it failed, which is kept.
    cdef bint write(self, bint is_locked) except -1
    cdef bint write_locked(self) except -1
    cdef bint _write_one(self, store) except -1

    # For subclasses: (key, bytes) of the next object that is not removed; None after the last, and where one failed.
    cdef object make(self)
    # How many objects the store has taken, or are to be removed.
    cdef size_t n_taken(self)
