"""What the documentation and the examples show is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import zarrc
from tests.conftest import SOURCE_ROOT
from tests.docs.run_page import blocks
from zarrc.config import config

DOCS = SOURCE_ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
# They are about files, commands and servers, which have tests of their own: their Python is not run here.
NOT_RUN = {"cli.md", "import.md", "interop.md", "cloud.md"}
EXAMPLES = ["parallel_write.py", "sharded_writers.py"]

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _run(program: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _anchor(heading: str) -> str:
    """What a heading is called in a link, as on code hosts."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(line.lstrip("# ")) for line in page.read_text().splitlines() if line.startswith("#")}


def has_python(page: str) -> bool:
    return any(block.language in ("python", "pycon") for block in blocks((DOCS / page).read_text()))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in NOT_RUN and has_python(page)])
def test_every_python_block_of_a_page_does_what_the_page_says(
    page: str, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    _run([str(Path(__file__).with_name("run_page.py")), str(DOCS / page)], tmp_path, child_environment)


def test_the_readme_does_what_it_says(tmp_path: Path, child_environment: dict[str, str]) -> None:
    readme = SOURCE_ROOT / "README.md"
    _run([str(Path(__file__).with_name("run_page.py")), str(readme)], tmp_path, child_environment)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str, tmp_path: Path, child_environment: dict[str, str]) -> None:
    _run([str(SOURCE_ROOT / "examples" / example)], tmp_path, child_environment)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in _LINK.findall((DOCS / page).read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = DOCS / (name or page)
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_map_names_every_page() -> None:
    text = (DOCS / "index.md").read_text()
    assert [page for page in PAGES if page != "index.md" and f"({page})" not in text] == []


def test_every_error_is_explained() -> None:
    text = (DOCS / "errors.md").read_text()
    assert [name for name in zarrc.errors.__all__ if f"`{name}`" not in text] == []


def test_every_codec_is_explained() -> None:
    text = (DOCS / "codecs.md").read_text()
    # Codecs that other tests registered are not ours to explain.
    ours = [
        name
        for name in zarrc.codecs.known_codecs()
        if zarrc.codecs.get_codec_class(name).__module__.startswith("zarrc.")
    ]
    assert ours
    assert [name for name in ours if f"`{name}`" not in text] == []


def test_every_data_type_is_explained() -> None:
    text = (DOCS / "data_types.md").read_text()
    assert [name for name in zarrc.dtypes.known_names() if f"`{name}`" not in text] == []


def test_every_setting_is_explained() -> None:
    text = (DOCS / "configuration.md").read_text()
    assert [name for name in config.defaults if f"`{name}`" not in text] == []


def test_every_public_name_is_mentioned() -> None:
    text = "".join((DOCS / page).read_text() for page in PAGES)
    assert [name for name in zarrc.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_public_name_of_the_stores_is_mentioned() -> None:
    text = "".join((DOCS / page).read_text() for page in PAGES)
    assert [name for name in zarrc.storage.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_store_of_the_overview_is_public() -> None:
    text = (DOCS / "stores.md").read_text()
    named = set(re.findall(r"\| `(\w+Store)`", text)) | set(re.findall(r"\[`?(\w+Store)`?\]\(", text))
    assert named >= {"FsspecStore", "ObstoreStore", "ZarrPythonStore"}
    assert [name for name in sorted(named) if not hasattr(zarrc.storage, name)] == []


def test_a_failing_page_fails(tmp_path: Path, child_environment: dict[str, str]) -> None:
    page = tmp_path / "page.md"
    for text in ("```python\n1 / 0\n```\n", "```pycon\n>>> 1 + 1\n3\n```\n", "```pycon\n>>> 1 / 0\n```\n"):
        page.write_text(text)
        with pytest.raises(AssertionError):
            _run([str(Path(__file__).with_name("run_page.py")), str(page)], tmp_path, child_environment)
