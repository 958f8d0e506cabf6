from typing import Any

import numpy as np
import numpy.typing as npt

def first_misfit(values: np.ndarray[Any, Any], target: npt.DTypeLike) -> int | None:
    """The flat index in C order of the first of ``values`` that ``target`` cannot hold."""

def checked_astype(values: npt.ArrayLike, target: npt.DTypeLike) -> np.ndarray[Any, Any]:
    """``values`` as ``target``, every one of them checked to fit."""
