"""The read path of sharded arrays on stores in Python."""

from libc.stdint cimport uint8_t

from zarrc.engine.objects cimport Objects
from zarrc.engine.shard_layout cimport ShardLayout
from zarrc.indexing.plan cimport zc_plan

# read_shards (shard_read.pxd) for them.
cdef int read_remote_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *result, int n_threads,
                            config) except -1
