from typing import Any

import numpy as np
import numpy.typing as npt

from zarrc.kernels.codec import CodecKernel

def kernel(kind: int, itemsize: int, keepbits: int) -> CodecKernel:
    """The codec's kernel: encoding rounds, decoding copies, the size stays."""

def round_array(values: npt.ArrayLike, keepbits: int, *, level: int = -1) -> np.ndarray[Any, Any]:
    """A rounded copy of ``values``, C-contiguous and in native byte order."""

def round_inplace(values: np.ndarray[Any, Any], keepbits: int) -> None:
    """Round a C-contiguous array in native byte order where it is."""
