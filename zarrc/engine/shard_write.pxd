"""The write path of sharded arrays."""

from libc.stdint cimport uint8_t

from zarrc.engine.objects cimport Objects
from zarrc.engine.shard_build cimport zc_shard_list
from zarrc.engine.shard_layout cimport ShardLayout
from zarrc.indexing.plan cimport zc_plan

# Write every part of the plan, which is over shards, from 'value' as ChunkWriter.write does (layout.pxd).
cdef int write_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *value, int n_threads,
                      config) except -1

# Write the listed inner chunks of the plan's one part, a whole shard, whose lock the caller has; the others stay as they are
# stored, without anything between them.  The plan's result strides are those of one value.
cdef int write_inner_chunks(const zc_plan *plan, ShardLayout layout, Objects objects, const zc_shard_list *listed,
                            uint8_t *values, int n_threads, config) except -1
