"""Attributes to JSON."""

from __future__ import annotations

import datetime
import json
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from zarrc.errors import AttributesError
from zarrc.metadata import attributes_to_json


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        (-0.0, -0.0),
        ("µ", "µ"),
        ((1, (2, 3)), [1, [2, 3]]),
        (np.bool_(True), True),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.1), 0.10000000149011612),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.array(3), 3),
        (np.arange(4, dtype=">i2").reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.empty((0, 2)), []),
        ([np.float32(1), {"x": np.arange(2)}], [1.0, {"x": [0, 1]}]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": ()}), {"a": []}),
        (np.array([0.5], np.longdouble), [0.5]),
    ],
    ids=repr,
)
def test_a_value_is_stored_as_json_says_it(value: Any, stored: Any) -> None:
    result = attributes_to_json({"key": value})
    assert result == {"key": stored}
    assert json.dumps(result, allow_nan=False) == json.dumps({"key": stored})
    assert type(result["key"]) is type(stored)


def test_nothing_is_shared_with_the_users_values() -> None:
    given = {"a": {"b": [1]}}
    stored = attributes_to_json(given)
    given["a"]["b"].append(2)
    assert stored == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (
            {"a": {"b": [1, 2, {1, 2}]}},
            "attributes['a']['b'][2]: {1, 2} of type set cannot be stored as JSON",
        ),
        ({"a": b"x"}, "attributes['a']: b'x' of type bytes cannot be stored as JSON"),
        ({"a": 1j}, "attributes['a']: 1j of type complex cannot"),
        (
            {"a": float("nan")},
            "attributes['a']: nan cannot be stored as JSON; store a string such as 'NaN' instead",
        ),
        ({"a": [1.0, -float("inf")]}, "attributes['a'][1]: -inf cannot be stored"),
        ({"a": np.float32("nan")}, "attributes['a']: nan cannot be stored"),
        ({"a": np.array([1, np.inf])}, "attributes['a'][1]: inf cannot be stored"),
        (
            {"a": np.datetime64("2020-01-01")},
            "attributes['a']: a NumPy value of type datetime64[D] cannot be stored",
        ),
        ({"a": np.complex64(1)}, "attributes['a']: a NumPy value of type complex64 cannot be stored"),
        ({"a": np.array([None, object()])}, "attributes['a']: a NumPy value of type object cannot be stored"),
        ({"a": datetime.date(2020, 1, 1)}, "attributes['a']: datetime.date(2020, 1, 1) of type date cannot"),
        ({1: "a"}, "attributes: the key 1 is not a string"),
        ({"a": [{None: 1}]}, "attributes['a'][0]: the key None is not a string"),
        ([("a", 1)], "attributes must be a mapping"),
        ("abc", "attributes must be a mapping, got 'abc'"),
    ],
)
def test_what_json_cannot_say_names_the_path_of_keys(attributes: Any, text: str) -> None:
    with pytest.raises(AttributesError) as caught:
        attributes_to_json(attributes)
    assert str(caught.value).startswith(text)


def test_an_enormous_integer_is_refused_without_printing_it() -> None:
    with pytest.raises(AttributesError, match=r"attributes\['a'\]: an integer of 16610 bits is too large"):
        attributes_to_json({"a": 10**5000})


def test_attributes_that_hold_themselves_are_refused() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = [loop]
    with pytest.raises(AttributesError, match="nested too deeply, or hold themselves"):
        attributes_to_json(loop)
