"""The other Zarr libraries, behind JSON lines: runs in the peers' environment, started by client.py.

A line on stdin is a list of requests; each gets one line on stdout, in order, written as soon as it is known,
so that the reader knows which request ended the process.  Arrays travel as .npy files.  A request is an
object with "op":

    versions                               {"zarr": "3.4.2", ...}
    read      lib path out                 the whole array, saved to the .npy file "out"
    write     lib path data [start]        the .npy file "data" into an existing array, from "start" on
    create    lib path metadata [data]     a node with this zarr.json or .zarray document, in the peer's words
    zarr_call name kwargs [data]           zarr.<name>(**kwargs), then data into all of it
    run       source names                 execute Python source; the answer is what it leaves in "result"

"lib" is "zarr", "tensorstore", or "zarrs" (zarr-python over the zarrs codec pipeline).  In "kwargs",
{"$call": "zarr.codecs.ZstdCodec", "kwargs": {...}} is the result of that call, {"$npy": path} an array and
{"$tuple": [...]} a tuple.  Answers are {"ok": true, "value": ...} or {"ok": false, "error": "Type: message"}.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = (
    "zarr",
    "tensorstore",
    "zarrs",
    "xarray",
    "numcodecs",
    "dask",
    "h5py",
    "h5netcdf",
    "netCDF4",
    "scipy",
)
PACKAGES += ("numpy", "zarrc")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that are installed."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def read(request: dict[str, Any]) -> dict[str, Any]:
    reader = {"zarr": _zarr_read, "zarrs": _zarrs_read, "tensorstore": _tensorstore_read}[request["lib"]]
    values = np.asarray(reader(request["path"]))
    np.save(request["out"], values, allow_pickle=False)
    return {"dtype": values.dtype.str, "shape": values.shape}


def write(request: dict[str, Any]) -> None:
    writer = {"zarr": _zarr_write, "zarrs": _zarrs_write, "tensorstore": _tensorstore_write}[request["lib"]]
    data = np.load(request["data"])
    start = request.get("start") or [0] * data.ndim
    writer(request["path"], data, tuple(slice(i, i + n) for i, n in zip(start, data.shape, strict=True)))


def create(request: dict[str, Any]) -> None:
    maker = _tensorstore_create if request["lib"] == "tensorstore" else _zarr_create
    maker(request["path"], request["metadata"])
    if request.get("data"):
        write(request)


def zarr_call(request: dict[str, Any]) -> dict[str, Any]:
    import zarr

    array = getattr(zarr, request["name"])(**_resolve(request.get("kwargs", {})))
    if request.get("data"):
        array[...] = np.load(request["data"])
    return {"repr": repr(array)}


def run(request: dict[str, Any]) -> Any:
    names = dict(request.get("names", {}))
    exec(compile(request["source"], "<request>", "exec"), names)
    return names.get("result")


OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "versions": lambda request: versions(),
    "read": read,
    "write": write,
    "create": create,
    "zarr_call": zarr_call,
    "run": run,
}


def _resolve(value: Any) -> Any:
    """``value`` with its "$" objects replaced by what they stand for."""
    if isinstance(value, list):
        return [_resolve(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$call" in value:
        module, _, name = value["$call"].rpartition(".")
        function = getattr(importlib.import_module(module), name)
        return function(*_resolve(value.get("args", [])), **_resolve(value.get("kwargs", {})))
    if "$npy" in value:
        return np.load(value["$npy"])
    if "$tuple" in value:
        return tuple(_resolve(value["$tuple"]))
    return {key: _resolve(item) for key, item in value.items()}


def _zarr_read(path: str) -> Any:
    import zarr

    return zarr.open_array(path, mode="r")[...]


def _zarr_write(path: str, data: np.ndarray, region: tuple[slice, ...]) -> None:
    import zarr

    zarr.open_array(path, mode="r+")[region] = data


def _zarr_create(path: str, document: dict[str, Any]) -> None:
    """Write what zarr-python makes of ``document``: parsed by it, then in its own words."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    model = ArrayV3Metadata if document["zarr_format"] == 3 else ArrayV2Metadata
    Path(path).mkdir(parents=True, exist_ok=True)
    for name, buffer in model.from_dict(document).to_buffer_dict(default_buffer_prototype()).items():
        (Path(path) / name).write_bytes(buffer.to_bytes())


@contextlib.contextmanager
def _zarrs_pipeline() -> Iterator[None]:
    import zarr
    import zarrs  # noqa: F401  registers the pipeline

    # Strict: a codec that zarrs cannot run is an error, not zarr-python's work.
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}):
        yield


def _zarrs_read(path: str) -> Any:
    with _zarrs_pipeline():
        return _zarr_read(path)


def _zarrs_write(path: str, data: np.ndarray, region: tuple[slice, ...]) -> None:
    with _zarrs_pipeline():
        _zarr_write(path, data, region)


def _tensorstore_spec(path: str) -> dict[str, Any]:
    driver = "zarr3" if (Path(path) / "zarr.json").exists() else "zarr"
    return {"driver": driver, "kvstore": {"driver": "file", "path": path + "/"}}


def _tensorstore_read(path: str) -> Any:
    import tensorstore

    return tensorstore.open(_tensorstore_spec(path), open=True).result().read().result()


def _tensorstore_write(path: str, data: np.ndarray, region: tuple[slice, ...]) -> None:
    import tensorstore

    array = tensorstore.open(_tensorstore_spec(path), open=True).result()
    array[region].write(data.astype(data.dtype.newbyteorder("="))).result()


def _tensorstore_create(path: str, document: dict[str, Any]) -> None:
    import tensorstore

    driver = "zarr3" if document["zarr_format"] == 3 else "zarr"
    # For v2, attributes are in a document of their own, which the driver does not know.
    metadata = document if driver == "zarr3" else {k: v for k, v in document.items() if k != "attributes"}
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": path + "/"}, "metadata": metadata}
    tensorstore.open(spec, create=True, delete_existing=True).result()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one request; every exception is an answer."""
    try:
        return {"ok": True, "value": OPERATIONS[request["op"]](request)}
    except Exception as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        return {"ok": False, "error": text, "traceback": traceback.format_exc()}


def main() -> None:
    if "--versions" in sys.argv:
        print("\n".join(f"{package:12} {version}" for package, version in versions().items()))
        return
    # Answers keep stdout to themselves: what a peer prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        for request in json.loads(line):
            answers.write(json.dumps(answer(request), default=str) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
