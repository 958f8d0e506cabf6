"""Appends rows to an array together with other processes (test_appending.py): ``append_program JOB``."""

from __future__ import annotations

import json
import sys

import numpy as np

import zarrc


def main() -> None:
    """Append ``n`` rows of a number of their own, once the parent says so."""
    job = json.loads(sys.argv[1])
    if "member" in job:
        group = zarrc.open_group(job["path"], mode="r+", use_consolidated=True)
        array = group.get_array(job["member"]).with_config({"locking": "file"})
    else:
        array = zarrc.open_array(job["path"], mode="r+", config={"locking": "file"})
    print("ready", flush=True)
    sys.stdin.readline()
    for i in range(job["n"]):
        array.append(np.full((1, 5), job["number"] * 1000 + i))
        if i % 5 == 4 or i == job["n"] - 1:
            array.attrs[str(job["number"])] = i


if __name__ == "__main__":
    main()
