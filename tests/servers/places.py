"""Where tests may put things: a URL, and the storage options that reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "AZURE_ACCOUNT",
    "AZURE_KEY",
    "Place",
    "azure_options",
    "gcs_options",
    "http_options",
    "s3_options",
]

# Published with azurite; not a secret.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Place:
    """A folder of a remote store that nobody else uses.

    Parameters
    ----------
    kind : str
        ``"s3"``, ``"gcs"``, ``"azure"`` or ``"http"``.
    url : str
        ``s3://bucket/prefix`` and so on, without a slash at its end.
    storage_options : dict
        What fsspec's file system is made with.
    folder : str, optional
        The folder on disk whose files the web server serves as this place.
    """

    kind: str
    url: str
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""

    def at(self, name: str) -> str:
        """The URL of something in it."""
        return f"{self.url}/{name}"

    def below(self, name: str) -> Place:
        """A folder in it."""
        folder = f"{self.folder}/{name}" if self.folder else ""
        return Place(self.kind, self.at(name), self.storage_options, folder)

    def file_system(self) -> tuple[Any, str]:
        """A new file system, and the path in it."""
        import fsspec

        options = {"skip_instance_cache": True, **self.storage_options}
        fs, path = fsspec.url_to_fs(self.url, **options)
        return fs, path


def s3_options(endpoint: str) -> dict[str, Any]:
    """Options of s3fs for a server at this URL."""
    return {
        "key": "test",
        "secret": "test",
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": "us-east-1"},
        "config_kwargs": {"s3": {"addressing_style": "path"}, "max_pool_connections": 64},
        "use_listings_cache": False,
    }


def gcs_options(endpoint: str) -> dict[str, Any]:
    """Options of gcsfs for a server at this URL."""
    return {"token": "anon", "project": "p", "endpoint_url": endpoint, "use_listings_cache": False}


def azure_options(endpoint: str) -> dict[str, Any]:
    """Options of adlfs for a server at this URL."""
    fields = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": AZURE_ACCOUNT,
        "AccountKey": AZURE_KEY,
        "BlobEndpoint": f"{endpoint}/{AZURE_ACCOUNT}",
    }
    connection = ";".join(f"{name}={value}" for name, value in fields.items()) + ";"
    return {"connection_string": connection, "use_listings_cache": False}


def http_options(endpoint: str) -> dict[str, Any]:
    """Options of fsspec's http file system: none."""
    return {}
