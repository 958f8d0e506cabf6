"""The write path of sharded arrays."""

from libc.stdint cimport uint8_t

from zarrc.engine.objects cimport Objects
from zarrc.engine.shard_layout cimport ShardLayout
from zarrc.indexing.plan cimport zc_plan

# Write every part of the plan, which is over shards, from 'value' as write_plan does (write.pxd).
cdef int write_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *value, int n_threads,
                      config) except -1
