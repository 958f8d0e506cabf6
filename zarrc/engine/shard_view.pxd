"""One version of a shard, open for reading: where its bytes are, and its index, checked."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.cached cimport zc_cached_object
from zarrc.engine.objects cimport zc_objects
from zarrc.engine.shard_layout cimport zc_shard_layout
from zarrc.kernels.shard_cache cimport zc_open_shard
from zarrc.kernels.shard_index cimport zc_shard_entry
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport zc_worker

ctypedef struct zc_shard_view:
    int fd                          # -1: in memory
    const uint8_t *data             # in memory
    uint64_t start                  # of the shard in its file
    uint64_t nbytes
    zc_shard_entry *index           # n_inner entries; not yet checked one by one
    bint owns_fd
    bint owns_index
    zc_open_shard *shared           # that has descriptor and index, where they are kept (a reference), else NULL
    uint64_t identity[4]            # of the file (zc_local.h), or the version of the object in memory
    uint8_t *owned                  # the decoded shard, where codecs are around it
    zc_blob *blob                   # that has 'data' (owned)
    bint is_settled                 # nobody is appending: 'identity' is that of what is read
    zc_cached_object cached         # what its chunks are kept by, set by who reads; zeros: they are not

# A stored shard of a local or memory store.  ZC_ABSENT; *step is FAILED_SHARD or -1 on failure.  Close what was opened.
cdef zc_status view_open(zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                         const char *name, size_t name_nbytes, int *step) noexcept nogil

# Before a shard is changed, replaced or removed, under its lock: take back what somebody began to append and did not finish.
cdef zc_status view_repair(const zc_objects *objects, const zc_shard_layout *shard, zc_worker *worker,
                           const char *name) noexcept nogil

# Note, for the next reader, what became of the file of 'view' (which keeps its inode): its identity and index now.
cdef void view_remember(const zc_shard_view *view, const zc_objects *objects, const zc_shard_layout *shard, const char *name,
                        size_t name_nbytes, const uint64_t *identity, const zc_shard_entry *index) noexcept nogil

# Let go of what is kept of a shard that is about to be replaced or removed.
cdef void view_forget(const zc_objects *objects, const char *name, size_t name_nbytes) noexcept nogil

# A shard whose encoded bytes are in memory, which must stay as long as the view.
cdef zc_status view_bytes(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, const uint8_t *data,
                          uint64_t nbytes, int *step) noexcept nogil

# The shard that an inner chunk is; 'outer' must stay open as long as 'view'.
cdef zc_status view_inside(zc_shard_view *view, const zc_shard_view *outer, const zc_shard_layout *nested, zc_worker *worker,
                           const zc_shard_entry *entry, int *step) noexcept nogil

# The index of a view that has none, from its shard.index_nbytes stored bytes.
cdef zc_status view_index(zc_shard_view *view, const zc_shard_layout *shard, zc_worker *worker, const uint8_t *stored,
                          int *step) noexcept nogil

# Of a view that was set to zeros too, and once more.
cdef void view_close(zc_shard_view *view) noexcept nogil

# 'nbytes' bytes of the shard from 'offset' on: in place, or read to ZC_SCRATCH_ENCODED.  They were checked to be inside.
cdef zc_status view_read(const zc_shard_view *view, zc_worker *worker, uint64_t offset, size_t nbytes,
                         const uint8_t **data_ret) noexcept nogil
