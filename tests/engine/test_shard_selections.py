"""Sharded arrays hold what NumPy's do; another reader checks what is stored after each step."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import BYTES, CRC32C, ZSTD, CountingStore, Json, check_stored, sharding
from tests.soak import count
from tests.strategies import DTYPE_NAMES, basic_selections, broadcastable_shapes, random_values, seeds
from zarrc.codecs import BitroundCodec, ChunkSpec

Values = npt.NDArray[Any]

thoroughly = settings(
    max_examples=count(4000),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)

BIG: Json = {"name": "bytes", "configuration": {"endian": "big"}}
GZIP: Json = {"name": "gzip", "configuration": {"level": 1}}
BLOSC: Json = {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "shuffle", "clevel": 1}}
LZ4: Json = {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}
BITROUND: Json = {"name": "bitround", "configuration": {"keepbits": 5}}

INNER: tuple[list[Json], ...] = ([], [ZSTD], [GZIP], [BLOSC], [LZ4], [CRC32C], [ZSTD, CRC32C])
AFTER: tuple[list[Json], ...] = ([], [], [], [CRC32C], [ZSTD], [GZIP], [ZSTD, CRC32C])
KINDS = ("memory", "local", "mapping", "versions", "no versions")
# What local stores can do besides.
LOCAL_CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"shard_update": "append"},
    {"shard_update": "append", "locking": "file"},
    {"locking": "file"},
    {"shard_index_cache_nbytes": 0},
)


@dataclass(frozen=True)
class Sharded:
    """A sharded array to create: everything but its store."""

    shape: tuple[int, ...]
    shards: tuple[int, ...]
    codecs: list[Json]
    dtype: str
    fill: Any
    config: dict[str, Any]
    rounded: bool

    def create(self, store: Any, name: str = "") -> Any:
        return zarrc.create_array(
            store,
            name=name,
            shape=self.shape,
            chunks=self.shards,
            codecs=self.codecs,
            dtype=self.dtype,
            fill_value=self.fill,
            config=self.config,
        )

    def stored(self, values: Values) -> Values:
        """What is read after these values were written."""
        if not self.rounded:
            return values
        return BitroundCodec(keepbits=5).encode(np.asarray(values), ChunkSpec(np.shape(values), values.dtype))


def _transpose(order: tuple[int, ...]) -> Json:
    return {"name": "transpose", "configuration": {"order": list(order)}}


@st.composite
def _index_codecs(draw: st.DrawFn, ndim: int) -> list[Json]:
    codecs = [draw(st.sampled_from((BYTES, BYTES, BIG)))]
    if draw(st.integers(0, 3)) == 0:
        codecs.insert(0, _transpose(draw(st.permutations(range(ndim + 1)).map(tuple))))
    return codecs + [CRC32C] * draw(st.sampled_from((1, 1, 0, 2)))


@st.composite
def sharded_layouts(draw: st.DrawFn, max_ndim: int = 4) -> Sharded:
    """One to three levels of shards, built from the innermost chunk outwards."""
    ndim = draw(st.sampled_from([n for n in (1, 2, 2, 3, 4, 0) if n <= max_ndim]))
    dtype = draw(st.sampled_from((*DTYPE_NAMES, *DTYPE_NAMES, "r24", "r64")))
    rounded = dtype in ("float32", "float64") and draw(st.integers(0, 3)) == 0
    extents = st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)
    permutations = st.permutations(range(ndim)).map(tuple)
    shape = tuple(draw(extents))
    codecs = [draw(st.sampled_from((BYTES, BYTES, BIG))), *draw(st.sampled_from(INNER))]
    if draw(st.integers(0, 3)) == 0:
        codecs.insert(0, _transpose(draw(permutations)))
    n_levels = draw(st.sampled_from((1, 1, 1, 2, 3)))
    for _ in range(n_levels):
        factors = draw(extents) if n_levels < 3 else draw(extents.map(lambda e: [min(n, 2) for n in e]))
        location = draw(st.sampled_from(("end", "start")))
        codec = sharding(shape, codecs, draw(_index_codecs(ndim)), location)
        shape = tuple(n * factor for n, factor in zip(shape, factors, strict=True))
        codecs = [codec, *draw(st.sampled_from(AFTER))]
        if draw(st.integers(0, 3)) == 0:
            order = draw(permutations)
            codecs.insert(0, _transpose(order))
            shape = tuple(shape[order.index(axis)] for axis in range(ndim))
    if rounded:
        codecs.insert(0, BITROUND)
    array_shape = tuple(draw(st.integers(0 if n == 1 else 1, min(2 * n + 2, 14))) for n in shape)
    fills = {"f": (0.0, -0.0, float("nan"), 1.5), "c": (0, complex(1.5, -0.0)), "b": (False, True)}
    kind = "V" if dtype.startswith("r") else np.dtype(dtype).kind
    fill = draw(st.sampled_from(fills.get(kind, (0, 3)))) if kind != "V" else None
    config = {"write_empty_chunks": True} if draw(st.integers(0, 5)) == 0 else {}
    if draw(st.integers(0, 4)) == 0:
        config["sharding_coalesce_max_gap_bytes"] = draw(st.sampled_from((0, 1, 30)))
        config["sharding_coalesce_max_bytes"] = draw(st.sampled_from((0, 1, 50, None)))
    return Sharded(array_shape, shape, codecs, dtype, fill, config, rounded)


def make_store(kind: str, folder: Path) -> Any:
    """A new store of the kind."""
    if kind == "local":
        return tempfile.mkdtemp(dir=folder)
    if kind == "memory":
        return zarrc.storage.MemoryStore()
    return {} if kind == "mapping" else CountingStore(versions=kind == "versions")


def _values(data: st.DataObject, shape: tuple[int, ...], layout: Sharded, expected: Values) -> Values:
    """Any bits, with the fill value in some rows and now and then everywhere."""
    seed = data.draw(seeds())
    values = random_values(shape, expected.dtype, seed)
    if layout.rounded:
        values = np.random.default_rng(seed).standard_normal(shape).astype(expected.dtype)
    filled = data.draw(st.sampled_from(("none", "some", "some", "all")))
    fill = np.zeros((), expected.dtype) if layout.fill is None else np.asarray(layout.fill, expected.dtype)
    if filled == "all":
        values[...] = fill
    elif filled == "some" and shape:
        values[:: data.draw(st.integers(1, 3))] = fill
    return values


def _assert_same(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.asarray(found).astype(expected.dtype).tobytes() == np.asarray(expected).tobytes()


@thoroughly
@given(data=st.data(), layout=sharded_layouts(), kind=st.sampled_from(KINDS))
def test_writes_and_reads_are_numpys_and_what_is_stored_is_sound(
    tmp_path: Path, data: st.DataObject, layout: Sharded, kind: str
) -> None:
    array = layout.create(make_store(kind, tmp_path), data.draw(st.sampled_from(("", "a/b"))))
    if kind == "local":
        array = array.with_config({**layout.config, **data.draw(st.sampled_from(LOCAL_CONFIGS))})
    expected = np.full(array.shape, array.fill_value, array.dtype).astype(array.dtype.newbyteorder("="))
    _assert_same(array[...], expected)
    for _ in range(data.draw(st.integers(1, 4))):
        selection = data.draw(st.just(...) | basic_selections(layout.shape))
        selected = expected[selection]
        shape = () if isinstance(selected, np.generic) else data.draw(broadcastable_shapes(selected.shape))
        if isinstance(selected, np.void):
            continue  # what NumPy makes of a raw scalar is not ours to test
        values = _values(data, shape, layout, expected)
        if shape == () and expected.dtype.kind not in "V" and data.draw(st.booleans()):
            values = values[()]
        array[selection] = values
        expected[selection] = layout.stored(values)
        _assert_same(array[...], expected)
        check_stored(
            array,
            expected,
            exact=not layout.rounded,
            gaps=array.config.shard_update == "append",
            with_empty=layout.config.get("write_empty_chunks", False),
        )
        for _ in range(2):
            selection = data.draw(basic_selections(layout.shape))
            _assert_same(array[selection], expected[selection])


@settings(thoroughly, max_examples=count(1000))
@given(data=st.data(), layout=sharded_layouts(3), kind=st.sampled_from(KINDS), seed=seeds())
def test_a_strided_out_is_written_where_it_is_and_nowhere_else(
    tmp_path: Path, data: st.DataObject, layout: Sharded, kind: str, seed: int
) -> None:
    array = layout.create(make_store(kind, tmp_path))
    values = random_values(array.shape, array.dtype.newbyteorder("="), seed)
    array[...] = values
    selection = data.draw(basic_selections(layout.shape))
    expected = layout.stored(values)[selection]
    if not isinstance(expected, np.ndarray):
        return
    steps = [data.draw(st.sampled_from((1, 1, 2, 3))) for _ in expected.shape]
    frame = random_values(
        tuple(n * step + 1 for n, step in zip(expected.shape, steps, strict=True)), values.dtype, seed + 1
    )
    before = frame.copy()
    box = tuple(slice(0, n * step, step) for n, step in zip(expected.shape, steps, strict=True))
    array.get_basic_selection(selection, out=frame[(*box, ...)])
    before[box] = expected
    assert frame.tobytes() == before.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("location", ["start", "end"])
def test_an_all_empty_shard_is_deleted_or_stored_as_the_array_says(
    kind: str, location: str, tmp_path: Path
) -> None:
    layout = Sharded((8,), (4,), [sharding((2,), location=location)], "int32", 7, {}, rounded=False)
    array = layout.create(make_store(kind, tmp_path))
    array[...] = range(1, 9)
    array[:4] = 7
    check_stored(array, np.array([7, 7, 7, 7, 5, 6, 7, 8], "i4"))
    assert array.store.get("c/0") is None
    array[4:6] = 7
    array[6:] = 7
    assert array.store.get("c/1") is None
    array.with_config({"write_empty_chunks": True})[1:3] = 7
    stored = bytes(array.store.get("c/0"))
    assert len(stored) == 2 * 8 + 2 * 16 + 4
    assert array[...].tolist() == [7] * 8
    # One that is written over with fill again loses what is empty, inner chunk by inner chunk.
    array[0] = 7
    assert len(bytes(array.store.get("c/0"))) == 8 + 2 * 16 + 4


@given(layout=sharded_layouts(), seed=seeds())
def test_all_stores_get_the_same_bytes(tmp_path: Path, layout: Sharded, seed: int) -> None:
    found = []
    for kind in KINDS:
        array = layout.create(make_store(kind, tmp_path))
        values = random_values(array.shape, array.dtype.newbyteorder("="), seed)
        array[...] = values
        part = tuple(slice(None, None, -2) for _ in array.shape) or (...,)
        array[part] = (
            values[part][tuple(slice(None, None, -1) for _ in array.shape)] if array.shape else values
        )
        keys = sorted(key for key in array.store.list_prefix("") if not key.endswith("zarr.json"))
        found.append([(key, bytes(array.store.get(key))) for key in keys])
    for one, other in itertools.pairwise(found):
        assert one == other
