"""Data types by their names: v3, v2, NumPy and what users pass."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from zarrc.dtypes import LATER, from_v2_json, from_v3_json, known_names, parse_dtype
from zarrc.errors import MetadataError, UnknownDataTypeError
from zarrc.reading import Reading

V2_NAMES = {
    "bool": "|b1",
    "int8": "|i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "|u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "complex64": "<c8",
    "complex128": "<c16",
    "r8": "|V1",
    "r24": "|V3",
}


@pytest.mark.parametrize(("name", "v2_name"), V2_NAMES.items())
def test_a_data_type_has_the_names_of_both_formats(name: str, v2_name: str) -> None:
    data_type = from_v3_json(name)
    assert str(data_type) == data_type.name == data_type.to_v3_json() == name
    assert data_type.to_v2_json("little") == v2_name
    assert data_type.numpy == np.dtype(v2_name)
    assert data_type.numpy.isnative
    assert from_v2_json(v2_name)[0] == data_type
    assert pickle.loads(pickle.dumps(data_type)) == data_type
    assert hash(data_type) == hash(from_v3_json(name))


@pytest.mark.parametrize(("name", "v2_name"), V2_NAMES.items())
def test_v2_says_the_byte_order(name: str, v2_name: str) -> None:
    big = v2_name.replace("<", ">")
    assert from_v3_json(name).to_v2_json("big") == big
    assert from_v2_json(big) == (from_v3_json(name), None if big == v2_name else "big")
    assert from_v2_json(v2_name)[1] == (None if big == v2_name else "little")


@pytest.mark.parametrize(
    ("name", "unit"),
    [("bool", 1), ("int8", 1), ("int32", 4), ("float64", 8), ("complex64", 4), ("complex128", 8), ("r64", 1)],
)
def test_the_swap_unit_is_what_a_byte_order_reverses(name: str, unit: int) -> None:
    assert from_v3_json(name).swap_unit == unit


@pytest.mark.parametrize("name", ["complex_float32", "complex_float64"])
def test_the_registrys_names_of_complex_types_are_kept(name: str) -> None:
    data_type = from_v3_json(name)
    assert data_type.to_v3_json() == name
    assert data_type.numpy == np.dtype({"complex_float32": "c8", "complex_float64": "c16"}[name])


@pytest.mark.parametrize("value", [{"name": "float32"}, {"name": "float32", "configuration": {}}])
def test_the_object_form_is_legal(value: object) -> None:
    reading = Reading(strict=True, path="data_type")
    assert from_v3_json(value, reading).name == "float32"
    assert reading.notes == []


def test_zarr_pythons_name_of_raw_bits_is_noted() -> None:
    reading = Reading(path="data_type")
    value = {"name": "raw_bytes", "configuration": {"length_bytes": 3}}
    assert from_v3_json(value, reading).name == "r24"
    assert reading.notes == ["data_type: 'raw_bytes' is zarr-python's own name; read as 'r24'"]
    with pytest.raises(MetadataError, match="data_type: 'raw_bytes' is zarr-python's own name"):
        from_v3_json(value, Reading(strict=True, path="data_type"))


@pytest.mark.parametrize("name", ["r0", "r7", "r12", "r024"])
def test_raw_bits_need_whole_bytes(name: str) -> None:
    with pytest.raises(MetadataError, match="raw bits are named r<N> with N a positive multiple of 8"):
        from_v3_json(name)


@pytest.mark.parametrize(
    "value", ["r80000000000", {"name": "raw_bytes", "configuration": {"length_bytes": 2**30}}]
)
def test_absurd_raw_bits_are_refused(value: object) -> None:
    with pytest.raises(MetadataError, match="1 to 1048576 bytes an element"):
        from_v3_json(value)


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_type_that_comes_later_is_named_as_such(name: str) -> None:
    assert name not in known_names()
    with pytest.raises(UnknownDataTypeError, match="is known but not supported in this version") as caught:
        from_v3_json(
            {"name": name, "configuration": {"anything": 1}}, Reading(key="a/zarr.json", path="data_type")
        )
    assert caught.value.key == "a/zarr.json"
    assert name in str(caught.value)
    assert "'float64'" in str(caught.value)


@pytest.mark.parametrize("value", ["|S4", "<U2", "<M8[ns]", "<m8[25us]", "|O", [["a", "<f4"]]])
def test_a_v2_type_that_comes_later_is_named_as_such(value: object) -> None:
    with pytest.raises(UnknownDataTypeError, match="is known but not supported in this version"):
        from_v2_json(value)


@pytest.mark.parametrize("dtype", ["S4", "U2", "M8[ns]", "m8", "O", np.dtypes.StringDType(), [("a", "f4")]])
def test_a_numpy_type_that_comes_later_is_named_as_such(dtype: object) -> None:
    with pytest.raises(UnknownDataTypeError, match="is known but not supported in this version"):
        parse_dtype(dtype)


@pytest.mark.parametrize("value", ["float31", "<f3", "|f4", "f4", "<i3", "", "<c64", "bfloat17"])
def test_an_unknown_v2_type_names_the_known_ones(value: str) -> None:
    with pytest.raises(UnknownDataTypeError, match=r"unknown data type .* known: 'bool', 'int8'"):
        from_v2_json(value)


def test_a_close_name_is_suggested() -> None:
    with pytest.raises(
        UnknownDataTypeError, match=r"unknown data type 'flaot32' \(did you mean 'float32'.*'r<N>'"
    ):
        from_v3_json("flaot32")


@pytest.mark.parametrize(
    "value", [None, 3, [], ["float32"], {}, {"name": 3}, {"name": "float32", "extra": 1}]
)
def test_what_is_no_data_type_is_a_metadata_error(value: object) -> None:
    with pytest.raises(MetadataError, match="data_type"):
        from_v3_json(value, Reading(path="data_type"))


@pytest.mark.parametrize(
    ("value", "name", "endian"),
    [
        (">f4", "float32", "big"),
        ("<f4", "float32", "little"),
        ("f4", "float32", sys.byteorder),
        (np.float32, "float32", sys.byteorder),
        (np.dtype(">c16"), "complex128", "big"),
        ("float32", "float32", None),
        ({"name": "float32"}, "float32", None),
        (float, "float64", sys.byteorder),
        (int, "int64", sys.byteorder),
        (bool, "bool", None),
        ("u1", "uint8", None),
        ("r24", "r24", None),
        ("V3", "r24", None),
        (np.dtype("V8"), "r64", None),
        (from_v3_json("int16"), "int16", None),
        ("complex_float32", "complex_float32", None),
        ("c8", "complex64", sys.byteorder),
    ],
)
def test_users_say_data_types_in_many_ways(value: object, name: str, endian: str | None) -> None:
    data_type, order = parse_dtype(value)
    assert (data_type.name, order) == (name, endian)


@pytest.mark.parametrize("value", ["nonsense", 3, np.longdouble, ("f4", (2,)), "f4,(", object(), "V0"])
def test_what_is_no_dtype_is_an_unknown_data_type(value: object) -> None:
    with pytest.raises(UnknownDataTypeError):
        parse_dtype(value)
