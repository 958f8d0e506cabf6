"""How many requests S3 and Azure get from each library: ``python -m bench.requests``.

The tests' servers of both are too slow to be timed. Their requests are counted by the tests' recording proxy;
the table is Markdown, and the program fails where zarrc needs more than the best of the others.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.remote import TensorstoreRemote, ZarrcRemote, ZarrFsspec, ZarrObstore
from bench.libraries.tensorstore import _Location
from bench.report import table

CHUNKED = ArraySpec(shape=(256, 256), chunks=(16, 16), codec="zstd")
# 1,000 of 4,096 inner chunks, around the corner where the four shards meet.
SHARDED = ArraySpec(shape=(4096, 4096), chunks=(64, 64), shards=(2048, 2048), codec="zstd")
BOX = (slice(2048 - 13 * 64, 2048 + 12 * 64), slice(2048 - 20 * 64, 2048 + 20 * 64))
_serials = itertools.count()


class _Fsspec(ZarrFsspec):
    name = "zarr-python, fsspec"


class _Obstore(ZarrObstore):
    name = "zarr-python, obstore"

    def remote(self, where: Any) -> Any:
        from obstore.store import AzureStore, S3Store

        bucket, _, prefix = where.url.partition("://")[2].partition("/")
        options: Any = {"allow_http": True}
        if where.kind == "s3":
            store: Any = S3Store(
                bucket,
                prefix=prefix,
                endpoint=where.storage_options["endpoint_url"],
                access_key_id="test",
                secret_access_key="test",
                region="us-east-1",
                virtual_hosted_style_request=False,
                client_options=options,
            )
        else:
            fields = dict(
                one.split("=", 1) for one in where.storage_options["connection_string"].split(";") if one
            )
            store = AzureStore(
                container_name=bucket,
                prefix=prefix,
                account_name=fields["AccountName"],
                account_key=fields["AccountKey"],
                endpoint=fields["BlobEndpoint"],
                client_options=options,
            )
        return self.module.storage.ObjectStore(store)


class _Tensorstore(TensorstoreRemote):
    def remote(self, where: Any) -> Any:
        if where.kind != "s3":
            raise NotImplementedError("no driver")
        os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
        bucket, _, prefix = where.url.partition("://")[2].partition("/")
        kvstore = {
            "driver": "s3",
            "bucket": bucket,
            "path": f"{prefix}/",
            "endpoint": where.storage_options["endpoint_url"],
            "aws_region": "us-east-1",
            "aws_credentials": {"type": "environment"},
        }
        return _Location(kvstore, self.ts.Context({}))


LIBRARIES: tuple[type[Any], ...] = (ZarrcRemote, _Fsspec, _Obstore, _Tensorstore)


def deeds(
    library: Any, proxy: Any, values: dict[ArraySpec, np.ndarray]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is counted, in turn; between two of them what the next needs is made."""
    where = library.remote(proxy.place().below(f"chunked{next(_serials)}"))
    array = library.create(where, CHUNKED)
    yield "write 256 chunks", library.writer(array, ..., values[CHUNKED])
    yield "open", lambda: library.open(where)
    yield "read 256 chunks", library.reader(library.open(where), ...)
    where = library.remote(proxy.place().below(f"sharded{next(_serials)}"))
    array = library.create(where, SHARDED)
    yield "write 4 shards", library.writer(array, ..., values[SHARDED])
    yield "read 1,000 inner chunks of 4 shards", library.reader(library.open(where), BOX)
    yield "change an element of each of 4 shards", _change(library, array)


def _change(library: Any, array: Any) -> Callable[[], Any]:
    box = (slice(0, 4096, 2048), slice(0, 4096, 2048))
    return library.writer(array, box, np.full((2, 2), 7, SHARDED.dtype))


def count(kind: str, servers: Any) -> dict[str, dict[str, Counter[str]]]:
    """Deed -> library -> requests by method."""
    found: dict[str, dict[str, Counter[str]]] = {}
    rng = np.random.default_rng(1)
    values = {spec: rng.integers(0, 999, spec.shape).astype(spec.dtype) for spec in (CHUNKED, SHARDED)}
    proxy = servers.relay(kind)
    for make in LIBRARIES:
        library = make(None)
        try:
            for deed, run in deeds(library, proxy, values):
                proxy.requests()
                run()
                methods = Counter(request["method"] for request in proxy.requests())
                found.setdefault(deed, {})[library.name] = methods
        except Exception as error:
            print(f"{kind}, {library.name}: {error}"[:200], file=sys.stderr)
    return found


def main() -> None:
    """Count, print, and fail where zarrc is above the others."""
    from tests.servers.servers import Servers

    names = [make.name for make in LIBRARIES]
    rows = []
    above = []
    with tempfile.TemporaryDirectory(prefix="zarrc-bench-") as folder:
        servers = Servers(Path(folder))
        try:
            for kind in ("s3", "azure"):
                for deed, by in count(kind, servers).items():
                    rows.append([f"{kind}: {deed}", *(_text(by.get(name)) for name in names)])
                    others = [by[name].total() for name in names[1:] if name in by]
                    if names[0] not in by or (others and by[names[0]].total() > min(others)):
                        above.append(rows[-1][0])
        finally:
            servers.close()
    print(table(["requests", *names], rows))
    if above:
        print(f"more requests than the best of the others: {', '.join(above)}", file=sys.stderr)
    sys.stdout.flush()
    # Azure's file systems, which the libraries hold, would fail noisily at the end of the interpreter.
    os._exit(1 if above else 0)


def _text(methods: Counter[str] | None) -> str:
    if methods is None:
        return "-"
    kinds = ", ".join(f"{n} {method}" for method, n in sorted(methods.items()))
    return f"{methods.total()} ({kinds})" if len(methods) > 1 else kinds


if __name__ == "__main__":
    main()
