"""The store that the documentation writes is right: it passes the suite that the page shows for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import SOURCE_ROOT
from tests.docs.run_page import blocks


def test_the_store_of_the_page_passes_the_suite(tmp_path: Path, child_environment: dict[str, str]) -> None:
    page = (SOURCE_ROOT / "docs" / "custom_stores.md").read_text(encoding="utf-8")
    store, tests = [block.text for block in blocks(page) if block.language == "python"][:2]
    assert "class RowStore(Store)" in store
    (tmp_path / "test_rows.py").write_text(store + tests, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "test_rows.py",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=child_environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    n_passed = int(done.stdout.splitlines()[-1].split()[0])
    assert n_passed > 150, done.stdout[-200:]
