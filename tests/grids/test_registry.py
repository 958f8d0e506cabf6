"""Chunk grids of a user's own."""

from __future__ import annotations

import datetime
import itertools
import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

import zarrc
from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids import (
    ChunkGrid,
    RectilinearChunkGrid,
    RegularChunkGrid,
    chunk_grid_from_user,
    known_chunk_grids,
    register_chunk_grid,
    unregister_chunk_grid,
)
from zarrc.storage import MemoryStore


class MonthlyGrid(ChunkGrid):
    """One chunk a month along the first axis, by days."""

    name: ClassVar[str] = "example.monthly"

    def __init__(self, first_year: int, n_years: int, rest: tuple[int, ...] = ()) -> None:
        if n_years > 100:
            raise ValueError("at most a hundred years")
        self.first_year, self.n_years, self.rest = first_year, n_years, rest

    def runs(self) -> Any:
        years = range(self.first_year, self.first_year + self.n_years)
        firsts = [datetime.date(year, month, 1) for year in years for month in range(1, 13)]
        firsts.append(datetime.date(self.first_year + self.n_years, 1, 1))
        months = itertools.pairwise(firsts)
        return (tuple(((end - start).days, 1) for start, end in months), *self.rest)

    def configuration(self) -> dict[str, Any]:
        return {"first_year": self.first_year, "n_years": self.n_years, "rest": list(self.rest)}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> MonthlyGrid:
        return cls(configuration["first_year"], configuration["n_years"], tuple(configuration["rest"]))


@pytest.fixture
def monthly() -> Iterator[type[MonthlyGrid]]:
    register_chunk_grid(MonthlyGrid)
    yield MonthlyGrid
    unregister_chunk_grid("example.monthly")


def test_a_grid_of_ones_own_is_stored_and_read(monthly: type[MonthlyGrid]) -> None:
    store = MemoryStore()
    a = zarrc.create_array(store, shape=(366, 10), dtype="i2", chunk_grid=monthly(2000, 1, (10,)))
    assert a.chunks[0][:3] == (31, 29, 31)
    document = json.loads(bytes(store.get("zarr.json")))  # type: ignore[arg-type]
    assert document["chunk_grid"] == {
        "name": "example.monthly",
        "configuration": {"first_year": 2000, "n_years": 1, "rest": [10]},
    }
    b = zarrc.open_array(store)
    assert b.metadata.chunk_grid == a.metadata.chunk_grid == pickle.loads(pickle.dumps(b.metadata.chunk_grid))
    assert hash(b.metadata.chunk_grid) == hash(a.metadata.chunk_grid)
    assert b.metadata.chunk_grid != monthly(2001, 1, (10,))
    assert repr(b.metadata.chunk_grid) == "MonthlyGrid(first_year=2000, n_years=1, rest=[10])"
    named = {"name": "example.monthly", "configuration": {"first_year": 2000, "n_years": 1, "rest": [10]}}
    assert zarrc.create_array(shape=(366, 10), chunk_grid=named).chunks == a.chunks


def test_what_a_grid_refuses_is_a_metadata_error_that_names_the_place(monthly: type[MonthlyGrid]) -> None:
    def document(**configuration: Any) -> dict[str, Any]:
        return {"name": "example.monthly", "configuration": configuration}

    with pytest.raises(MetadataError, match=r"chunk_grid.configuration: ValueError: at most a hundred years"):
        chunk_grid_from_user(document(first_year=1, n_years=101, rest=[]), (5,))
    with pytest.raises(MetadataError, match=r"chunk_grid.configuration: KeyError: 'n_years'"):
        chunk_grid_from_user(document(first_year=1), (5,))
    with pytest.raises(MetadataError, match=r"extents and counts must be in"):
        chunk_grid_from_user(document(first_year=1, n_years=1, rest=[0]), (5,))
    with pytest.raises(MetadataError, match=r"axis 1 must be an int or a tuple, got 'x'"):
        chunk_grid_from_user(document(first_year=1, n_years=1, rest=["x"]), (5,))
    with pytest.raises(MetadataError, match="do not reach its end"):
        zarrc.create_array(shape=(400,), chunk_grid=monthly(2000, 1))
    with pytest.raises(MetadataError, match="do not reach its end"):
        monthly(2000, 1).resized((400,))
    with pytest.raises(MetadataError, match=r"the 'example.monthly' grid has 1 dimensions, the array 2"):
        zarrc.create_array(shape=(300, 5), chunk_grid=monthly(2000, 1))


