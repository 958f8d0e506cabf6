"""How many threads a process may really use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zarrc.engine import threads


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_the_control_group_counts(
    tmp_path: Path, files: dict[str, str], cpus: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads._quota(tmp_path) == cpus


def _cpus_with(**environment: str) -> int:
    code = "from zarrc.engine.threads import usable_cpus; print(usable_cpus())"
    clean = {k: v for k, v in os.environ.items() if k not in ("ZARRC_NUM_THREADS", "SLURM_CPUS_PER_TASK")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_the_affinity_mask_is_the_most() -> None:
    assert 1 <= _cpus_with() <= len(os.sched_getaffinity(0))


def test_slurm_may_give_less() -> None:
    assert _cpus_with(SLURM_CPUS_PER_TASK="1") == 1


def test_what_the_user_says_decides() -> None:
    assert _cpus_with(ZARRC_NUM_THREADS="7", SLURM_CPUS_PER_TASK="1") == 7


def test_a_number_that_is_none_is_ignored() -> None:
    assert _cpus_with(ZARRC_NUM_THREADS="many") == _cpus_with()
