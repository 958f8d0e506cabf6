"""A sample of the interop matrix, each way (all of it when soaking), and what the table rests on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from tests.interop import ours
from tests.interop.cases import Case, all_cases, difference, round_bits, sample, sharded_cases
from tests.interop.matrix import Asker, run
from tests.interop.report import render, summary
from tests.interop.shardings import SHARDINGS
from tests.peers.client import Peers, peers_python
from tests.soak import soaking

EVERY = 1 if soaking() else 10


def test_there_are_at_least_1500_cells_and_each_is_unlike_the_others() -> None:
    cases = all_cases()
    assert len(cases) >= 1500
    assert len({str(case).partition(" ")[2] for case in cases}) > 0.99 * len(cases)


def test_the_sharded_cells_are_of_every_kind() -> None:
    cases = sharded_cases()
    assert {case.chain for case in cases} == set(SHARDINGS)
    assert {case.ndim for case in cases} == {0, 1, 2, 3, 4}
    assert {case.written for case in cases} == {"all", "part", "one", "none"}
    assert {len(case.nested) for case in cases} == {0, 1, 2}


def test_the_inner_chunks_of_permuted_shards_are_permuted() -> None:
    case = next(c for c in sharded_cases() if c.chain == "nested, transposed before" and c.ndim == 4)
    transpose, sharding = case.codecs()
    axes = transpose["configuration"]["order"]
    assert axes == [1, 2, 3, 0]
    assert sharding["configuration"]["chunk_shape"] == [case.chunks[axis] for axis in axes]
    (nested,) = sharding["configuration"]["codecs"]
    assert nested["configuration"]["chunk_shape"] == [case.nested[0][axis] for axis in axes]


def test_a_case_survives_json() -> None:
    for case in all_cases()[::50]:
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


def test_peers_and_zarrc_read_each_others_arrays_bit_for_bit(peers: Peers, source_root: Path) -> None:
    python = peers_python(source_root)
    assert python is not None
    start = random.SystemRandom().randrange(EVERY)
    cells = list(run(sample(EVERY, start), python))
    text = f"every {EVERY}th case from number {start}\n{summary(cells, peers.versions, 0.0)}"
    print(text)
    assert "| nested thrice |" in render(cells, peers.versions)
    assert not any(cell.outcome == "failed" for cell in cells), text
    assert sum(cell.case.shards is not None and cell.outcome == "equal" for cell in cells) >= 300


def test_zarr_python_reads_our_bitround_under_its_old_name(peers: Peers, tmp_path: Path) -> None:
    asker = Asker("zarr-python", peers)
    cases = [c for c in all_cases() if c.zarr_format == 3 and c.chain == "bitround"]
    for case in cases[:: max(1, EVERY // 2)]:
        path = tmp_path / str(case.number)
        ours.write(case, str(path))
        document = path / "zarr.json"
        document.write_text(document.read_text().replace('"bitround"', '"numcodecs.bitround"'))
        answer = asker.ask("read", case, path)
        assert answer["outcome"] == "done", f"{case}: {answer['message']}"


def test_zarrc_reads_every_case_that_it_writes(tmp_path: Path) -> None:
    wrong = {}
    for case in all_cases()[:: max(1, EVERY // 2)]:
        path = str(tmp_path / str(case.number))
        ours.write(case, path)
        wrong[str(case)] = ours.check(case, path)
    assert not {case: what for case, what in wrong.items() if what}


def test_rounding_keeps_halves_even() -> None:
    values = np.array([1 + 2**-6, 1 + 3 * 2**-6, 1 + 2**-6 + 2**-20, -1 - 2**-6], "f4")
    assert round_bits(values, 5).tolist() == [1.0, 1.0625, 1.03125, -1.0]


def test_a_difference_names_the_element() -> None:
    expected = np.array([1, 2, 3], "i2")
    assert difference(expected.astype(">i2"), expected) == ""
    assert "element (1,)" in difference(np.array([1, 5, 3], "i2"), expected)
