"""What is left between zarrc and the limit, and why: shown beside the numbers."""

from __future__ import annotations

from fnmatch import fnmatchcase

# Pattern of workload names -> remark; the first that matches counts.
REMARKS: dict[str, str] = {}


def remark(workload: str) -> str:
    return next((text for pattern, text in REMARKS.items() if fnmatchcase(workload, pattern)), "")
