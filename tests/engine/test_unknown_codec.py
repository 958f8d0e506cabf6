"""A codec that need not be understood is skipped: reading data warns, writing data is refused."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import zarrc
from zarrc.errors import ReadOnlyError, ZarrcWarning


@pytest.fixture
def store() -> dict[str, bytes]:
    objects: dict[str, bytes] = {}
    zarrc.create_array(objects, shape=(4,), chunks=(3,), dtype="f4")[...] = 1
    document = json.loads(objects["zarr.json"])
    document["codecs"].append({"name": "https://example.org/seal", "must_understand": False})
    objects["zarr.json"] = json.dumps(document).encode()
    return objects


def test_reading_data_warns_where_the_user_reads(store: dict[str, bytes]) -> None:
    array = zarrc.open_array(store)
    with pytest.warns(ZarrcWarning, match=r"example\.org/seal") as caught:
        np.testing.assert_array_equal(array[...], np.ones(4))
    assert caught[0].filename == __file__


def test_opening_does_not_warn(store: dict[str, bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = zarrc.open_array(store)
        assert array.shape == (4,)


def test_a_warning_that_is_made_an_error_ends_the_read(store: dict[str, bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZarrcWarning):
            zarrc.open_array(store)[...]


def test_writing_data_is_refused(store: dict[str, bytes]) -> None:
    before = dict(store)
    with pytest.raises(ReadOnlyError, match=r"example\.org/seal"):
        zarrc.open_array(store, mode="r+")[0] = 2
    assert store == before
