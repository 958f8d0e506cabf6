"""The peers' side of the matrix: writes a case or reads it and compares, in the peers' environment.

Comparing there, with values that follow from the case, saves passing some ten thousand arrays between the
processes.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tests.interop import peer_tensorstore, peer_zarr_python
from tests.interop.cases import Case, difference

PEERS: dict[str, Any] = {
    "zarr-python": peer_zarr_python.ZarrPython(pipeline=None),
    "tensorstore": peer_tensorstore.TensorStore(),
    "zarrs": peer_zarr_python.ZarrPython(pipeline="zarrs.ZarrsCodecPipeline"),
}


def answer(do: str, peer: str, path: str, case: dict[str, Any]) -> dict[str, str]:
    """Write, read or update a case; `{"outcome": "done" | "wrong" | "error", "message"}`."""
    warnings.simplefilter("ignore")
    parsed = Case.from_json(case)
    try:
        if do in ("write", "update"):
            getattr(PEERS[peer], do)(parsed, path)
            return {"outcome": "done", "message": ""}
        found = PEERS[peer].read(parsed, path)
    except Exception as error:  # every failure of a peer is an answer
        return {"outcome": "error", "message": f"{type(error).__name__}: {error}"}
    expected = parsed.updated() if do == "read updated" else parsed.expected()
    wrong = difference(np.asarray(found), expected)
    return {"outcome": "wrong" if wrong else "done", "message": wrong}
