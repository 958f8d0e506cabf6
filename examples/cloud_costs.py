"""What an array costs in a bucket, and what makes it cheaper: counted, not guessed.

The store is in memory, behind a meter: what is counted are the requests that a bucket would bill. Around
``FsspecStore.from_url("s3://...")`` the meter counts the same. Run it as
``python examples/cloud_costs.py [FOLDER]``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr
from zarrc.storage import GCS_STANDARD, MemoryStore, MeteredStore, estimate_cost


def larger_chunks(folder: Path) -> None:
    """Chunks of ten times the length along both axes make a hundredth of the requests."""
    data = np.zeros((2000, 2000), dtype="float64") + np.arange(2000)
    requests = {}
    for chunks in [(100, 100), (1000, 1000)]:
        # 1000 x 1000 float64 are 8 MB, 100 x 100 are 80 kB (the guide has ten times that for both).
        store = MeteredStore(MemoryStore())
        array = zarr.create_array(store, shape=data.shape, dtype=data.dtype, chunks=chunks)
        store.reset()
        array[:] = data
        assert np.array_equal(array[:], data)
        stats = store.stats()
        requests[chunks] = (stats.n_sets, stats["get"].n_requests)
        print(f"{chunks}: {stats.n_sets} PUT, {stats.n_gets} GET, {stats.cost().requests:.6f} $")
    assert requests == {(100, 100): (400, 400), (1000, 1000): (4, 4)}


def sharding(folder: Path) -> None:
    """Shards make few objects of many chunks: small chunks to read, few requests to write."""
    data = np.random.default_rng(0).integers(0, 100, (2000, 2000), dtype="uint16")
    plain, sharded = MeteredStore(MemoryStore()), MeteredStore(MemoryStore())
    zarr.create_array(plain, data=data, chunks=(100, 100))
    # In the guide's form; as a keyword: chunks=(100, 100), shards=(1000, 1000).
    array = zarr.create(
        store=sharded,
        shape=data.shape,
        dtype=data.dtype,
        chunks=(100, 100),
        codecs=[{"name": "sharding_indexed", "configuration": {"chunk_shape": [1000, 1000]}}],
    )
    array[:] = data
    # The chunks or shards, and the metadata.
    assert (plain.stats().n_sets, sharded.stats().n_sets) == (400 + 1, 4 + 1)

    # A part of a shard is read by ranges: its index, and the chunks that are wanted.
    sharded.reset()
    assert np.array_equal(array[130:170, 120:180], data[130:170, 120:180])
    few = sharded.reset()
    assert few["get_range"].n_requests == 2
    assert few.nbytes_read < data.nbytes / 100
    # All of it takes one request for each shard.
    assert np.array_equal(array[:], data)
    assert sharded.stats().n_gets == 4
    print(plain.stats(), sharded.stats(), sep="\n\n")


def compression(folder: Path) -> None:
    """What is not stored is not billed, month by month, nor carried."""
    air = climate(folder)["air_temperature"]
    data = np.tile(air[:], (1, 4, 4))
    stored = {}
    for name, compressors in [("none", None), ("zstd 3", [{"name": "zstd", "configuration": {"level": 3}}])]:
        store = MeteredStore(MemoryStore())
        zarr.create_array(store, data=data, chunks=(24, 148, 196), compressors=compressors)
        stored[name] = store.stats().nbytes_written
        year = store.stats().cost(stored_nbytes=1000 * stored[name], months=12)
        print(f"{name}: {stored[name] / 1e6:.1f} MB; a thousand such arrays for a year: ${year.storage:.2f}")
    assert stored["zstd 3"] < 0.5 * stored["none"]


def batch_operations(folder: Path) -> None:
    """Write many chunks at once: in one assignment, or in tasks of your own that share no chunk."""
    data = np.random.default_rng(1).normal(size=(2000, 2000))
    store = MeteredStore(MemoryStore())
    array = zarr.create_array(store, shape=data.shape, dtype=data.dtype, chunks=(500, 500))
    store.reset()

    def write(i: int, j: int) -> None:
        region = (slice(i * 500, (i + 1) * 500), slice(j * 500, (j + 1) * 500))
        array[region] = data[region]

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda place: write(*place), np.ndindex(4, 4)))
    by_tasks = store.reset()
    array[:] = data  # the same, in parallel by itself
    at_once = store.reset()
    # Whole chunks are not read before they are written.
    assert (by_tasks.n_sets, by_tasks.n_gets) == (at_once.n_sets, at_once.n_gets) == (16, 0)
    assert np.array_equal(array[:], data)
    store.reset()

    # Small steps are what costs: each row is a change of four chunks, which are read and written.
    for row in range(20):
        array[row] = 0
    by_rows = store.reset()
    assert (by_rows.n_sets, by_rows.n_gets) == (80, 80)
    with array.buffered():
        for row in range(20):
            array[row] = 1
    buffered = store.reset()
    assert buffered.n_sets == 4
    print(f"20 rows: {by_rows.cost().requests:.6f} $, buffered {buffered.cost().requests:.6f} $")


def monitor_costs(folder: Path) -> None:
    """Count what a program does, and say what it costs; or ask before there is a program."""
    # Before: 10,000 chunks, written and read once; and 100 shards of 100 chunks each.
    plain, sharded = estimate_cost(10_000), estimate_cost(100)
    print(plain, sharded, sep="\n")
    # 1,000 PUT are $0.005 (the guide has the price of 1,000 GET, $0.0004, for both).
    assert abs(plain.puts - 0.05) < 1e-9
    assert abs(plain.gets - 0.004) < 1e-9
    assert abs(sharded.total - plain.total / 100) < 1e-9

    # An array, with a year of storage, by the prices of another provider.
    air = climate(folder)["air_temperature"]
    print(estimate_cost(air, reads=1000, months=12, prices=GCS_STANDARD))

    # Afterwards: what was done.
    store = MeteredStore(air.store)
    array = zarr.open_array(store, path="air_temperature", mode="r")
    before = store.stats()
    means = [array[start : start + 24].mean() for start in range(0, 240, 24)]
    stats = store.stats() - before
    assert len(means) == stats["get"].n_requests == array.nchunks == 10
    print(stats)
    print(stats.cost(egress=True))


if __name__ == "__main__":
    run(larger_chunks, sharding, compression, batch_operations, monitor_costs)
