"""Libraries at servers that are far away: over fsspec and obstore, with as many requests at once as they
choose and with 64."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from bench.arrays import ArraySpec
from bench.libraries.tensorstore import Tensorstore, _Location
from bench.libraries.zarr_python import ZarrPython
from bench.libraries.zarrc import Zarrc
from bench.servers import RemotePlace

_CONCURRENCY = 64

# gcsfs looks for this when it is imported: else its calls wait a minute for a service that is not there.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


@dataclass(frozen=True)
class _Url:
    url: str
    storage_options: Any


class ZarrcRemote(Zarrc):
    name = "zarrc"

    def remote(self, where: Any) -> Any:
        return _Url(where.url, where.storage_options)

    def create(self, location: Any, spec: ArraySpec) -> Any:
        if not isinstance(location, _Url):
            return super().create(location, spec)
        store = self.module.storage.FsspecStore.from_url(
            location.url, storage_options=location.storage_options
        )
        return super().create(store, spec)

    def open(self, location: Any) -> Any:
        if not isinstance(location, _Url):
            return super().open(location)
        return self.module.open_array(location.url, mode="r", storage_options=location.storage_options)


class ZarrFsspec(ZarrPython):
    name = "zarr-fsspec"

    def remote(self, where: RemotePlace) -> Any:
        # What zarr-python takes for ``url`` and ``storage_options``.
        return self.module.storage.FsspecStore.from_url(where.url, storage_options=where.storage_options)

    def open(self, location: Any) -> Any:
        return self.module.open_array(location, mode="r", zarr_format=3)


class ZarrFsspec64(ZarrFsspec):
    name = "zarr-fsspec-64"
    settings = {"async.concurrency": _CONCURRENCY}  # noqa: RUF012


class ZarrObstore(ZarrFsspec):
    name = "zarr-obstore"

    def remote(self, where: RemotePlace) -> Any:
        from obstore.store import GCSStore, HTTPStore

        options = {"allow_http": True}
        if where.kind == "http":
            store: Any = HTTPStore.from_url(where.url, client_options=options)
        else:
            # As that library reaches an emulator.
            account = {
                "gcs_base_url": where.endpoint,
                "disable_oauth": True,
                "client_email": "",
                "private_key": "",
                "private_key_id": "",
            }
            store = GCSStore(
                where.bucket,
                prefix=where.path,
                service_account_key=json.dumps(account),
                client_options=options,
            )
        return self.module.storage.ObjectStore(store)


class ZarrObstore64(ZarrObstore):
    name = "zarr-obstore-64"
    settings = {"async.concurrency": _CONCURRENCY}  # noqa: RUF012


class TensorstoreRemote(Tensorstore):
    name = "tensorstore"
    concurrency = 0

    def remote(self, where: RemotePlace) -> Any:
        if where.kind == "http":
            kvstore = {"driver": "http", "base_url": where.endpoint, "path": f"/{where.path}/"}
        else:
            # Read when it first makes a request.
            os.environ["TENSORSTORE_GCS_HTTP_URL"] = where.endpoint
            # Else it looks for credentials on the network first.
            os.environ["GOOGLE_AUTH_TOKEN_FOR_TESTING"] = "none"
            kvstore = {"driver": "gcs", "bucket": where.bucket, "path": f"{where.path}/"}
        spec: dict[str, Any] = {}
        if self.concurrency:
            spec[f"{where.kind}_request_concurrency"] = {"limit": self.concurrency}
        if self.threads is not None:
            spec["data_copy_concurrency"] = {"limit": self.threads}
        return _Location(kvstore, self.ts.Context(spec))


class Tensorstore64(TensorstoreRemote):
    name = "tensorstore-64"
    concurrency = _CONCURRENCY
