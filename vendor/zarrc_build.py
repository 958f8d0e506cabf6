"""The build backend: setuptools', with the vendored C sources fetched first.

A source distribution of ours carries them, so that building from it asks no registry for them.
"""

from __future__ import annotations

from typing import Any

import fetch
from setuptools import build_meta

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def _pip_if_fetching() -> list[str]:
    """An isolated environment may have no pip, which `fetch` needs."""
    return ["pip"] if fetch.missing(fetch.read_manifest()) else []


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return _pip_if_fetching()


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    return _pip_if_fetching()


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    return _pip_if_fetching()


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Any = None) -> str:
    # The metadata lists the licences, which come with the sources.
    fetch.fetch()
    return build_meta.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Any = None) -> str:
    fetch.fetch()
    return build_meta.prepare_metadata_for_build_editable(metadata_directory, config_settings)


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    fetch.fetch()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    fetch.fetch()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    fetch.fetch()
    return build_meta.build_sdist(sdist_directory, config_settings)
