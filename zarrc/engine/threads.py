"""How many threads this process may really use."""

from __future__ import annotations

import os

from zarrc.config import config

__all__ = ["thread_count", "usable_cpus"]

MAX_THREADS = 256
"""As many as the pool ever starts (ZC_POOL_MAX_THREADS)."""

# By process id: a forked child may have another affinity.
_usable: dict[int, int] = {}


def thread_count() -> int:
    """Threads for one read or write: ``threading.max_workers`` of the configuration, else the usable CPUs."""
    asked = config.get("threading.max_workers")
    return min(max(1, int(asked)), MAX_THREADS) if asked is not None else usable_cpus()


def usable_cpus() -> int:
    """CPUs that this process may use, counted once.

    ``ZARRC_NUM_THREADS`` if it is set (it may also be more than the CPUs), else the least of the affinity
    mask, the control group's quota and ``SLURM_CPUS_PER_TASK``.
    """
    pid = os.getpid()
    if pid not in _usable:
        _usable.clear()
        _usable[pid] = _count()
    return _usable[pid]


def _count() -> int:
    said = os.environ.get("ZARRC_NUM_THREADS", "")
    asked = _positive(said)
    if asked is not None:
        return min(asked, MAX_THREADS)
    if said.strip():
        from zarrc.warning import warn

        warn(
            f"environment variable ZARRC_NUM_THREADS is ignored: must be a whole number above 0, got {said!r}"
        )
    limits = [_affinity(), _quota(), _positive(os.environ.get("SLURM_CPUS_PER_TASK"))]
    return max(1, min(limit for limit in limits if limit is not None))


def _positive(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() and int(text) > 0 else None


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: str | os.PathLike[str] = "/sys/fs/cgroup") -> int | None:
    """CPUs of the control group's bandwidth limit, rounded up; None without one (cgroup v2, then v1)."""
    try:
        quota, period = _text(root, "cpu.max").split()
    except (OSError, ValueError):
        try:
            quota = _text(root, "cpu/cpu.cfs_quota_us").strip()
            period = _text(root, "cpu/cpu.cfs_period_us").strip()
        except OSError:
            return None
    if not (quota.isdigit() and period.isdigit()) or int(quota) == 0 or int(period) == 0:
        return None
    return -(-int(quota) // int(period))


def _text(root: str | os.PathLike[str], name: str) -> str:
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()
