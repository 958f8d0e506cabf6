"""Data types: NumPy dtypes, their names in v2 and v3 documents, their fill values; one module a family."""

from zarrc.dtypes.base import DataType, same_bits
from zarrc.dtypes.fill import DEFAULT_FILL, fill_value_for
from zarrc.dtypes.registry import LATER, from_v2_json, from_v3_json, known_names, parse_dtype

__all__ = [
    "DEFAULT_FILL",
    "LATER",
    "DataType",
    "fill_value_for",
    "from_v2_json",
    "from_v3_json",
    "known_names",
    "parse_dtype",
    "same_bits",
]
