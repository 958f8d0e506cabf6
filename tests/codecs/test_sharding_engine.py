"""The engine's shards and those of the codec's Python side are the same: each reads what the other wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from tests.codecs.test_sharding import Negated, sharded
from zarrc.codecs import ChunkSpec, ShardingCodec
from zarrc.storage import MemoryStore

Case = tuple[ShardingCodec, ChunkSpec, np.ndarray]


def compiled(codec: ShardingCodec) -> bool:
    """Whether all its codecs are ours; one of the user's own would have to be registered."""
    inner = codec.codecs[0]
    return compiled(inner) if isinstance(inner, ShardingCodec) else not isinstance(inner, Negated)


CASES = sharded().filter(lambda case: compiled(case[0]))


def array_of(case: Case) -> zarrc.Array:
    """An array of one shard."""
    codec, spec, data = case
    assert spec.fill is not None
    return zarrc.create_array(
        MemoryStore(),
        shape=data.shape,
        chunks=data.shape,
        codecs=[codec],
        dtype=data.dtype,
        fill_value=spec.fill[()],
    )


def key_of(array: zarrc.Array) -> str:
    return array.metadata.chunk_key_encoding.encode((0,) * array.ndim)


@given(CASES)
def test_the_python_side_reads_what_the_engine_wrote(case: Case) -> None:
    codec, spec, data = case
    array = array_of(case)
    assert array.metadata.sharding == codec
    array[...] = data
    blob = array.store.get(key_of(array))
    if blob is None:
        # An all-empty shard is not stored.
        assert spec.fill is not None
        assert data.tobytes() == spec.fill.tobytes() * data.size
    else:
        assert codec.decode(blob, spec).tobytes() == data.tobytes()


@given(CASES, st.data())
def test_the_engine_reads_and_changes_what_the_python_side_wrote(case: Case, draw: st.DataObject) -> None:
    codec, spec, data = case
    array = array_of(case)
    array.store.set(key_of(array), codec.encode(data, spec))
    assert np.asarray(array[...]).tobytes() == data.tobytes()
    region: Any = tuple(
        slice(*sorted(draw.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in data.shape
    )
    data = data.copy()
    data[region] = 2
    array[region] = 2
    blob = array.store.get(key_of(array))
    if blob is not None:
        assert codec.decode(blob, spec).tobytes() == data.tobytes()
    assert np.asarray(array[...]).tobytes() == data.tobytes()
