# cython: language_level=3
"""Groups of objects for stores in Python."""

from _thread import allocate_lock
from contextlib import nullcontext

from zarrc.errors import StoreError
from zarrc.storage.bounded import bounded

from zarrc.engine.objects cimport all_of


cdef class Outgoing:
    """Objects of one array that are changed, replaced or removed together, under the locks of all of them.

    The store is given this iterator over (key, bytes), which makes the bytes as it is asked: what is made can be on its way while
    the next is made, and no more is in memory than the store takes. Threads of a store take turns. It is at its end when the
    call of the store is over: what it reads from is the caller's.
    """

    def __cinit__(self, Objects objects not None):
        self.objects = objects
        self.keys, self.changed, self.empty, self.old = [], [], [], {}

    cdef int add_key(self, str key, bint is_changed) except -1:
        if is_changed:
            self.changed.append(len(self.keys))
        self.keys.append(key)
        return 0

    cdef bint write(self, bint is_locked) except -1:
        # A change is a read and a write under one lock; others' changes do not meet an object that is replaced meanwhile.
        with nullcontext() if is_locked else self.objects.locked(self.keys):
            return self.write_locked()

    cdef bint write_locked(self) except -1:
        store = self.objects.store
        if len(self.keys) == 1:
            return self._write_one(store)
        if self.changed:
            old = all_of(self._readable(store), [(self.keys[i], None) for i in self.changed])
            self.old = dict(zip(self.changed, old))
        self.turn = allocate_lock()
        try:
            store.set_many(self)
        except Exception:
            # What failed first is told, Ctrl-C above all.
            if not self.failed:
                raise
        finally:
            self.is_over = True
            with self.turn:     # a thread of the store may be in the middle of the next
                pass
        if self.failed:
            return True
        if self.is_broken or self.n_taken() < <size_t>len(self.keys):
            raise StoreError("the store did not take all objects that it was to set",
                             key=self.keys[min(self.n_taken(), <size_t>len(self.keys) - 1)])
        if self.empty:
            store.delete_many(self.empty)
        return False

    def _readable(self, store):
        return store if self.most is None else bounded(store, self.most)

    cdef bint _write_one(self, store) except -1:
        key = self.keys[0]
        if self.changed:
            self.old = {0: self._readable(store).get(key)}
        item = self.make()
        if item is not None:
            store.set(key, item[1])
        elif not self.failed:
            store.delete(key)
        return self.failed

    cdef object make(self):
        return None

    cdef size_t n_taken(self):
        return 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.turn is None:
            raise StopIteration
        with self.turn:
            if self.is_over:
                raise StopIteration
            try:
                item = self.make()
            except BaseException:
                # It cannot go on: what was stored of this object is used up.
                self.is_over = self.is_broken = True
                raise
            if item is None:
                self.is_over = True
                raise StopIteration
            return item
