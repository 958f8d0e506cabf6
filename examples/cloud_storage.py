"""Arrays in the clouds: Amazon S3, Google Cloud Storage and Azure Blob Storage, by keywords.

Run it as ``python examples/cloud_storage.py [FOLDER]``, with credentials and addresses in the environment:

- S3: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` (for another server than Amazon's ``AWS_ENDPOINT_URL``)
- Google: ``GOOGLE_APPLICATION_CREDENTIALS``, or ``STORAGE_EMULATOR_HOST`` for an emulator
- Azure: ``AZURE_STORAGE_ACCOUNT_KEY``, or ``AZURE_STORAGE_CONNECTION_STRING``

The buckets ``my-data-bucket`` and ``my-gcs-bucket`` and the container ``data-container`` must be there.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr


def amazon_s3(folder: Path) -> None:
    """An array in a bucket of S3, and a sharded one, which needs a hundredth of the requests."""
    source = climate(folder)["air_temperature"]
    place = {"storage": "s3", "bucket": "my-data-bucket", "region": "us-east-1"}
    array = zarr.create(
        shape=source.shape,
        chunks=source.chunks,
        dtype=source.dtype,
        prefix="arrays/experiment_001",
        overwrite=True,
        **place,
    )
    array[:] = source[:]
    again = zarr.open(prefix="arrays/experiment_001", mode="r", **place)
    assert np.array_equal(again[-1], source[-1])

    sharded = zarr.create(
        shape=(400, 400),
        chunks=(20, 20),
        dtype="float64",
        codecs=[
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [200, 200],  # of a shard: 100 chunks
                    "codecs": [{"name": "bytes"}, {"name": "zstd"}],
                },
            }
        ],
        path="sharded_array",  # the same as prefix=, where there is a bucket
        overwrite=True,
        **place,
    )
    sharded[:] = np.arange(400)
    print(f"{array.store}: {array.nchunks} chunks; {sharded.nchunks} chunks in {sharded.nshards} shards")


def google_cloud_storage(folder: Path) -> None:
    """An array in a bucket of Google Cloud Storage."""
    source = climate(folder)["air_temperature"]
    credentials = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    place = {"storage": "gcs", "bucket": "my-gcs-bucket", "prefix": "data/arrays"}
    # The path of a JSON file; an emulator wants none.
    secret = {"anon": True} if credentials is None else {"credentials": credentials}
    array = zarr.create(
        shape=source.shape,
        chunks=source.chunks,
        dtype=source.dtype,
        zarr_version=3,
        overwrite=True,
        **place,
        **secret,
    )
    array[:] = source[:]
    assert np.array_equal(zarr.open(**place, **secret)[-1], source[-1])
    print(f"{array.store}: {array.nchunks_initialized} of {array.nchunks} chunks are stored")


def azure_blob_storage(folder: Path) -> None:
    """An array in a container of Azure Blob Storage."""
    source = climate(folder)["air_temperature"]
    if "AZURE_STORAGE_CONNECTION_STRING" in os.environ:
        account = {"connection_string": os.environ["AZURE_STORAGE_CONNECTION_STRING"]}
    else:
        account = {"account_name": "myaccount", "account_key": os.environ["AZURE_STORAGE_ACCOUNT_KEY"]}
    place = {"storage": "azure_blob", "container": "data-container", "prefix": "arrays/experiment"}
    array = zarr.create(
        shape=source.shape,
        chunks=source.chunks,
        dtype=source.dtype,
        overwrite=True,
        **place,
        **account,
    )
    array[:] = source[:]
    assert np.array_equal(zarr.open(**place, **account)[-1], source[-1])
    assert not any(secret in repr(array.store) for secret in account.values())
    print(f"{array.store}: {array.nchunks_initialized} of {array.nchunks} chunks are stored")


if __name__ == "__main__":
    run(amazon_s3, google_cloud_storage, azure_blob_storage)
