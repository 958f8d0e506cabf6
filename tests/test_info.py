"""Summaries and trees: what they say, as text and as HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.info import human_nbytes
from zarrc.storage import MemoryStore


class Balanced(HTMLParser):
    """Collects the text of a document whose elements must all be closed."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(document)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def lines(info: object) -> dict[str, str]:
    return {
        name.strip(): value for name, _, value in (line.partition(": ") for line in str(info).splitlines())
    }


def test_the_summary_of_an_array_says_what_it_is(tmp_path: Path) -> None:
    array = zarrc.create_array(
        tmp_path / "s",
        name="a/b",
        shape=(1000, 500),
        chunks=(100, 100),
        dtype="f4",
        fill_value=float("nan"),
        dimension_names=["y", "x"],
        codecs=["bytes", {"name": "gzip", "configuration": {"level": 3}}, "crc32c"],
    )
    assert lines(array.info) == {
        "Name": "/a/b",
        "Type": "Array",
        "Zarr format": "3",
        "Data type": "float32 (<f4)",
        "Fill value": "nan",
        "Shape": "(1000, 500)",
        "Dimension names": "('y', 'x')",
        "Chunk shape": "(100, 100)",
        "No. chunks": "50 (10, 5)",
        "Order": "C",
        "Read-only": "False",
        "Store": f"file://{tmp_path}/s",
        "Filters": "none",
        "Serializer": "bytes(endian='little')",
        "Compressors": "gzip(level=3), crc32c()",
        "No. bytes": "2000000 (1.9M)",
    }


def test_the_summary_of_a_v2_array_has_its_own_words() -> None:
    info = lines(zarrc.create((3,), dtype=">i2", zarr_format=2, order="F", compressor=None).info)
    assert info["Zarr format"] == "2"
    assert info["Data type"] == "int16 (>i2)"
    assert info["Order"] == "F"
    assert info["Compressors"] == "none"
    assert "Serializer" not in info


def test_the_complete_summary_says_what_is_stored() -> None:
    array = zarrc.zeros((100, 100), chunks=(50, 50), dtype="i4")
    before = lines(array.info_complete())
    assert before["Chunks initialized"] == "0 / 4"
    array[:50] = 1
    after = lines(array.info_complete())
    assert after["Chunks initialized"] == "2 / 4"
    stored = array.nbytes_stored()
    assert after["No. bytes stored"] == human_nbytes(stored)
    assert after["Storage ratio"] == f"{40000 / stored:.1f}"


def test_what_was_assumed_in_reading_is_shown() -> None:
    store = MemoryStore()
    store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": null}')
    assert "attributes" in lines(zarrc.open_group(store).info)["Assumed"]


def test_the_summary_of_a_group_counts_when_asked() -> None:
    group = zarrc.create_group()
    group.create_array("a/x", shape=(1,))
    assert lines(group.info) == {
        "Name": "/",
        "Type": "Group",
        "Zarr format": "3",
        "Read-only": "False",
        "Store": str(group.store),
    }
    complete = lines(group.info_complete())
    assert (complete["No. members"], complete["No. arrays"], complete["No. groups"]) == ("2", "1", "1")


def test_summaries_are_well_formed_html_with_everything_in_it() -> None:
    group = zarrc.create_group()
    array = group.create_array("<b>&", shape=(3,), dtype="f4")
    for node, document in (
        (array, array._repr_html_()),
        (array, array.info._repr_html_()),
        (group, group._repr_html_()),
    ):
        text = Balanced(document).text
        for name, value in lines(node.info).items():
            assert name in text
            assert value in text
    assert "<b>&" not in array._repr_html_()


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1024 (1.0K)"),
        (1536, "1536 (1.5K)"),
        (2**20 - 1, "1048575 (1.0M)"),
        (2**30, "1073741824 (1.0G)"),
        (2**62, f"{2**62} (4.0E)"),
        (2**75, f"{2**75} (32768.0E)"),
    ],
)
def test_bytes_are_said_so_that_people_read_them(nbytes: int, text: str) -> None:
    assert human_nbytes(nbytes) == text


# --- trees


def hierarchy() -> zarrc.Group:
    group = zarrc.create_group()
    group.create_array("air", data=np.zeros((3, 2), "f4"))
    group.create_array("ocean/deep/salt", shape=(10,), dtype="i2")
    group.create_group("ocean/empty")
    return group


def test_the_tree_is_drawn_as_text() -> None:
    expected = "\n".join(
        [
            "/",
            "├── air (3, 2) float32",
            "└── ocean",
            "    ├── deep",
            "    │   └── salt (10,) int16",
            "    └── empty",
        ]
    )
    group = hierarchy()
    assert str(group.tree()) == repr(group.tree()) == str(zarrc.tree(group)) == expected
    assert str(zarrc.tree(group.store)) == expected


def test_the_tree_stops_at_a_level() -> None:
    assert str(hierarchy().tree(level=1)).splitlines() == ["/", "├── air (3, 2) float32", "└── ocean"]
    assert str(hierarchy().tree(level=0)) == "/"


def test_the_tree_stops_at_a_number_of_nodes_and_says_so() -> None:
    drawn = str(hierarchy().tree(max_nodes=3)).splitlines()
    assert drawn[:-1] == ["/", "├── air (3, 2) float32", "└── ocean", "    └── deep"]
    assert "max_nodes" in drawn[-1]
    assert "not shown" not in str(hierarchy().tree(max_nodes=5))


def test_the_tree_is_well_formed_html() -> None:
    tree = hierarchy().tree()
    text = Balanced(tree._repr_html_()).text
    for name in ("air", "ocean", "deep", "salt", "empty", "(10,) int16"):
        assert name in text
    assert "<details open>" in tree._repr_html_()
    assert "<details open>" not in hierarchy().tree(expand=False)._repr_html_()


def test_names_in_the_tree_are_escaped() -> None:
    group = zarrc.create_group()
    group.create_group("<script>")
    assert "<script>" not in group.tree()._repr_html_()


def test_a_terminal_that_asks_for_it_gets_bold_names() -> None:
    bundle = hierarchy().tree()._repr_mimebundle_()
    assert "\x1b[1mair\x1b[0m (3, 2) float32" in bundle["text/plain"]
    assert "\x1b" not in hierarchy().tree(plain=True)._repr_mimebundle_()["text/plain"]
    assert bundle["text/html"].startswith("<div")