def test_a_grid_that_says_nonsense_is_refused_as_an_object_too(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = MonthlyGrid(2000, 1, (5,))
    for runs in (
        [((31, 1),), 0],
        [((31, 0),), 5],
        [[(31, 1)], 5],
        [((31.0, 1),), 5],
        [(), 5],
        ["x", 5],
        [None],
    ):
        monkeypatch.setattr(MonthlyGrid, "runs", lambda self, runs=runs: tuple(runs))
        with pytest.raises(MetadataError, match=r"'example.monthly'"):
            zarrc.create_array(shape=(31, 5), chunk_grid=grid)
        with pytest.raises(MetadataError, match=r"shards: .*'example.monthly'"):
            zarrc.create_array(shape=(31, 5), chunks=1, shards=MonthlyGrid(2000, 1, (5,)))
    monkeypatch.undo()
    with pytest.raises(
        MetadataError, match=r"shards: the 'example.monthly' grid has 2 dimensions, the array 1"
    ):
        zarrc.create_array(shape=(31,), chunks=1, shards=grid)
    with pytest.raises(MetadataError, match=r"chunks: the chunk shape \[2\] has 1 dimensions, the array 2"):
        zarrc.create_array(shape=(31, 5), chunks=RegularChunkGrid((2,)))


def test_an_array_whose_grid_nobody_knows_any_more_is_an_error() -> None:
    store = MemoryStore()
    register_chunk_grid(MonthlyGrid)
    zarrc.create_array(store, shape=(366,), dtype="i2", chunk_grid=MonthlyGrid(2000, 1))
    assert "example.monthly" in known_chunk_grids()
    zarrc.open_array(store)
    unregister_chunk_grid("example.monthly")
    with pytest.raises(
        UnknownExtensionError, match=r"unknown chunk grid 'example.monthly'; known: 'rectilinear'"
    ):
        zarrc.open_array(store)
    with pytest.raises(KeyError):
        unregister_chunk_grid("example.monthly")


def test_what_is_no_grid_is_not_registered() -> None:
    with pytest.raises(TypeError, match=r"a subclass of zarrc.grids.ChunkGrid"):
        register_chunk_grid(int)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="has none"):
        register_chunk_grid(type("Nameless", (ChunkGrid,), {}))
    with pytest.raises(ValueError, match="'regular' comes with zarrc"):
        register_chunk_grid(type("Mine", (RegularChunkGrid,), {}))
    with pytest.raises(ValueError, match="'rectilinear' comes with zarrc"):
        unregister_chunk_grid("rectilinear")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("irregular", "'irregular' is for chunk_grid= of a new array, which stores a 'rectilinear' one"),
        ("rectilinaer", "unknown chunk grid 'rectilinaer' (did you mean 'rectilinear'?)"),
    ],
)
def test_a_document_with_another_grid_says_what_there_is(name: str, text: str) -> None:
    store = MemoryStore()
    zarrc.create_array(store, shape=(4,))
    document = json.loads(bytes(store.get("zarr.json")))  # type: ignore[arg-type]
    document["chunk_grid"]["name"] = name
    store.set("zarr.json", json.dumps(document).encode())
    with pytest.raises(UnknownExtensionError) as caught:
        zarrc.open_array(store)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "grid",
    [
        RegularChunkGrid((2,)),
        {"name": "regular", "configuration": {"chunk_shape": [2]}},
        RectilinearChunkGrid([[2, 1], [4], [1]]),
    ],
)
def test_a_grid_of_other_dimensions_is_refused_by_its_keyword(grid: Any) -> None:
    with pytest.raises(MetadataError, match=r"^chunk_grid: the '\w+' grid has [13] dimensions, the array 2"):
        zarrc.create_array(shape=(3, 4), chunk_grid=grid)
