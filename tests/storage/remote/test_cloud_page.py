"""The page on cloud storage does what it says, with servers where the environment names them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import SOURCE_ROOT
from tests.servers.servers import Servers


def test_the_page_on_cloud_storage_does_what_it_says(
    servers: Servers, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    server = servers.server("s3")
    bucket = "my-data-bucket"
    server.make_bucket(bucket)
    environment = child_environment | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ALLOW_HTTP": "true",
    }
    page = str(SOURCE_ROOT / "docs" / "cloud.md")
    program = str(Path(__file__).parents[2] / "docs" / "run_page.py")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, program, page],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{time.monotonic() - began:.1f} s"
