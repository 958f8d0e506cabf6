"""Fixtures that tests of the module's functions share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> Any:
    return request.param
