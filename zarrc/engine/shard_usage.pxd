"""How much of a stored shard is in use."""

from zarrc.engine.objects cimport Objects
from zarrc.engine.shard_layout cimport ShardLayout
from zarrc.indexing.plan cimport zc_plan

# Of the plan's first part: (bytes of the object, bytes of its index and inner chunks, inner chunks), or None.
cdef object usage_of_shard(const zc_plan *plan, ShardLayout layout, Objects objects)
