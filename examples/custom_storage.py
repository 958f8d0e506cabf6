"""Storage of your own: a backend of ten callbacks, which get chunk indices and metadata documents.

Run it as ``python examples/custom_storage.py [FOLDER]``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from climate import climate, run

import zarrc as zarr
from zarrc.storage import Backend

State = dict[str, str]


class CustomStorage(Backend[State]):
    """Arrays in tables of a database: a row for each chunk."""

    keywords = ("database", "custom_config")

    def backend_id(self) -> str:
        return "custom"

    def init(self, config: Mapping[str, Any]) -> State:
        state = self.open(config)
        _run(state, f'CREATE TABLE "{state["table"]}" (place TEXT PRIMARY KEY, data BLOB)')
        return state

    def open(self, config: Mapping[str, Any]) -> State:
        # A connection for each call: none is shared by threads, or taken over by a forked child.
        return {"database": str(config["database"]), "table": str(config.get("custom_config", "chunks"))}

    def exists(self, config: Mapping[str, Any]) -> bool:
        state = self.open(config)
        return bool(_run(state, "SELECT 1 FROM sqlite_master WHERE name = ?", state["table"]))

    def read_chunk(self, state: State, index: tuple[int, ...]) -> bytes | None:
        return _read(state, _place(index))

    def write_chunk(self, state: State, index: tuple[int, ...], data: bytes) -> None:
        _write(state, _place(index), data)

    def delete_chunk(self, state: State, index: tuple[int, ...]) -> None:
        _run(state, f'DELETE FROM "{state["table"]}" WHERE place = ?', _place(index))

    def list_chunks(self, state: State) -> Iterable[tuple[int, ...]]:
        places = _run(state, f'SELECT place FROM "{state["table"]}" WHERE place != ?', "metadata")
        return [tuple(int(number) for number in place.split()) for (place,) in places]

    def read_metadata(self, state: State) -> bytes | None:
        return _read(state, "metadata")

    def write_metadata(self, state: State, document: bytes) -> None:
        _write(state, "metadata", document)


def _place(index: tuple[int, ...]) -> str:
    return " ".join(map(str, index))


def _read(state: State, place: str) -> bytes | None:
    found = _run(state, f'SELECT data FROM "{state["table"]}" WHERE place = ?', place)
    return found[0][0] if found else None


def _write(state: State, place: str, data: bytes) -> None:
    _run(state, f'REPLACE INTO "{state["table"]}" VALUES (?, ?)', place, data)


def _run(state: State, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(state["database"], timeout=60, isolation_level=None)) as db:
        return db.execute(statement, values).fetchall()


def backend_behavior(folder: Path) -> None:
    """What the callbacks are called with."""
    backend = CustomStorage()
    config = {"database": folder / "behavior.sqlite", "custom_config": "value"}
    assert not backend.exists(config)
    state = backend.init(config)
    assert backend.exists(config)
    assert backend.read_metadata(state) is None
    assert backend.read_chunk(state, (0, 1)) is None  # None, and nothing else, says that there is none
    backend.write_metadata(state, b"{}")
    backend.write_chunk(state, (0, 1), b"data")
    assert backend.read_chunk(state, (0, 1)) == b"data"
    assert list(backend.list_chunks(state)) == [(0, 1)]
    backend.delete_chunk(state, (0, 1))
    assert list(backend.list_chunks(backend.open(config))) == []
    print(f"{backend.backend_id()}: ten callbacks")


def register_custom_backend(folder: Path) -> None:
    """Registered, it is a name like any other; keywords that `create` does not know are for `init`."""
    source = climate(folder)["air_temperature"]
    zarr.storage.register(CustomStorage)
    place = {"storage": "custom", "database": folder / "arrays.sqlite", "custom_config": "value"}
    array = zarr.create(shape=source.shape, chunks=source.chunks, dtype=source.dtype, **place)
    array[:] = source[:]
    array.attrs["units"] = "K"
    again = zarr.open(mode="r", **place)
    assert np.array_equal(again[-1], source[-1])
    assert again.attrs["units"] == "K"
    print(zarr.storage.info("custom"))
    print(f"{array.store}: {array.nchunks_initialized} of {array.nchunks} chunks are stored")
    zarr.storage.unregister("custom")


if __name__ == "__main__":
    run(backend_behavior, register_custom_backend)
