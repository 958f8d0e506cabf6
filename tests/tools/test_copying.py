"""`copy_array`: what passes through is what reading and writing would give."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from tests.storage.four_methods import FourMethods
from tests.strategies import Layout, basic_selections, layouts, random_values, seeds
from tests.tools.places import PLACES, new_store, stored_chunks
from zarrc.errors import MetadataError
from zarrc.tools.copying import same_objects


def _decoded_copy(source: Any) -> Any:
    """The general way: read all, and write all."""
    target = zarrc.create_array(shape=source.shape, chunks=source.chunks, dtype=source.dtype)
    target[...] = source[...]
    return target[...]


def _same(found: Any, expected: Any) -> None:
    assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    assert found.astype(expected.dtype).tobytes() == expected.tobytes()


@given(
    layout=layouts(max_ndim=4),
    data=st.data(),
    seed=seeds(),
    source_place=st.sampled_from(PLACES),
    target_place=st.sampled_from(PLACES),
    verify=st.booleans(),
    path=st.sampled_from(("", "a", "a/b")),
)
def test_what_passes_through_is_what_decoding_and_encoding_gives(
    tmp_path_factory: pytest.TempPathFactory,
    layout: Layout,
    data: st.DataObject,
    seed: int,
    source_place: str,
    target_place: str,
    verify: bool,
    path: str,
) -> None:
    folder = tmp_path_factory.mktemp("copy")
    source: Any = zarrc.create_array(new_store(source_place, folder / "s"), name="x/y", **layout.arguments())
    for number in range(data.draw(st.integers(0, 2))):
        selection = data.draw(basic_selections(layout.shape))
        values = random_values(
            np.empty(layout.shape, "u1")[selection].shape, layout.dtype_name, seed + number
        )
        source[selection] = values
    expected = _decoded_copy(source)
    store = new_store(target_place, folder / "t")
    made: Any = zarrc.copy_array(source, store, name=path, verify=verify)
    _same(made[...], expected)
    assert made.metadata == source.metadata
    assert stored_chunks(made) == stored_chunks(source)
    # Into an array that holds other data.
    made[...] = random_values(layout.shape, layout.dtype_name, seed + 7)
    assert zarrc.copy_array(source, made, verify=verify) is made
    _same(made[...], expected)
    assert stored_chunks(made) == stored_chunks(source)
    # And as another format.
    other: Literal[2, 3] = 2 if layout.zarr_format == 3 else 3
    elsewhere = new_store(target_place, folder / "u")
    try:
        third: Any = zarrc.copy_array(source, elsewhere, name=path, zarr_format=other)
    except MetadataError as error:
        if "zarr_format 2" not in str(error):  # which has no such codec, or not so many
            raise
        return
    assert third.metadata.zarr_format == other
    _same(third[...], expected)
    shutil.rmtree(folder)


@pytest.mark.parametrize("chain", ["raw", "zstd", "transposed", "transposed zstd", "blosc"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", ["i1", "u2", "f8"])
def test_from_version_2_to_3_and_back_the_chunks_pass_through(
    chain: str, endian: Literal["little", "big"], dtype: str
) -> None:
    layout = Layout(2, np.dtype(dtype).name, endian, chain, (20, 30), (7, 30))
    source: Any = zarrc.create_array(**layout.arguments(), fill_value=3)
    source[:10] = np.arange(300).reshape(10, 30) % 100
    made: Any = zarrc.copy_array(source, zarr_format=3)
    assert same_objects(source.metadata, made.metadata)
    assert stored_chunks(made) == stored_chunks(source)
    _same(made[...], source[...])
    back: Any = zarrc.copy_array(made, zarr_format=2)
    assert same_objects(source.metadata, back.metadata)
    assert stored_chunks(back) == stored_chunks(source)
    assert back.dtype == source.dtype
    assert back.order == source.order


@pytest.mark.parametrize("encoding", [("default", "/"), ("default", "."), ("v2", "/"), ("v2", ".")])
@pytest.mark.parametrize("place", PLACES)
def test_keys_may_differ(place: str, encoding: tuple[str, str], tmp_path: Path) -> None:
    source: Any = zarrc.array(np.arange(300).reshape(10, 30), chunks=(2, 7))
    name, separator = encoding
    target: Any = zarrc.create_array(
        new_store(place, tmp_path / "t"),
        shape=(10, 30),
        chunks=(2, 7),
        dtype="int64",
        chunk_key_encoding={"name": name, "separator": separator},
    )
    target[...] = 1
    source[0:2, :7] = 0
    zarrc.copy_array(source, target)
    assert stored_chunks(target) == stored_chunks(source)
    assert len(stored_chunks(target)) == 24
    back: Any = zarrc.copy_array(target, tmp_path / "back")
    np.testing.assert_array_equal(back[...], source[...])


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": (3, 5)},
        {"dtype": "f8"},
        {"fill_value": 9},
        {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
        {"codecs": ["bytes", {"name": "zstd", "configuration": {"level": 1}}]},
        {"zarr_format": 2, "order": "F"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [20, 300])
def test_another_layout_gets_the_same_data(changes: dict[str, Any], n: int) -> None:
    source: Any = zarrc.create_array(shape=(n, 20), chunks=(4, 4), dtype="i4", codecs=["bytes"])
    source[5:9, 3:11] = np.arange(32).reshape(4, 8)
    target: Any = zarrc.create_array(**{"shape": (n, 20), "chunks": (4, 4), "dtype": "i4", **changes})
    target[...] = 5
    assert not same_objects(source.metadata, target.metadata)
    seen: list[tuple[int, int]] = []
    zarrc.copy_array(source, target, progress=lambda *state: seen.append(state))
    np.testing.assert_array_equal(target[...], source[...])
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


@pytest.mark.parametrize("places", [(a, b) for a in PLACES[:3] for b in PLACES[:3]], ids="-".join)
def test_few_chunks_of_a_huge_grid_are_found_at_once(places: tuple[str, str], tmp_path: Path) -> None:
    shape = (2**62, 2**40, 1000)
    source: Any = zarrc.create_array(
        new_store(places[0], tmp_path / "s"), shape=shape, chunks=(1, 1, 10), dtype="i2"
    )
    rows = [0, 1, 2**62 - 1]
    for row in rows:
        source[row, 2**40 - 1, 5:20] = row % 1000 + 1
    made: Any = zarrc.copy_array(source, new_store(places[1], tmp_path / "t"))
    assert len(stored_chunks(made)) == 6
    made[7, 7, 7] = 7
    zarrc.copy_array(source, made)
    assert stored_chunks(made) == stored_chunks(source)
    other: Any = zarrc.create_array(shape=shape, chunks=(2, 3, 7), dtype="i2")
    other[7, 7, 7] = 7
    zarrc.copy_array(source, other)
    assert other[7, 7, 7] == 0
    for row in rows:
        np.testing.assert_array_equal(other[row, 2**40 - 1], source[row, 2**40 - 1])
    # Each region is a chunk of the source grown to whole chunks of the target.
    assert len(stored_chunks(other)) == 6


def test_empty_and_0d_arrays_are_copied(tmp_path: Path) -> None:
    for place in PLACES:
        for zarr_format in (2, 3):
            nothing: Any = zarrc.create_array(
                shape=(0, 5), chunks=(3, 3), dtype="i4", zarr_format=zarr_format
            )
            store = new_store(place, tmp_path / f"{place}{zarr_format}")
            assert zarrc.copy_array(nothing, store, name="empty").shape == (0, 5)
            point: Any = zarrc.create_array(shape=(), dtype="i4", zarr_format=zarr_format)
            made: Any = zarrc.copy_array(point, store, name="point")
            assert stored_chunks(made) == {}
            point[...] = 5
            zarrc.copy_array(point, made)
            assert made[()] == 5
            zarrc.copy_array(zarrc.copy_array(zarrc.create_array(shape=(), dtype="i4")), point)
            assert point[()] == 0


def test_everything_that_metadata_say_is_copied(tmp_path: Path) -> None:
    source = zarrc.create_array(
        tmp_path / "s",
        shape=(4, 6),
        chunks=(2, 3),
        dtype="f4",
        fill_value=np.nan,
        dimension_names=["y", None],
        attributes={"a": [1, {"b": None}]},
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    for made in (zarrc.copy_array(source), zarrc.copy_array(tmp_path / "s", tmp_path / "t")):
        assert made.metadata == source.metadata
        made.attrs["more"] = 1
        assert "more" not in source.attrs
    group = zarrc.create_group({}, zarr_format=2)
    assert zarrc.copy_array(source, group, name="x/y").metadata.zarr_format == 2
    assert group["x/y"].attrs["a"] == [1, {"b": None}]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_that_are_not_json_become_strings(zarr_format: Literal[2, 3], tmp_path: Path) -> None:
    zarrc.create_array(tmp_path, shape=(4,), dtype="i4", attributes={"a": 12345})
    document = (tmp_path / "zarr.json").read_text()
    (tmp_path / "zarr.json").write_text(document.replace("12345", "NaN"))
    with pytest.warns(zarrc.errors.ZarrcWarning, match="NaN"):
        made = zarrc.copy_array(tmp_path, zarr_format=zarr_format)
    assert dict(made.attrs) == {"a": "NaN"}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_copy_has_attributes_of_its_own(zarr_format: Literal[2, 3]) -> None:
    source: Any = zarrc.create_array(shape=(3,), dtype="i4", attributes={"a": [1, {"b": [2]}]})
    made: Any = zarrc.copy_array(source, zarr_format=zarr_format)
    made.metadata.attributes["a"][1]["b"].append(3)
    made.attrs["new"] = 4
    assert source.metadata.attributes == dict(source.attrs) == {"a": [1, {"b": [2]}]}


def test_a_copy_in_memory_is_another_array() -> None:
    source: Any = zarrc.array(np.arange(100), chunks=10)
    before = source.store.stat("c/3")
    first: Any = zarrc.copy_array(source)
    second: Any = zarrc.copy_array(first)
    assert source.store.stat("c/3") == before
    assert len({array.store.stat("c/3").version for array in (source, first, second)}) == 3
    source[...] = 1
    np.testing.assert_array_equal(first[...], np.arange(100))
    del source, first
    np.testing.assert_array_equal(second[...], np.arange(100))


def test_what_was_left_behind_does_not_show_in_a_new_copy(tmp_path: Path) -> None:
    source: Any = zarrc.create_array(shape=(100,), chunks=(2,), dtype="i4")
    source[:50] = 1
    for place in ("local", "memory"):
        store = new_store(place, tmp_path / place)
        made: Any = zarrc.create_array(store, name="a", shape=(100,), chunks=(2,), dtype="i4")
        made[...] = 2
        made.store.delete("a/zarr.json")
        copied: Any = zarrc.copy_array(source, store, name="a")
        np.testing.assert_array_equal(copied[...], source[...])


def test_a_store_that_lists_nothing_is_tried_chunk_by_chunk() -> None:
    class Web(FourMethods):
        """As a server without an index."""

        def list_prefix(self, prefix: str) -> Any:
            return iter(())

    source: Any = zarrc.create_array(Web({}), shape=(300, 5), chunks=(1, 5), dtype="i4")
    source[100:110] = 1
    made: Any = zarrc.copy_array(source)
    np.testing.assert_array_equal(made[...], source[...])
    assert made.nchunks_initialized == 10
    # With other chunks the data are read and written; where they are does not come from that listing either.
    other = zarrc.create_array(shape=(300, 5), chunks=(7, 5), dtype="i4")
    zarrc.copy_array(source, other)
    np.testing.assert_array_equal(other[...], source[...])


@pytest.mark.parametrize("place", ["local", "memory", "python"])
def test_progress_counts_to_the_end_and_can_stop_the_copy(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(new_store(place, tmp_path / "s"), shape=(5000,), chunks=(1,), dtype="i1")
    source[:3000] = 1
    seen: list[tuple[int, int]] = []
    made: Any = zarrc.copy_array(
        source,
        new_store(place, tmp_path / "t"),
        name="first",
        progress=lambda *state: seen.append(state),
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] >= 3000
    assert len(seen) > 10

    class Stop(Exception):
        pass

    def stop(n_done: int, n_chunks: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        zarrc.copy_array(source, made.store, name="again", progress=stop)
    assert not list(made.store.list_prefix("again"))
