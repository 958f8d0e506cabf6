"""What the guide to advanced usage shows, as a user of Python would type it.

The forms of create and open are tested here. For sections whose blocks are programs, there are programs in
``examples/``: a function for each block of the guide.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from tests.conftest import SOURCE_ROOT
from tests.servers.servers import Servers
from zarrc.errors import MetadataError

# Every block of these sections of the guide, by its heading and its number below it, and its counterpart:
# the function of that name in examples/.
PROGRAMS: dict[str, dict[str, tuple[str, str]]] = {
    "Dimension Names": {
        "Creating Arrays with Dimension Names": ("dimension_names.py", "create_with_names"),
        "Slicing by Dimension Names": ("dimension_names.py", "slice_by_names"),
        "Dimension Name Rules": ("dimension_names.py", "name_rules"),
    },
    "Custom Chunk Grids": {
        "Regular Chunk Grid (Default)": ("chunk_grids.py", "regular"),
        "Irregular Chunk Grid": ("chunk_grids.py", "irregular"),
        "Use Cases for Irregular Grids: Adaptive resolution": ("chunk_grids.py", "adaptive_resolution"),
        "Use Cases for Irregular Grids: Non-uniform data distribution": (
            "chunk_grids.py",
            "sparse_and_dense_regions",
        ),
    },
    "Parallel Processing": {
        "Chunk-level parallelism": ("parallel_processing.py", "chunk_level"),
        "Task-based parallelism": ("parallel_processing.py", "task_based"),
    },
    "Memory Management": {
        "Stream large arrays": ("memory_management.py", "stream"),
        "Use ETS for caching": ("memory_management.py", "array_in_memory"),
    },
    "Cloud Storage": {
        "Amazon S3": ("cloud_storage.py", "amazon_s3"),
        "Google Cloud Storage": ("cloud_storage.py", "google_cloud_storage"),
        "Azure Blob Storage": ("cloud_storage.py", "azure_blob_storage"),
    },
    "Custom Storage Backends": {
        "Backend Behavior": ("custom_storage.py", "backend_behavior"),
        "Register Custom Backend": ("custom_storage.py", "register_custom_backend"),
    },
    "Cloud Storage Best Practices": {
        "1. Use larger chunks": ("cloud_costs.py", "larger_chunks"),
        "2. Enable sharding": ("cloud_costs.py", "sharding"),
        "3. Use compression": ("cloud_costs.py", "compression"),
        "4. Batch operations": ("cloud_costs.py", "batch_operations"),
        "5. Monitor costs": ("cloud_costs.py", "monitor_costs"),
    },
    "Lazy Loading": {"Lazy Loading": ("lazy_loading.py", "chunks_on_first_access")},
    "Transactional Writes": {"Transactional Writes": ("transactions.py", "transactional_writes")},
}
EXAMPLES = SOURCE_ROOT / "examples"
_PROGRAM_FILES = sorted({file for blocks in PROGRAMS.values() for file, _ in blocks.values()})


def _clouds(servers: Servers) -> dict[str, str]:
    """The variables of the environment by which the clients of the clouds find our servers."""
    s3, gcs, azure = (servers.server(kind) for kind in ("s3", "gcs", "azure"))
    for server, bucket in ((s3, "my-data-bucket"), (gcs, "my-gcs-bucket"), (azure, "data-container")):
        server.make_bucket(bucket)
    return {
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "STORAGE_EMULATOR_HOST": gcs.url,
        "AZURE_STORAGE_CONNECTION_STRING": azure.options(azure.url)["connection_string"],
    }


@pytest.mark.parametrize("file", _PROGRAM_FILES)
def test_a_program_for_each_block_of_the_guide_runs(
    file: str, tmp_path: Path, child_environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    environment = child_environment
    if file == "cloud_storage.py":
        environment = child_environment | _clouds(request.getfixturevalue("servers"))
    program = [sys.executable, str(EXAMPLES / file), str(tmp_path)]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    ran = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("--- ")}
    wanted = {name for blocks in PROGRAMS.values() for where, name in blocks.values() if where == file}
    assert wanted - ran == set()


def test_every_function_of_a_program_is_run() -> None:
    """A part that is written and never called would be tested by nobody."""
    for file in _PROGRAM_FILES:
        tree = ast.parse((EXAMPLES / file).read_text())
        defined = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and any(one.arg == "folder" for one in node.args.args)
        }
        called = {
            argument.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run"
            for argument in node.args
            if isinstance(argument, ast.Name)
        }
        assert defined == called, file


@pytest.mark.parametrize(
    "compressor",
    [
        {"name": "gzip", "configuration": {"level": 6}},
        {"name": "zstd"},
        {"name": "zstd", "configuration": {"level": 3}},
        {"name": "zstd", "configuration": {"level": 22}},
        {"name": "lz4"},
        {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle"}},
    ],
)
def test_create_with_a_codec_pipeline_then_open_by_path(tmp_path: Path, compressor: dict[str, Any]) -> None:
    array = zarr.create(
        shape=(100, 90),
        chunks=(10, 30),
        dtype="float64",
        codecs=[
            {"name": "transpose", "configuration": {"order": [1, 0]}},
            {"name": "bytes", "configuration": {"endian": "little"}},
            compressor,
        ],
        zarr_version=3,
        storage="filesystem",
        path=str(tmp_path / "v3_array"),
    )
    data = np.random.default_rng(0).normal(size=(100, 90))
    array[:] = data

    opened = zarr.open(path=str(tmp_path / "v3_array"))
    assert isinstance(opened, zarr.Array)
    assert opened.metadata.shape == (100, 90)
    assert str(opened.metadata.data_type) == "float64"
    assert opened.metadata.chunk_grid.chunk_shape == (10, 30)
    assert [codec.name for codec in opened.metadata.codecs][:2] == ["transpose", "bytes"]
    assert opened.metadata.dimension_names is None
    np.testing.assert_array_equal(opened[20:40, ::7], data[20:40, ::7])


def test_codecs_may_leave_out_what_has_a_default(tmp_path: Path) -> None:
    where = str(tmp_path / "a")
    zarr.create(shape=(10,), dtype="float32", codecs=[{"name": "bytes"}], storage="filesystem", path=where)
    opened = zarr.open(path=where)
    assert [codec.to_v3_json() for codec in opened.metadata.codecs] == [  # type: ignore[union-attr]
        {"name": "bytes", "configuration": {"endian": "little"}}
    ]


def test_dimension_names(tmp_path: Path) -> None:
    array = zarr.create(
        shape=(365, 18, 36),
        chunks=(1, 18, 36),
        dtype="float32",
        dimension_names=["time", "latitude", "longitude"],
        zarr_version=3,
        storage="filesystem",
        path=str(tmp_path / "climate_data"),
    )
    assert array.metadata.dimension_names == ("time", "latitude", "longitude")


@pytest.mark.parametrize("names", [["time", "time", "lon"], ["time", "lat"], ["", "lat", "lon"]])
def test_dimension_names_that_the_guide_calls_invalid_are_refused(names: list[str]) -> None:
    with pytest.raises(MetadataError, match="dimension_names"):
        zarr.create(shape=(3, 4, 5), dimension_names=names)


@pytest.mark.parametrize("storage", ["memory", "ets"])
def test_memory_by_name_is_shared(storage: str) -> None:
    name = f"my_array_cache_{storage}"
    array = zarr.create(shape=(100, 100), chunks=(10, 10), dtype="float64", storage=storage, table_name=name)
    array[5] = 2.5
    other = zarr.open(storage=storage, table_name=name)
    assert isinstance(other, zarr.Array)
    assert (other[5] == 2.5).all()
    assert other == array
    zarr.storage.MemoryStore.forget(name)


def test_memory_without_a_name_is_not_shared() -> None:
    first = zarr.create(shape=(4,), storage="memory")
    second = zarr.create(shape=(4,), storage="memory")
    assert first != second


def test_the_regular_grid_by_its_document() -> None:
    grid = {"name": "regular", "configuration": {"chunk_shape": [100, 100]}}
    assert zarr.create(shape=(1000, 1000), chunk_grid=grid, zarr_version=3).chunks == (100, 100)


def _sharding(chunk_shape: list[int]) -> dict[str, Any]:
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": chunk_shape,
            "codecs": [{"name": "bytes"}, {"name": "gzip", "configuration": {"level": 6}}],
            "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
        },
    }


def _storage(kind: str, tmp_path: Path) -> dict[str, Any]:
    if kind == "filesystem":
        return {"storage": kind, "path": str(tmp_path / "sharded_array")}
    return {"storage": kind, "table_name": str(tmp_path)}


@pytest.fixture(params=["filesystem", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    keywords = _storage(request.param, tmp_path)
    yield keywords
    if request.param == "memory":
        zarr.storage.MemoryStore.forget(keywords["table_name"])


def test_sharding_where_the_codec_has_the_shape_of_the_shard(storage: dict[str, Any]) -> None:
    # The guide's bucket comes later; everything else is as it shows it.
    array = zarr.create(
        shape=(10000, 10000), chunks=(100, 100), codecs=[_sharding([1000, 1000])], zarr_version=3, **storage
    )
    assert (array.chunks, array.shards) == ((100, 100), (1000, 1000))
    assert (array.nchunks, array.nshards) == (10_000, 100)
    assert "100x fewer objects and API calls" in str(array.info)

    data = np.random.default_rng(0).normal(size=(1200, 300))
    array[900:2100, 50:350] = data
    opened = zarr.open(**storage)
    assert isinstance(opened, zarr.Array)
    assert (opened.chunks, opened.shards) == ((100, 100), (1000, 1000))
    np.testing.assert_array_equal(opened[900:2100, 50:350], data)
    assert not opened[:900, 50].any()
    # Rows 900 to 2100 are in three rows of shards; 12 by 4 inner chunks have data.
    assert opened.nshards_initialized == 3
    assert opened.nchunks_initialized == 12 * 4


def test_sharding_is_stored_in_the_form_of_the_specification(storage: dict[str, Any]) -> None:
    guide = zarr.create(shape=(40, 40), chunks=(5, 5), codecs=[_sharding([20, 20])], **storage)
    stored = guide.store.get("zarr.json")
    assert stored is not None
    document = json.loads(bytes(stored))
    assert document["chunk_grid"]["configuration"] == {"chunk_shape": [20, 20]}
    (codec,) = document["codecs"]
    assert codec == {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [5, 5],
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "gzip", "configuration": {"level": 6}},
            ],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        },
    }


def test_sharding_means_the_same_in_both_forms_and_by_keyword() -> None:
    guide = zarr.create(shape=(40, 40), chunks=(5, 5), codecs=[_sharding([20, 20])])
    specification = zarr.create(shape=(40, 40), chunks=(20, 20), codecs=[_sharding([5, 5])])
    gzip = {"name": "gzip", "configuration": {"level": 6}}
    keywords = zarr.create(shape=(40, 40), chunks=(5, 5), shards=(20, 20), compressors=gzip)
    assert guide.metadata == specification.metadata == keywords.metadata


@pytest.mark.parametrize("location", ["start", "end"])
def test_sharding_with_the_index_at_either_end(storage: dict[str, Any], location: str) -> None:
    codec = _sharding([20, 20])
    codec["configuration"]["index_location"] = location
    array = zarr.create(shape=(40, 40), chunks=(5, 5), dtype="int32", codecs=[codec], **storage)
    data = np.arange(1600, dtype="int32").reshape(40, 40)
    array[:] = data
    assert array.metadata.sharding is not None
    assert array.metadata.sharding.index_location == location
    np.testing.assert_array_equal(zarr.open(**storage)[:], data)  # type: ignore[index]


def test_sharding_of_shapes_that_do_not_fit_names_both() -> None:
    with pytest.raises(MetadataError, match=r"chunks \[100, 100\] .* chunk_shape \[250, 250\]"):
        zarr.create(shape=(1000, 1000), chunks=(100, 100), codecs=[_sharding([250, 250])])
