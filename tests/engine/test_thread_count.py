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


def _count_with(**environment: str) -> subprocess.CompletedProcess[str]:
    """Count twice in a new process."""
    code = "from zarrc.engine.threads import usable_cpus; usable_cpus(); print(usable_cpus())"
    clean = {k: v for k, v in os.environ.items() if k not in ("ZARRC_NUM_THREADS", "SLURM_CPUS_PER_TASK")}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )


def _cpus_with(**environment: str) -> int:
    return int(_count_with(**environment).stdout)


def test_the_affinity_mask_is_the_most() -> None:
    assert 1 <= _cpus_with() <= len(os.sched_getaffinity(0))


def test_slurm_may_give_less() -> None:
    assert _cpus_with(SLURM_CPUS_PER_TASK="1") == 1


def test_what_the_user_says_decides() -> None:
    assert _cpus_with(ZARRC_NUM_THREADS="7", SLURM_CPUS_PER_TASK="1") == 7


@pytest.mark.parametrize("text", ["many", "0", "-2", "2.5"])
def test_a_number_that_is_none_is_ignored_with_one_warning(text: str) -> None:
    done = _count_with(ZARRC_NUM_THREADS=text)
    assert int(done.stdout) == _cpus_with()
    assert done.stderr.count("ZarrcWarning") == 1
    assert f"ZARRC_NUM_THREADS is ignored: must be a whole number above 0, got {text!r}" in done.stderr


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_number_says_nothing(text: str) -> None:
    assert _count_with(ZARRC_NUM_THREADS=text).stderr == ""
