"""The workloads, a module a family. A new one: a class in its family's file, yielded by `workloads(size)`."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from bench.workloads import (
    caching,
    codecs,
    latency,
    memory,
    opening,
    remote,
    selections,
    sharded,
    tiny,
    whole,
    whole_array,
)
from bench.workloads.base import SIZES, Place, Task, Workload, Wrong

__all__ = ["SIZES", "Place", "Task", "Workload", "Wrong", "all_workloads", "matches"]


def all_workloads(size: str) -> dict[str, Workload]:
    """Every workload at ``size``, by name, in the order of the tables."""
    found: dict[str, Workload] = {}
    for module in (
        whole,
        latency,
        opening,
        codecs,
        tiny,
        selections,
        caching,
        whole_array,
        sharded,
        memory,
        remote,
    ):
        for workload in module.workloads(size):
            if workload.name in found:
                raise ValueError(f"two workloads are called {workload.name!r}")
            found[workload.name] = workload
    return found


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of ``patterns`` (globs) matches ``name`` or its first part; no patterns: all."""
    return not patterns or any(fnmatchcase(name, p) or fnmatchcase(name.split("/")[0], p) for p in patterns)
