"""The peers answer, one by one, whatever becomes of one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.peers.client import PeerError, Peers

LIBRARIES = ("zarr", "zarrs", "tensorstore")
DATA = np.arange(30, dtype="float32").reshape(5, 6)


def v3_document() -> dict[str, object]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [5, 6],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 4]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
        ],
        "attributes": {},
    }


def v2_document() -> dict[str, object]:
    return {
        "zarr_format": 2,
        "shape": [5, 6],
        "chunks": [2, 4],
        "dtype": "<f4",
        "compressor": {"id": "zlib", "level": 1},
        "fill_value": 0.0,
        "order": "C",
        "filters": None,
    }


@pytest.mark.parametrize("reader", LIBRARIES)
@pytest.mark.parametrize("writer", LIBRARIES)
@pytest.mark.parametrize("document", [v2_document(), v3_document()], ids=["v2", "v3"])
def test_each_peer_reads_what_each_peer_wrote(
    peers: Peers, tmp_path: Path, document: dict[str, object], writer: str, reader: str
) -> None:
    peers.create(writer, tmp_path / "a", document, DATA)
    np.testing.assert_array_equal(peers.read(reader, tmp_path / "a"), DATA)


def test_a_part_is_written_at_its_offset(peers: Peers, tmp_path: Path) -> None:
    for library in LIBRARIES:
        path = tmp_path / library
        peers.create(library, path, v3_document())
        peers.write(library, path, DATA[:2, :3], start=(3, 1))
        assert peers.read("zarr", path)[3:5, 1:4].tolist() == DATA[:2, :3].tolist()


def test_a_peers_refusal_is_its_own_text(peers: Peers, tmp_path: Path) -> None:
    for library in LIBRARIES:
        with pytest.raises(PeerError, match=r"\w+: \S+"):
            peers.read(library, tmp_path / "nothing")


def test_arguments_stand_for_calls_and_tuples(peers: Peers, tmp_path: Path) -> None:
    codec = {"$call": "zarr.codecs.BloscCodec", "kwargs": {"cname": "lz4", "shuffle": "bitshuffle"}}
    path = str(tmp_path / "a")
    peers.zarr_call(
        "create_array",
        DATA,
        store=path,
        shape={"$tuple": [5, 6]},
        chunks=[2, 4],
        dtype="<f4",
        compressors=codec,
    )
    np.testing.assert_array_equal(peers.read("tensorstore", path), DATA)


def test_source_runs_with_names_and_gives_its_result(peers: Peers) -> None:
    assert peers.run("result = [n + 1 for n in numbers]", numbers=[1, 2]) == [2, 3]


def test_a_crash_is_the_answer_of_the_request_that_caused_it(peers: Peers) -> None:
    crash = {"op": "run", "source": "import os; os.abort()"}
    fine = {"op": "run", "source": "result = 1"}
    answers = peers.batch([fine, crash, fine, crash, fine])
    assert [answer.ok for answer in answers] == [True, False, True, False, True]
    assert "SIGABRT" in answers[1].error


def test_the_peers_are_the_versions_that_matter(peers: Peers) -> None:
    assert {"zarr", "tensorstore", "zarrs", "xarray", "numcodecs", "h5py", "netCDF4"} <= set(peers.versions)
    assert tuple(int(part) for part in peers.versions["zarr"].split(".")[:2]) >= (3, 4)
